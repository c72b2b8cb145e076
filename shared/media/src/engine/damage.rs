//! What of a span can be shown, decided from what a decoder made of each packet.
//!
//! Invariant: a decoder's word counts only if it is about the span. What is decoded from a *clean* key picture (one that it
//! did not complain of) is right up to the next complaint; what comes behind a complaint, or in front of the first clean
//! key picture, is in doubt. A packet that gave no frame is a frame that is missing, complaint or not, unless another frame
//! is shown at about the same time: then it is the second field of that one, or a picture that is only kept for others.

use std::{collections::BTreeSet, ops::Range};

use crate::ffmpeg::{Seen, Survey};

/// Of ten frames, nine must be there.
const THERE_OF_TEN_MIN: u64 = 9;

/// What became of a part of a stream. Times are in ticks of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// When the frames are shown that can be.
    pub(super) shown: Vec<i64>,
    /// When those should have been that cannot.
    pub(super) lost: BTreeSet<i64>,
    /// How many more have left no packet behind.
    pub(super) gone: u64,
    /// Where what is shown is in doubt.
    pub(super) doubtful: Vec<Range<i64>>,
    /// The first clean key picture.
    pub(super) clean: Option<i64>,
}

impl Judged {
    /// Judges a part of a stream of pictures, as far as it lies in `span`.
    pub(super) fn picture(survey: &Survey, span: &Range<i64>) -> Self {
        let given: BTreeSet<i64> = survey.frames.iter().map(|frame| frame.at).collect();
        let within = |at: i64| span.contains(&at);
        let mut judged = Self::default();
        let (mut state, mut doubts) = (State::default(), Vec::new());
        let near = usual(&given) * 3 / 4;
        let is_shown = |at: i64| given.range(at - near..=at + near).next().is_some();
        for packet in &survey.packets {
            // What an edit list hides is decoded all the same: others stand on it.
            let doubtful = state.doubts(packet);
            if packet.hidden {
                continue;
            }
            if judged.clean.is_none() {
                judged.clean = state.key;
            }
            let lost =
                survey.timed && if doubtful { !given.contains(&packet.at) } else { !is_shown(packet.at) };
            if doubtful || lost {
                doubts.push(packet.at);
            }
            if lost && within(packet.at) {
                judged.lost.insert(packet.at);
            }
        }
        judged.shown = given.iter().copied().filter(|at| within(*at)).collect();
        for part in until_clean(survey, &doubts) {
            judged.doubt(part, span);
        }
        judged.doubtful = merged(judged.doubtful);
        if !survey.timed && !judged.doubtful.is_empty() {
            let packets = survey.packets.iter().filter(|packet| within(packet.at)).count();
            judged.gone = packets.saturating_sub(judged.shown.len()) as u64;
        }
        judged.gone += vanished(survey, &doubts, span);
        judged
    }

    /// Judges a part of a stream of sound: each packet stands alone.
    pub(super) fn sound(survey: &Survey, span: &Range<i64>) -> Self {
        let given: BTreeSet<i64> = survey.frames.iter().map(|frame| frame.at).collect();
        let mut judged = Self::default();
        let lengths = survey.packets.iter().map(|packet| packet.length).filter(|length| *length > 0);
        let usual = lengths.max().unwrap_or(1);
        // A packet that the decoder refuses gives no frame, and of its complaint nothing is seen. The clocks of packets and
        // frames may be apart by what an encoder puts in front.
        let near = usual * 3 / 4;
        let is_heard = |at: i64| given.range(at - near..=at + near).next().is_some();
        for packet in &survey.packets {
            let length = if packet.length > 0 { packet.length } else { usual };
            let part = packet.at..packet.at.saturating_add(length);
            if part.start >= span.end || part.end <= span.start {
                continue;
            }
            let lost = !is_heard(packet.at);
            if packet.bad || lost {
                judged.doubt(part, span);
            }
            if lost {
                judged.lost.insert(packet.at);
            } else {
                judged.shown.push(packet.at);
            }
        }
        judged.doubtful = merged(judged.doubtful);
        judged
    }

    /// Of the frames that were promised, those of which nothing was seen are lost: reading may have ended before them.
    pub(super) fn miss(&mut self, promised: &[i64], survey: &Survey, span: &Range<i64>) {
        let packets = survey.packets.iter().map(|packet| packet.at);
        let seen: BTreeSet<i64> = packets.chain(survey.frames.iter().map(|frame| frame.at)).collect();
        let unseen = promised.iter().copied().filter(|at| span.contains(at) && !seen.contains(at));
        let unseen: BTreeSet<i64> = unseen.collect();
        if let Some(first) = unseen.first() {
            self.doubt(*first..span.end, span);
            self.doubtful = merged(std::mem::take(&mut self.doubtful));
        }
        self.lost.extend(unseen);
    }

