//! The cut plan: which frames a clip [start, end) consists of, decided from presentation times alone.
//!
//! Invariant: a clip has every frame with start ≤ pts < end and no other, but for the *held* one: where the first frame
//! with start ≤ pts comes more than one and a half of the source's usual frame intervals (100 ms where these are longer)
//! and more than 50 ms after `start` (a still, one picture a second, a screen recording that pauses, a picture that ended before the sound), the picture that is on
//! screen at `start` is repeated at the clip's zero. So a clip shows from its first instant what the source shows then.

use serde::{Deserialize, Serialize};

use crate::time::MediaTime;

/// The half-open span [start, end) of a source's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First instant that belongs to the clip.
    pub start: MediaTime,
    /// First instant behind the clip.
    pub end: MediaTime,
}

impl Span {
    /// Length of the span.
    #[must_use]
    pub const fn duration(self) -> MediaTime {
        self.end.since(self.start)
    }

    /// Whether a frame shown at `at` belongs to the clip.
    #[must_use]
    pub fn contains(self, at: MediaTime) -> bool {
        self.start <= at && at < self.end
    }
}

/// Within this gap between the start of the span and its first frame, the clip begins with the frame: players
/// show a black picture for the gap otherwise. Above it (a still screen recording, a picture that comes late) the
/// clip begins at `start`, because the sound before the frame is worth more.
const ORIGIN_SNAP_MAX: MediaTime = MediaTime(100_000);

/// A first frame that comes no later than this is waited for, however fast the others follow each other.
const WAIT_MAX: MediaTime = MediaTime(50_000);

/// The longest interval that is usual: one and a half of it are [`ORIGIN_SNAP_MAX`], so that in front of no first frame the
/// screen is black. Of a slower source (one picture a second) each picture is a still.
const USUAL_MAX: MediaTime = MediaTime(66_667);

/// How a source's pictures follow each other, as far as it decides whether one is held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// The usual interval between two frames; `None` where there is at most one.
    pub usual: Option<MediaTime>,
    /// Where the presentation ends: behind it no picture is on screen. `None` if that is not known.
    pub end: Option<MediaTime>,
}

impl Pace {
    /// The pace of frames that are shown at `pts`, in ticks of `timescale`: the usual interval is the median one.
    #[must_use]
    pub fn of(mut pts: Vec<i64>, timescale: u32, end: Option<MediaTime>) -> Self {
        pts.sort_unstable();
        let gap = |pair: &[i64]| if let [a, b] = pair { b - a } else { 0 };
        let mut gaps: Vec<i64> = pts.windows(2).map(gap).filter(|gap| *gap > 0).collect();
        let middle = gaps.len() / 2;
        let usual = (middle < gaps.len()).then(|| *gaps.select_nth_unstable(middle).1);
        Self { usual: usual.map(|ticks| MediaTime::from_ticks(ticks, timescale)), end }
    }

    /// Whether a first frame at `next` (`None`: there is no more) leaves the screen to the picture before it.
    fn is_late(self, start: MediaTime, next: Option<MediaTime>) -> bool {
        let Some(next) = next else { return self.end.is_none_or(|end| start < end) };
        let wait = next.since(start);
        let is_long = |usual: MediaTime| wait.0.saturating_mul(2) > usual.min(USUAL_MAX).0.saturating_mul(3);
        wait > WAIT_MAX && self.usual.is_none_or(is_long)
    }
}

/// The frames of a clip, in ticks of the video track's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRange {
    /// Presentation time of the first frame; of a held one, before the span.
    pub first: i64,
    /// Presentation time of the last frame.
    pub last: i64,
    /// How many frames there are.
    pub count: u64,
    /// Whether the first frame is the one that is on screen when the span starts, repeated at the clip's zero.
    pub held: bool,
}

impl FrameRange {
    /// The frames of a clip of `span`. `pts` are presentation times of all frames in any order, in ticks of
    /// `timescale`; `None` if no frame starts within the span and none is held.
    pub fn select(
        span: Span,
        pts: impl IntoIterator<Item = i64>,
        timescale: u32,
        pace: Pace,
    ) -> Option<Self> {
        let time = |at| MediaTime::from_ticks(at, timescale);
        let (mut range, mut before, mut next) = (None::<Self>, None::<i64>, None::<i64>);
        for at in pts {
            if time(at) < span.start {
                before = before.max(Some(at));
                continue;
            }
            next = Some(next.map_or(at, |next| next.min(at)));
            if span.contains(time(at)) {
                range = Some(match range {
                    None => Self { first: at, last: at, count: 1, held: false },
                    Some(Self { first, last, count, held }) => {
                        Self { first: first.min(at), last: last.max(at), count: count + 1, held }
                    }
                });
            }
        }
        match before.filter(|_| pace.is_late(span.start, next.map(time))) {
            None => range,
            Some(first) => {
                let (last, count) = range.map_or((first, 0), |range| (range.last, range.count));
                Some(Self { first, last, count: count + 1, held: true })
            }
        }
    }

    /// Where the clip's own timeline has its zero, on the source's timeline in ticks: the first frame, or the
    /// start of the span when the first frame comes late or is held.
    #[must_use]
    pub fn origin(self, span: Span, timescale: u32) -> i64 {
        if self.held {
            return ticks_ceil(span.start, timescale);
        }
        let gap = MediaTime::from_ticks(self.first, timescale).since(span.start);
        if gap <= ORIGIN_SNAP_MAX { self.first } else { ticks_ceil(span.start, timescale) }
    }
}

