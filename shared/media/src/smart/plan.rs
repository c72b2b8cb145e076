//! Which frames of a clip are copied and which are encoded, decided from decoding order, presentation times and
//! IDR pictures alone.
//!
//! Invariant: every frame of the clip is in exactly one of head, copy and tail, which follow each other both in
//! presentation and in decoding order; nothing that is copied refers to a picture that is not copied too.

use std::ops::Range;

use super::Reason;

/// A coded picture, in decoding order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Presentation time in ticks.
    pub(crate) pts: i64,
    /// Whether it is an IDR picture (H.264 3.69): nothing behind it refers to anything before it.
    pub(crate) idr: bool,
    /// Whether the file says that decoding can begin here. What is decoded from there may be encoded, since the
    /// decoder would complain, but not be copied.
    pub(crate) sync: bool,
}

/// The parts of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// The frames before `copy`, to be encoded.
    pub(crate) head: Option<End>,
    /// The samples to copy, by index in decoding order; the first is an IDR picture.
    pub(crate) copy: Range<usize>,
    /// The frames behind `copy`, to be encoded.
    pub(crate) tail: Option<End>,
}

/// Frames to encode anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The samples to decode, by index; the first is a sync sample that no later one is shown before.
    pub(crate) decode: Range<usize>,
    /// Which of the decoded frames are taken, counted in presentation order from 0.
    pub(crate) frames: Range<usize>,
    /// Their presentation times in ticks, rising.
    pub(crate) pts: Vec<i64>,
}

impl Parts {
    /// Parts the clip whose first frame is shown at `first` and whose last one at `last`, in ticks.
    pub(crate) fn plan(pictures: &[Picture], first: i64, last: i64) -> Result<Self, Reason> {
        let shown = Shown::of(pictures).ok_or(Reason::Timeline)?;
        let clip = shown.ranks(first, last).filter(|clip| !clip.is_empty()).ok_or(Reason::Timeline)?;
        let sync = |index: &usize| pictures.get(*index).is_some_and(|picture| picture.sync);
        let begins = |index: &usize| sync(index) && shown.is_closed(*index);
        let idr = |index: &usize| pictures.get(*index).is_some_and(|picture| picture.idr);
        let closed = |index: &usize| idr(index) && shown.is_closed(*index);
        let start = clip.clone().find(closed).ok_or(Reason::NoIdr)?;
        let head = if start == clip.start {
            None
        } else {
            let from = (0..=clip.start).rev().find(begins).ok_or(Reason::NoStart)?;
            Some(shown.end(from..start, clip.start..start, from))
        };
        let end = shown.contiguous(start, clip.end);
        let tail = if end == clip.end {
            None
        } else {
            let from = (start..end).rev().find(closed).unwrap_or(start);
            let needed = (from..pictures.len()).rfind(|index| shown.rank(*index) < clip.end);
            Some(shown.end(from..needed.map_or(end, |index| index + 1), end..clip.end, from))
        };
        Ok(Self { head, copy: start..end, tail })
    }
}

/// Presentation order.
struct Shown {
    /// Presentation times, rising.
    pts: Vec<i64>,
    /// Each sample's place in `pts`.
    ranks: Vec<usize>,
    /// The latest presentation among the samples up to and with each one, as a place in `pts`.
    latest: Vec<usize>,
}

impl Shown {
    /// `None` if two pictures are shown at once: then nobody knows which one is.
    fn of(pictures: &[Picture]) -> Option<Self> {
        let mut order: Vec<usize> = (0..pictures.len()).collect();
        let at = |index: &usize| pictures.get(*index).map_or(0, |picture| picture.pts);
        order.sort_by_key(at);
        let pts: Vec<i64> = order.iter().map(at).collect();
        if pts.windows(2).any(|pair| pair.first() == pair.last()) {
            return None;
        }
        let mut ranks = vec![0; pictures.len()];
        for (rank, index) in order.into_iter().enumerate() {
            if let Some(place) = ranks.get_mut(index) {
                *place = rank;
            }
        }
        let latest = ranks.iter().scan(0, |latest, rank| {
            *latest = *rank.max(latest);
            Some(*latest)
        });
        Some(Self { pts, latest: latest.collect(), ranks })
    }

    fn rank(&self, index: usize) -> usize {
        self.ranks.get(index).copied().unwrap_or(usize::MAX)
    }