    fn doubt(&mut self, part: Range<i64>, span: &Range<i64>) {
        let part = part.start.max(span.start)..part.end.min(span.end);
        if part.start < part.end {
            self.doubtful.push(part);
        }
    }

    /// How many frames are missing.
    pub(super) fn missing(&self) -> u64 {
        self.lost.len() as u64 + self.gone
    }

    /// Whether enough is there to be delivered.
    pub(super) fn is_enough(&self) -> bool {
        let there = self.shown.len() as u64;
        there > 0 && there * 10 >= (there + self.missing()) * THERE_OF_TEN_MIN
    }
}

/// What a decoder stands on.
#[derive(Default)]
struct State {
    /// Whether all is right since the last clean key picture.
    is_clean: bool,
    /// Whether it was when that came.
    was_clean: bool,
    /// The last clean key picture.
    key: Option<i64>,
}

impl State {
    /// Whether this packet's picture is in doubt.
    fn doubts(&mut self, packet: &Seen) -> bool {
        if packet.bad {
            self.is_clean = false;
        } else if packet.key {
            self.was_clean = self.is_clean;
            (self.is_clean, self.key) = (true, Some(packet.at));
        }
        // What leads a key picture was coded by what came before that.
        let leads = self.key.is_some_and(|key| packet.at < key);
        !self.is_clean || (leads && !self.was_clean)
    }
}

/// From each of these times to the next clean key picture.
fn until_clean(survey: &Survey, doubts: &[i64]) -> Vec<Range<i64>> {
    let keys = survey.packets.iter().filter(|packet| packet.key && !packet.bad).map(|packet| packet.at);
    let keys: BTreeSet<i64> = keys.collect();
    let end = |at: i64| keys.range(at + 1..).next().copied().unwrap_or(i64::MAX);
    doubts.iter().map(|at| *at..end(*at)).collect()
}

/// Where a stream of pictures of which nothing was decoded is in doubt.
pub(crate) fn doubtful(survey: &Survey) -> Vec<Range<i64>> {
    let mut state = State::default();
    let doubtful = survey.packets.iter().filter(|packet| state.doubts(packet) && !packet.hidden);
    let doubts: Vec<i64> = doubtful.map(|packet| packet.at).collect();
    merged(until_clean(survey, &doubts))
}

/// How many frames have gone without a trace, beside packets that are in doubt: as many as fit the gaps there.
fn vanished(survey: &Survey, doubts: &[i64], span: &Range<i64>) -> u64 {
    let mut times: Vec<i64> = survey.packets.iter().filter(|p| !p.hidden).map(|packet| packet.at).collect();
    times.sort_unstable();
    times.dedup();
    let gaps = || times.windows(2).filter_map(|pair| if let [a, b] = pair { Some((*a, *b)) } else { None });
    let usual = usual(&times).max(1);
    let doubts: BTreeSet<i64> = doubts.iter().copied().collect();
    let within = gaps().filter(|(a, b)| span.start < *b && *a < span.end);
    let wide = within.filter(|(a, b)| (b - a) * 2 > usual * 3 && (doubts.contains(a) || doubts.contains(b)));
    wide.map(|(a, b)| ((b - a + usual / 2) / usual - 1).unsigned_abs()).sum()
}

/// The usual interval between these times, which rise; 0 if there are fewer than two.
fn usual<'a>(times: impl IntoIterator<Item = &'a i64>) -> i64 {
    let mut before = None;
    let gap = |at: &i64| before.replace(*at).map(|before: i64| at - before);
    let mut gaps: Vec<i64> = times.into_iter().filter_map(gap).collect();
    let middle = gaps.len() / 2;
    if middle < gaps.len() { *gaps.select_nth_unstable(middle).1 } else { 0 }
}

