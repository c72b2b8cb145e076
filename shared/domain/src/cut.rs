//! The cut plan: which frames a clip [start, end) consists of, decided from presentation times alone.
//!
//! Invariant: a clip has every frame with start ≤ pts < end and no other.

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

/// The frames of a clip, in ticks of the video track's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRange {
    /// Presentation time of the first frame.
    pub first: i64,
    /// Presentation time of the last frame.
    pub last: i64,
    /// How many frames there are.
    pub count: u64,
}

impl FrameRange {
    /// The frames within `span`. `pts` are presentation times in any order, in ticks of `timescale`; `None` if no
    /// frame starts within the span.
    pub fn select(span: Span, pts: impl IntoIterator<Item = i64>, timescale: u32) -> Option<Self> {
        pts.into_iter().filter(|&at| span.contains(MediaTime::from_ticks(at, timescale))).fold(
            None,
            |range, at| {
                Some(match range {
                    None => Self { first: at, last: at, count: 1 },
                    Some(Self { first, last, count }) => {
                        Self { first: first.min(at), last: last.max(at), count: count + 1 }
                    }
                })
            },
        )
    }

    /// Where the clip's own timeline has its zero, on the source's timeline in ticks: the first frame, or the
    /// start of the span when the first frame comes late.
    #[must_use]
    pub fn origin(self, span: Span, timescale: u32) -> i64 {
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
        let range = FrameRange::select(span(1_500_000, 4_250_000), pts.clone(), 30_000).unwrap();
        assert_eq!(range, FrameRange { first: 45 * 1001, last: 127 * 1001, count: 83 });
        let exact = FrameRange::select(span(1_501_500, 4_237_567), pts, 30_000).unwrap();
        assert_eq!(exact, FrameRange { first: 45 * 1001, last: 126 * 1001, count: 82 });
    }

    #[test]
    fn an_empty_span_has_no_frames() {
        assert_eq!(FrameRange::select(span(10, 20), [0, 1_000_000], 1_000_000), None);
    }

    #[test]
    fn the_clip_begins_with_its_first_frame_unless_that_comes_late() {
        let range = FrameRange { first: 45_045, last: 90_000, count: 2 };
        assert_eq!(range.origin(span(1_500_000, 4_000_000), 30_000), 45_045);
        assert_eq!(range.origin(span(500_000, 4_000_000), 30_000), 15_000);
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
            let count = |a, b| FrameRange::select(span(a, b), pts.iter().copied(), timescale).map_or(0, |r| r.count);
            prop_assert_eq!(count(cuts[0], cuts[1]) + count(cuts[1], cuts[2]), count(cuts[0], cuts[2]));
        }
    }
}
