//! Where to cut long sound, so that its pieces can be recognised side by side.

use domain::time::MediaTime;
use serde::{Deserialize, Serialize};

use crate::stretch::Stretch;
use crate::{SAMPLE_RATE, time_of};

/// A piece is not longer: 10 minutes.
const PIECE_MAX: usize = 600 * SAMPLE_RATE;
/// A piece that goes on is not shorter than this if it can be cut at a silence later: 8 minutes.
const PIECE_MIN: usize = 480 * SAMPLE_RATE;
/// Sound around the speech that belongs to the piece, where there is none of another: 400 ms.
const AROUND: usize = 2 * SAMPLE_RATE / 5;

/// A stretch of sound in which somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Its first sample, on the sound's timeline.
    pub start: MediaTime,
    /// Behind its last sample: at most ten minutes later.
    pub end: MediaTime,
}

/// Pieces that hold all that is spoken, cut at the longest silence that is late enough. Only speech without any silence is
/// cut in its middle. The sound has so many samples.
pub(crate) fn pieces(stretches: &[Stretch], samples: usize) -> Vec<Piece> {
    let mut found: Vec<Stretch> = Vec::new();
    let mut rest = stretches.to_vec();
    rest.reverse();
    while let Some(first) = rest.pop() {
        let longest = PIECE_MAX - 2 * AROUND;
        let fits = first.start + longest;
        if first.end > fits {
            rest.push(fits..first.end);
            found.push(first.start..fits);
            continue;
        }
        // How many of those that follow may come along, and the silence behind each.
        let mut end = first.end;
        let mut best: Option<(usize, usize, usize)> = None;
        let (mut count, mut all) = (0, true);
        for next in rest.iter().rev() {
            if end >= first.start + PIECE_MIN && best.is_none_or(|(silence, ..)| next.start - end > silence) {
                best = Some((next.start - end, count, end));
            }
            if next.end > fits {
                all = false;
                break;
            }
            (end, count) = (next.end, count + 1);
        }
        if let Some((_, shorter, at)) = best.filter(|_| !all) {
            (end, count) = (at, shorter);
        }
        rest.truncate(rest.len() - count);
        found.push(first.start..end);
    }
    let mut before = 0;
    let mut pieces = Vec::with_capacity(found.len());
    for (number, piece) in found.iter().enumerate() {
        let next = found.get(number + 1).map_or(usize::MAX, |next| next.start);
        // Half of a short silence belongs to either side.
        let end = (piece.end + AROUND.min((next - piece.end) / 2)).min(samples);
        let start = piece.start.saturating_sub(AROUND).max(before);
        pieces.push(Piece { start: time_of(start), end: time_of(end) });
        before = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(pieces: &[Piece]) -> Vec<(f64, f64)> {
        pieces.iter().map(|piece| (piece.start.seconds(), piece.end.seconds())).collect()
    }

    fn speech(seconds: &[(usize, usize)]) -> Vec<Stretch> {
        seconds.iter().map(|(start, end)| start * SAMPLE_RATE..end * SAMPLE_RATE).collect()
    }

    #[test]
    fn the_longest_silence_that_is_late_enough_is_cut() {
        let talk = speech(&[(10, 100), (150, 500), (510, 560), (562, 590), (591, 640), (641, 650)]);
        assert_eq!(seconds(&pieces(&talk, usize::MAX)), [(9.6, 500.4), (509.6, 650.4)]);
        assert_eq!(
            seconds(&pieces(&talk[..3], 560 * SAMPLE_RATE)),
            [(9.6, 560.0)],
            "short sound stays whole"
        );
        assert_eq!(pieces(&[], 0), []);
        let song = speech(&[(0, 1300)]);
        assert_eq!(pieces(&song, 1300 * SAMPLE_RATE).len(), 3);
    }

    proptest! {
        #[test]
        fn all_speech_is_in_one_piece_and_no_piece_is_too_long(
            lengths in proptest::collection::vec((1..200_000usize, 1_600..9_000_000usize), 0..60),
        ) {
            let mut at = 0;
            let talk: Vec<Stretch> = lengths
                .iter()
                .map(|(silence, length)| {
                    at += silence + length;
                    at - length..at
                })
                .collect();
            let pieces = pieces(&talk, at);
            for piece in &pieces {
                prop_assert!(piece.start < piece.end);
                prop_assert!(piece.end.since(piece.start) <= MediaTime(600_000_000));
            }
            prop_assert!(pieces.windows(2).all(|two| two[0].end <= two[1].start));
            for stretch in talk {
                let (start, end) = (time_of(stretch.start), time_of(stretch.end));
                let inside: i64 = pieces.iter().map(|piece| (piece.end.min(end).0 - piece.start.max(start).0).max(0)).sum();
                prop_assert_eq!(inside, end.0 - start.0);
            }
        }
    }
}
