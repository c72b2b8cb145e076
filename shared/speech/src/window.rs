//! One window of at most 30 s: which part of the speech it holds, and what of its tokens counts.

use crate::mel::{FRAMES, HOP};
use crate::stretch::Stretch;
use crate::vocabulary::Vocabulary;

/// Samples that a window holds at most: 30 s.
const WINDOW_MAX: usize = FRAMES * HOP;
/// A window that ends at a silence is at least so long, 20 s: each costs the same, whatever it holds.
const WINDOW_MIN: usize = 2 * WINDOW_MAX / 3;
/// Sound around the speech that a window shows: 200 ms.
const AROUND: usize = 20 * HOP;
/// A longer silence, or music, is not shown at all: 2 s.
const GAP_MAX: usize = 200 * HOP;
/// A window that gets less far than this is done with as a whole: 1 s. So the number of windows is bounded.
const ADVANCE_MIN: usize = 100;
/// As much may be left of a window behind the last word, in frames: 1 s.
const LEFT_MAX: usize = 100;

/// The samples of the next window, from `done` on: where speech begins, to a silence if there is one late enough.
pub(crate) fn next(stretches: &[Stretch], done: usize, samples: usize) -> Option<Stretch> {
    let mut rest = stretches.iter().filter(|stretch| stretch.end > done).peekable();
    let start = rest.peek()?.start.saturating_sub(AROUND).max(done);
    let fits = start + WINDOW_MAX;
    let mut end = None;
    while let Some(stretch) = rest.next_if(|stretch| stretch.end <= fits) {
        let pause = rest.peek().map_or(samples, |next| next.start) - stretch.end;
        end = Some((stretch.end + AROUND.min(pause / 2)).min(fits));
    }
    let in_speech = rest.peek().is_some_and(|next| next.start < fits);
    let end = match end {
        Some(end) if !in_speech || end >= start + WINDOW_MIN => end,
        _ => fits,
    };
    Some(start..end.min(samples))
}

/// What the window shows: its samples, with silence in place of what is long and no speech. There music would be made into
/// words.
pub(crate) fn shown(samples: &[f32], window: &Stretch, stretches: &[Stretch]) -> Vec<f32> {
    let mut shown = samples[window.clone()].to_vec();
    let mut before = 0;
    let ends = stretches.iter().map(|stretch| (stretch.start, stretch.end));
    for (start, end) in ends.chain([(samples.len() + AROUND, 0)]) {
        if start.saturating_sub(before) > GAP_MAX {
            let silent = (before + AROUND).clamp(window.start, window.end)
                ..start.saturating_sub(AROUND).clamp(window.start, window.end);
            if silent.start < silent.end {
                shown[silent.start - window.start..silent.end - window.start].fill(0.0);
            }
        }
        before = end;
    }
    shown
}

/// What of a window's tokens counts, and how far it got.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    /// Segments: tokens of text that belong together.
    pub(crate) segments: Vec<Vec<usize>>,
    /// The frame of the window that the next one begins at.
    pub(crate) frames: usize,
}