    fn ranks(&self, first: i64, last: i64) -> Option<Range<usize>> {
        let (from, to) = (self.pts.binary_search(&first).ok()?, self.pts.binary_search(&last).ok()?);
        Some(from..to + 1)
    }

    /// Whether the samples from the one before `index` back to the first are shown before all others: then nothing
    /// leads or trails across this place.
    fn is_border(&self, index: usize) -> bool {
        index.checked_sub(1).is_none_or(|before| self.latest.get(before) == Some(&before))
    }

    /// Whether all earlier samples are shown before this one and all later ones behind.
    fn is_closed(&self, index: usize) -> bool {
        self.rank(index) == index && self.is_border(index)
    }

    /// The last border behind `start` and not behind `end`: up to there, what is decoded is what is shown.
    fn contiguous(&self, start: usize, end: usize) -> usize {
        (start + 1..=end).rev().find(|index| self.is_border(*index)).unwrap_or(start + 1)
    }

    fn end(&self, decode: Range<usize>, ranks: Range<usize>, from: usize) -> End {
        let pts = self.pts.get(ranks.clone()).unwrap_or_default().to_vec();
        End { decode, frames: ranks.start - from..ranks.end - from, pts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pictures from words: a letter for the kind (`I` is an IDR picture, `S` another sync sample), a number for the presentation time.
    fn pictures(words: &str) -> Vec<Picture> {
        let picture = |word: &str| Picture {
            pts: word[1..].parse().unwrap(),
            idr: word.starts_with('I'),
            sync: word.starts_with(['I', 'S']),
        };
        words.split_whitespace().map(picture).collect()
    }

    /// IDR every 6 frames, pairs of B-frames.
    const GOPS: &str = "I0 p3 b1 b2 p5 b4 I6 p9 b7 b8 p11 b10 I12 p15 b13 b14 p17 b16";

    fn end(decode: Range<usize>, frames: Range<usize>, pts: &[i64]) -> Option<End> {
        Some(End { decode, frames, pts: pts.to_vec() })
    }

    #[test]
    fn from_idr_to_idr_nothing_is_encoded() {
        let parts = Parts::plan(&pictures(GOPS), 6, 11).unwrap();
        assert_eq!(parts, Parts { head: None, copy: 6..12, tail: None });
        let all = Parts::plan(&pictures(GOPS), 0, 17).unwrap();
        assert_eq!(all, Parts { head: None, copy: 0..18, tail: None });
    }

    #[test]
    fn the_ends_are_encoded_and_only_they() {
        let parts = Parts::plan(&pictures(GOPS), 4, 14).unwrap();
        assert_eq!(parts.head, end(0..6, 4..6, &[4, 5]));
        assert_eq!(parts.copy, 6..13);
        assert_eq!(parts.tail, end(12..16, 1..3, &[13, 14]));
        let one = Parts::plan(&pictures(GOPS), 11, 12).unwrap();
        assert_eq!((one.head, one.copy, one.tail), (end(6..12, 5..6, &[11]), 12..13, None));
        // Up to a P-frame, what is decoded is what is shown.
        assert_eq!(
            Parts::plan(&pictures(GOPS), 6, 9).unwrap(),
            Parts { head: None, copy: 6..10, tail: None }
        );
    }

    #[test]
    fn within_a_group_nothing_can_be_copied() {
        assert_eq!(Parts::plan(&pictures(GOPS), 7, 11), Err(Reason::NoIdr));
        assert_eq!(Parts::plan(&pictures("p0 p1 I2 p3"), 1, 3), Err(Reason::NoStart));
        assert_eq!(Parts::plan(&pictures("p0 p1 I2 p3"), 2, 3).unwrap().copy, 2..4);
        // Decoded from a sync sample, but not copied from there.
        let parts = Parts::plan(&pictures("I0 S1 p2 I3 p4"), 2, 4).unwrap();
        assert_eq!((parts.head, parts.copy), (end(1..3, 1..2, &[2]), 3..5));
        assert_eq!(Parts::plan(&pictures("I0 S1 p2 S3 p4"), 2, 4), Err(Reason::NoIdr));
    }

    #[test]
    fn a_picture_that_leads_opens_the_group() {
        // 7 is decoded behind 8, which therefore is no place to begin.
        assert_eq!(Parts::plan(&pictures("I0 p4 p6 I8 b7 p9"), 5, 9), Err(Reason::Timeline));
        assert_eq!(Parts::plan(&pictures("I0 p4 p6 I8 b7 p9"), 4, 9), Err(Reason::NoIdr));
    }

    #[test]
    fn times_that_contradict_are_refused() {
        assert_eq!(Parts::plan(&pictures("I0 p1 p1 I3"), 0, 3), Err(Reason::Timeline));
        assert_eq!(Parts::plan(&[], 0, 0), Err(Reason::Timeline));
    }

    /// Groups of mini-groups: each is a reference and the B-frames shown before it, decoded in any order.
    fn streams() -> impl Strategy<Value = Vec<Picture>> {
        let mini = prop::collection::vec((1i64..4, any::<u32>()), 1..5);
        let group = (prop::collection::vec(mini, 0..6), prop::sample::select(vec![0u8, 1, 1, 1, 2]));
        prop::collection::vec(group, 1..6).prop_map(|groups| {
            let (mut at, mut list): (i64, Vec<Picture>) = (0, Vec::new());
            for (minis, kind) in groups {
                at += 1;
                // 0: a sync sample that is no IDR picture; 2: a broken stream whose IDR picture has one leading.
                list.push(Picture { pts: at + i64::from(kind == 2), idr: kind != 0, sync: true });
                if kind == 2 {
                    list.push(Picture { pts: at, idr: false, sync: false });
                    at += 1;
                }
                for mini in minis {
                    let mut shown: Vec<(i64, u32)> = Vec::new();
                    for (delta, key) in mini {
                        at += delta;
                        shown.push((at, key));
                    }
                    let reference = shown.pop();
                    shown.sort_by_key(|(_, key)| *key);
                    let decoded = reference.into_iter().chain(shown);
                    list.extend(decoded.map(|(pts, _)| Picture { pts, idr: false, sync: false }));
                }
            }
            list
        })
    }

    proptest! {
        #[test]
        fn every_frame_is_in_exactly_one_part(list in streams(), a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
            let mut sorted: Vec<i64> = list.iter().map(|picture| picture.pts).collect();
            sorted.sort_unstable();
            let (a, b) = (a.index(sorted.len()), b.index(sorted.len()));
            let wanted = &sorted[a.min(b)..=a.max(b)];
            let begins = |n: usize| {
                let at = list[n].pts;
                list[n].sync && list[..n].iter().all(|p| p.pts < at) && list[n + 1..].iter().all(|p| p.pts > at)
            };
            let closed = |n: usize| list[n].idr && begins(n);
            let parts = match Parts::plan(&list, wanted[0], *wanted.last().unwrap()) {
                Err(reason) => {
                    let inside = (0..list.len()).find(|n| closed(*n) && wanted.contains(&list[*n].pts));
                    let before = (0..list.len()).any(|n| begins(n) && list[n].pts <= wanted[0]);
                    prop_assert_eq!(reason == Reason::NoIdr, inside.is_none());
                    prop_assert_eq!(reason == Reason::NoStart, inside.is_some() && !before);
                    return Ok(());
                }
                Ok(parts) => parts,
            };
            let times = |end: &Option<End>| end.as_ref().map_or_else(Vec::new, |end| end.pts.clone());
            let mut copied: Vec<i64> = list[parts.copy.clone()].iter().map(|picture| picture.pts).collect();
            copied.sort_unstable();
            let made = [times(&parts.head), copied, times(&parts.tail)].concat();
            prop_assert_eq!(&made[..], wanted);
            prop_assert!(closed(parts.copy.start));
            for end in [&parts.head, &parts.tail].into_iter().flatten() {
                prop_assert!(begins(end.decode.start));
                let mut decoded: Vec<i64> = list[end.decode.clone()].iter().map(|picture| picture.pts).collect();
                decoded.sort_unstable();
                prop_assert_eq!(&decoded[end.frames.clone()], &end.pts[..]);
                // What is decoded may show more than is wanted, but only behind it.
                prop_assert!(decoded[..end.frames.end].iter().all(|at| sorted.contains(at)));
                let begin = sorted.binary_search(&decoded[0]).unwrap();
                prop_assert_eq!(&sorted[begin..begin + end.frames.end], &decoded[..end.frames.end]);
            }
        }
    }
}