/// The same parts, those that touch as one.
fn merged(mut parts: Vec<Range<i64>>) -> Vec<Range<i64>> {
    parts.sort_unstable_by_key(|part| (part.start, part.end));
    let mut merged: Vec<Range<i64>> = Vec::new();
    for part in parts {
        match merged.last_mut() {
            Some(last) if part.start <= last.end => last.end = last.end.max(part.end),
            _ => merged.push(part),
        }
    }
    merged
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // one part is meant, not its numbers
mod tests {
    use super::*;
    use crate::ffmpeg::Given;

    /// Packets from words: `I` is a key picture, `!` behind the time a complaint, `-` a packet that gave no frame.
    fn survey(words: &str) -> Survey {
        let mut survey = Survey { timed: true, ..Survey::default() };
        for word in words.split_whitespace() {
            let at = word[1..].trim_end_matches(['!', '-']).parse().unwrap();
            let (key, bad) = (word.starts_with('I'), word.contains('!'));
            survey.packets.push(Seen { at, length: 1, key, hidden: false, bad });
            if !word.contains('-') {
                survey.frames.push(Given { at, size: (2, 2) });
            }
        }
        survey
    }

    fn judged(words: &str, span: Range<i64>) -> (u64, usize, Vec<Range<i64>>) {
        let judged = Judged::picture(&survey(words), &span);
        (judged.missing(), judged.shown.len(), judged.doubtful)
    }

    #[test]
    fn what_lies_outside_the_span_does_not_matter() {
        // The beginning of a group is missing, and a picture is damaged in the second one.
        let words = "p0!- p1!- p2- I3 p4 p5 I6 p7! p8 I9 p10 p11";
        assert_eq!(judged(words, 3..6), (0, 3, vec![]));
        assert_eq!(judged(words, 9..12), (0, 3, vec![]));
        assert_eq!(judged(words, 4..8), (0, 4, vec![7..8]));
        assert_eq!(judged(words, 8..12), (0, 4, vec![8..9]), "what follows is coded by what is damaged");
        assert_eq!(judged(words, 0..5), (3, 2, vec![0..3]));
        assert_eq!(Judged::picture(&survey(words), &(0..5)).clean, Some(3));
    }

    #[test]
    fn sound_that_gives_no_frame_is_lost_complaint_or_not() {
        let judged = |words| Judged::sound(&survey(words), &(0..6));
        let silent = judged("I0 I1 I2- I3- I4 I5 I6-");
        assert_eq!(
            (silent.missing(), silent.shown.len(), silent.doubtful.as_slice()),
            (2, 4, [2..4].as_slice())
        );
        assert!(!silent.is_enough());
        assert!(judged("I0 I1 I2 I3 I4 I5").doubtful.is_empty());
    }

    #[test]
    fn what_an_edit_list_hides_is_stood_on_all_the_same() {
        let mut part = survey("I0 p1 p2 p3 p4");
        part.packets[..2].iter_mut().for_each(|packet| packet.hidden = true);
        part.frames.retain(|frame| frame.at > 1);
        assert_eq!(Judged::picture(&part, &(2..5)).doubtful, []);
        assert_eq!(doubtful(&part), []);
    }

    #[test]
    fn what_was_promised_and_never_read_is_lost() {
        let part = survey("I0 p1 p2");
        let mut judged = Judged::picture(&part, &(0..5));
        judged.miss(&[0, 1, 2, 3, 4, 5], &part, &(0..5));
        assert_eq!((judged.missing(), judged.doubtful.as_slice()), (2, [3..5].as_slice()));
        assert!(!judged.is_enough());
    }

    #[test]
    fn what_leads_the_first_key_picture_is_lost() {
        assert_eq!(judged("I5 b3- b4- p8 b6 b7", 3..9), (2, 4, vec![3..5]));
        assert_eq!(judged("I0 p1! p2 I5 b4 p6", 0..7), (1, 6, vec![1..5]), "3 never came");
    }

    #[test]
    fn frames_that_left_no_packet_are_missing_too() {
        let words = "I0 p1 p2 p3 p4 p9! p10 I11 p12 p13 p15 p16";
        assert_eq!(judged(words, 0..17).0, 4, "but not the pause at 14");
        let enough = |words, span: Range<i64>| Judged::picture(&survey(words), &span).is_enough();
        assert!(!enough(words, 0..17));
        assert!(enough("I0 p1 p2 p3 p4 p5 p6 p7 p8 p9!-", 0..10));
        assert!(!enough("I0 p1 p2 p3 p4 p5 p6 p7 p8!- p9!-", 0..10));
        assert!(!enough("p1!- p2!-", 0..10));
    }

    #[test]
    fn a_packet_without_a_frame_is_one_that_is_missing() {
        assert_eq!(judged("I0 p20 p40- p60- I80 p100", 0..120), (2, 4, vec![40..80]), "without a word");
        let fields = "I0 p10- p20 p30- I40 p50-";
        assert_eq!(judged(fields, 0..60), (0, 3, vec![]), "second fields");
        assert_eq!(judged("I0 p20 p39- p40 p60", 0..80), (0, 4, vec![]), "a picture that is kept for others");
    }

    #[test]
    fn packets_of_sound_stand_alone() {
        let judged = Judged::sound(&survey("I0! I1 I2!- I3! I4"), &(1..4));
        assert_eq!((judged.missing(), judged.shown.len(), judged.doubtful), (1, 2, vec![2..4]));
    }
}