/// Takes the tokens up to the last time stamp, if that leaves something behind it for the next window: Whisper stops before
/// the end of a window when it likes, and a word at the end may be half of one.
pub(crate) fn take(ids: &[usize], vocabulary: &Vocabulary, frames: usize) -> Taken {
    let stamp = |at: usize| ids.get(at).and_then(|id| vocabulary.stamp(*id));
    let mut taken = Taken { segments: Vec::new(), frames };
    let mut end = ids.len();
    let last = ids.len().checked_sub(1).and_then(stamp);
    let ends_once = last.is_some() && ids.len().checked_sub(2).and_then(stamp).is_none();
    if ends_once {
        // Nothing is said behind this one, says Whisper. Within a second of the end that is so.
        taken.frames = last.filter(|last| last + LEFT_MAX < frames).unwrap_or(frames);
    } else if let Some(pair) = (1..ids.len()).rev().find(|at| stamp(at - 1).is_some() && stamp(*at).is_some())
    {
        // What is behind the pair has not ended.
        end = pair;
        taken.frames = stamp(pair - 1).unwrap_or(frames).min(frames);
    }
    if taken.frames < ADVANCE_MIN {
        (taken.frames, end) = (frames, ids.len());
    }
    let segments = ids[..end].split(|id| vocabulary.stamp(*id).is_some());
    let text = segments.map(|ids| ids.iter().copied().filter(|id| vocabulary.is_text(*id)).collect());
    taken.segments = text.filter(|segment: &Vec<usize>| !segment.is_empty()).collect();
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vocabulary::tests::small;

    const SECOND: usize = 100 * HOP;

    fn speech(seconds: &[(usize, usize)]) -> Vec<Stretch> {
        seconds.iter().map(|(start, end)| start * SECOND..end * SECOND).collect()
    }

    #[test]
    fn a_window_ends_at_a_silence_if_one_is_late_enough() {
        let talk = speech(&[(1, 10), (11, 25), (26, 40), (60, 95)]);
        let window = |done: usize| next(&talk, done * SECOND, 100 * SECOND);
        let ms = |from: usize, to: usize| Some(from * SECOND / 1000..to * SECOND / 1000);
        assert_eq!(window(0), ms(800, 25_200));
        assert_eq!(window(26), ms(26_000, 40_200));
        assert_eq!(window(41), ms(59_800, 89_800), "speech without a silence is cut");
        assert_eq!(window(90), ms(90_000, 95_200));
        assert_eq!(window(96), None);
    }

    #[test]
    fn what_is_long_and_no_speech_is_not_shown() {
        let talk = speech(&[(3, 5), (6, 7), (10, 12)]);
        let all = vec![1.0; 13 * SECOND];
        let shown = shown(&all, &(4 * SECOND..13 * SECOND), &talk);
        let at = |tenths: usize| shown[tenths * SECOND / 10 - 4 * SECOND];
        assert_eq!([41, 55, 71, 75, 95, 99, 121, 129].map(at), [1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn tokens_count_up_to_the_last_time() {
        let vocabulary = small();
        let stamp = |frame: usize| 9 + frame / 2;
        let take = |ids: &[usize]| {
            let taken = take(ids, &vocabulary, 2000);
            (taken.segments, taken.frames)
        };
        let whole = [stamp(0), 0, 1, stamp(800), stamp(900), 3, stamp(1950)];
        assert_eq!(take(&whole), (vec![vec![0, 1], vec![3]], 2000));
        let stopped = [stamp(0), 0, 1, stamp(800)];
        assert_eq!(take(&stopped), (vec![vec![0, 1]], 800));
        let unfinished = [stamp(0), 0, 1, stamp(800), stamp(800), 3];
        assert_eq!(take(&unfinished), (vec![vec![0, 1]], 800));
        let no_times = [0, 1, 3];
        assert_eq!(take(&no_times), (vec![vec![0, 1, 3]], 2000));
        let nowhere = [stamp(0), 0, stamp(20), stamp(20), 3];
        assert_eq!(take(&nowhere), (vec![vec![0], vec![3]], 2000));
        assert_eq!(take(&[]), (vec![], 2000));
    }

    proptest! {
        #[test]
        fn windows_go_on_and_show_all_speech(
            lengths in proptest::collection::vec((1_600..200_000usize, 1_600..900_000usize), 0..20),
        ) {
            let mut samples = 0;
            let talk: Vec<Stretch> = lengths
                .iter()
                .map(|(silence, length)| {
                    samples += silence + length;
                    samples - length..samples
                })
                .collect();
            let (mut done, mut windows) = (0, Vec::new());
            while let Some(window) = next(&talk, done, samples) {
                prop_assert!(window.start >= done && window.len() <= WINDOW_MAX && !window.is_empty());
                done = window.end;
                windows.push(window);
            }
            for stretch in talk {
                let parts = windows.iter().map(|window| window.end.min(stretch.end).saturating_sub(window.start.max(stretch.start)));
                prop_assert_eq!(parts.sum::<usize>(), stretch.len());
            }
        }
    }
}