/// The first tick of a `timescale` clock that does not come before `at`.
#[must_use]
pub fn ticks_ceil(at: MediaTime, timescale: u32) -> i64 {
    let ticks = (i128::from(at.0) * i128::from(timescale) + 999_999).div_euclid(1_000_000);
    i64::try_from(ticks).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn span(start: i64, end: i64) -> Span {
        Span { start: MediaTime(start), end: MediaTime(end) }
    }

    #[test]
    fn takes_the_frame_at_start_and_leaves_the_frame_at_end() {
        // 30000/1001 frames a second: frame 45 is shown at 1.5015 s, frame 127 at 4.237567 s.
        let pts = (0..300).map(|n| n * 1001);
        let select = |span| FrameRange::select(span, pts.clone(), 30_000, pace(33_367)).unwrap();
        let wanted = |last, count| FrameRange { first: 45 * 1001, last, count, held: false };
        assert_eq!(select(span(1_500_000, 4_250_000)), wanted(127 * 1001, 83));
        assert_eq!(select(span(1_501_500, 4_237_567)), wanted(126 * 1001, 82));
    }

    const fn pace(usual: i64) -> Pace {
        Pace { usual: Some(MediaTime(usual)), end: Some(MediaTime(12_000_000)) }
    }

    fn held(span: Span, pts: &[i64], pace: Pace) -> Option<(bool, u64)> {
        FrameRange::select(span, pts.iter().copied(), 1000, pace).map(|range| (range.held, range.count))
    }

    #[test]
    fn the_picture_on_screen_is_held_where_the_next_one_comes_late() {
        // 25 frames a second, and none from 2.04 s to 5 s.
        let pts: Vec<i64> = (0..=51).map(|n| n * 40).chain((0..50).map(|n| 5000 + n * 40)).collect();
        let at = |start: i64, end: i64| held(span(start * 1000, end * 1000), &pts, pace(40_000));
        assert_eq!(at(1000, 1400), Some((false, 10)));
        assert_eq!(at(3000, 5400), Some((true, 11)));
        assert_eq!(at(3000, 4000), Some((true, 1)), "a still");
        // 60 ms are one and a half intervals, and 61 are more.
        assert_eq!((at(4940, 5020), at(4939, 5020)), (Some((false, 1)), Some((true, 2))));
        assert_eq!(at(7500, 9000), Some((true, 1)), "a picture that ended before the sound");
        assert_eq!(
            (at(12_000, 13_000), at(1010, 1030)),
            (None, None),
            "nothing is on screen, or the next is due"
        );
        assert_eq!(held(span(3_000_000, 8_000_000), &[0], Pace { usual: None, ..pace(0) }), Some((true, 1)));
        assert_eq!(
            held(span(100_000, 900_000), &[500], pace(40_000)),
            Some((false, 1)),
            "there is none before"
        );
        // One picture a second is slow, however usual.
        let slow: Vec<i64> = (0..10).map(|n| n * 1000).collect();
        let at = |start: i64| held(span(start * 1000, 8_000_000), &slow, pace(1_000_000));
        assert_eq!((at(3000), at(3300), at(3900)), (Some((false, 5)), Some((true, 5)), Some((false, 4))));
        // Above 30 frames a second, 50 ms decide.
        let fast: Vec<i64> = vec![0, 10, 20, 30, 90, 100];
        let at = |start: i64| held(span(start * 1000, 95_000), &fast, pace(10_000));
        assert_eq!((at(40), at(39)), (Some((false, 1)), Some((true, 2))));
    }

    #[test]
    fn the_usual_interval_is_the_median() {
        let pace = |pts: &[i64]| Pace::of(pts.to_vec(), 1000, None).usual.map(|usual| usual.0);
        assert_eq!(pace(&[80, 0, 40, 120, 9000]), Some(40_000));
        assert_eq!((pace(&[7]), pace(&[]), pace(&[5, 5])), (None, None, None));
    }

    #[test]
    fn an_empty_span_has_no_frames() {
        assert_eq!(FrameRange::select(span(10, 20), [0, 30], 1_000_000, pace(30)), None);
    }

    #[test]
    fn the_clip_begins_with_its_first_frame_unless_that_comes_late() {
        let range = FrameRange { first: 45_045, last: 90_000, count: 2, held: false };
        assert_eq!(range.origin(span(1_500_000, 4_000_000), 30_000), 45_045);
        assert_eq!(range.origin(span(500_000, 4_000_000), 30_000), 15_000);
        let held = FrameRange { held: true, ..range };
        assert_eq!(held.origin(span(1_600_000, 4_000_000), 30_000), 48_000);
    }

    proptest! {
        #[test]
        fn every_frame_is_in_exactly_one_of_two_neighbouring_clips(
            deltas in prop::collection::vec(1i64..9000, 1..200),
            cuts in prop::array::uniform3(0i64..20_000_000),
            timescale in prop::sample::select(vec![1000u32, 12_288, 30_000, 90_000]),
        ) {
            let pts: Vec<i64> = deltas.iter().scan(0, |at, d| { *at += d; Some(*at) }).collect();
            let mut cuts = cuts;
            cuts.sort_unstable();
            let count = |a, b| {
                let range = FrameRange::select(span(a, b), pts.iter().copied(), timescale, Pace::default());
                range.map_or(0, |range| range.count - u64::from(range.held))
            };
            prop_assert_eq!(count(cuts[0], cuts[1]) + count(cuts[1], cuts[2]), count(cuts[0], cuts[2]));
        }
    }
}
