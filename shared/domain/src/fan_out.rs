//! How much work a full encode is, and how it is shared out among functions.
//!
//! Invariant: the shares of a span follow each other without gap or overlap, so every frame is in exactly one.

use crate::{cut::Span, quality::PictureSize, time::MediaTime};

/// Above this, an encode is shared out: a function with 6 cores is then at work for some ten seconds, and its start
/// and the joining are worth it.
const ONE_FUNCTION_MAX_SECONDS: f64 = 60.0;

/// How much a share should be.
const SHARE_SECONDS: f64 = 45.0;

/// The most shares of one clip.
pub const SHARES_MAX: usize = 40;

/// CPU seconds for a million pixels, measured with x264 `veryfast` at crf 20 on noisy pictures: decoding and scaling,
/// which go by the source's size, and encoding, which goes by the clip's.
const READ_SECONDS_PER_MEGAPIXEL: f64 = 0.005;
const ENCODE_SECONDS_PER_MEGAPIXEL: f64 = 0.020;

/// A full encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encode {
    /// The source's pictures.
    pub source: PictureSize,
    /// The clip's.
    pub delivered: PictureSize,
    /// How many there are.
    pub frames: u64,
}

impl Encode {
    /// An estimate of the CPU time, in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // an estimate
    pub fn cpu_seconds(self) -> f64 {
        let megapixels = |size: PictureSize| f64::from(size.width) * f64::from(size.height) / 1e6;
        let frame = megapixels(self.source) * READ_SECONDS_PER_MEGAPIXEL
            + megapixels(self.delivered) * ENCODE_SECONDS_PER_MEGAPIXEL;
        self.frames as f64 * frame
    }

    /// Among how many functions it is shared out; 1 when one is enough.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the bounds of the clamp
    pub fn shares(self) -> usize {
        let seconds = self.cpu_seconds();
        if seconds <= ONE_FUNCTION_MAX_SECONDS {
            return 1;
        }
        (seconds / SHARE_SECONDS).ceil().clamp(2.0, SHARES_MAX as f64) as usize
    }
}

/// Cuts `span` into at most `shares` spans of about the same length at some of `borders`, which are rising times. There
/// are fewer if there are not enough borders.
#[must_use]
pub fn share_out(span: Span, shares: usize, borders: &[MediaTime]) -> Vec<Span> {
    let (mut starts, length) = (vec![span.start], span.duration().0);
    for share in 1..i64::try_from(shares).unwrap_or(1) {
        let ideal = MediaTime(span.start.0 + length / i64::try_from(shares).unwrap_or(1) * share);
        let next = borders.partition_point(|border| *border < ideal);
        let near = [next.checked_sub(1), Some(next)].into_iter().flatten().filter_map(|n| borders.get(n));
        let nearest = near.min_by_key(|border| border.0.abs_diff(ideal.0));
        let last = starts.last().copied().unwrap_or(span.start);
        starts.extend(nearest.filter(|border| last < **border && **border < span.end));
    }
    let ends = starts.iter().skip(1).copied().chain([span.end]).collect::<Vec<_>>();
    starts.into_iter().zip(ends).map(|(start, end)| Span { start, end }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn size(width: u32, height: u32) -> PictureSize {
        PictureSize { width, height }
    }

    #[test]
    fn ten_minutes_of_4k_are_shared_out_and_ten_seconds_of_1080p_are_not() {
        let full_hd = size(1920, 1080);
        let long = Encode { source: size(3840, 2160), delivered: full_hd, frames: 18_000 };
        assert!((1400.0..1600.0).contains(&long.cpu_seconds()), "{}", long.cpu_seconds());
        assert_eq!(long.shares(), 34);
        assert_eq!(Encode { source: full_hd, delivered: full_hd, frames: 300 }.shares(), 1);
        assert_eq!(Encode { frames: u64::MAX, ..long }.shares(), SHARES_MAX);
    }

    #[test]
    fn shares_begin_at_borders() {
        let at = |seconds: i64| MediaTime(seconds * 1_000_000);
        let span = Span { start: at(1), end: at(10) };
        let starts = |borders: &[i64], shares| {
            let borders: Vec<_> = borders.iter().map(|s| at(*s)).collect();
            share_out(span, shares, &borders)
                .iter()
                .map(|share| share.start.0 / 1_000_000)
                .collect::<Vec<_>>()
        };
        assert_eq!(starts(&[0, 2, 4, 6, 8, 10], 3), [1, 4, 6]);
        assert_eq!(starts(&[0, 1, 10, 20], 3), [1]);
        assert_eq!(starts(&[], 5), [1]);
        assert_eq!(starts(&[5], 9), [1, 5]);
    }

    proptest! {
        #[test]
        fn shares_follow_each_other(
            start in 0i64..1_000, length in 1i64..1_000, shares in 1usize..50,
            mut borders in prop::collection::vec(0i64..2_000, 0..60),
        ) {
            borders.sort_unstable();
            let borders: Vec<_> = borders.into_iter().map(MediaTime).collect();
            let span = Span { start: MediaTime(start), end: MediaTime(start + length) };
            let list = share_out(span, shares, &borders);
            prop_assert!(list.len() <= shares);
            prop_assert_eq!(list.first().map(|share| share.start), Some(span.start));
            prop_assert_eq!(list.last().map(|share| share.end), Some(span.end));
            prop_assert!(list.iter().all(|share| share.start < share.end));
            prop_assert!(list.windows(2).all(|pair| pair[0].end == pair[1].start && borders.contains(&pair[1].start)));
        }
    }
}
