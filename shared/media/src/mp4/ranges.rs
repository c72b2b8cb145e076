//! Byte ranges of a source: few and large instead of one for each sample.

use std::ops::{Deref, Range};

/// Up to this gap, reading on is cheaper than another request: at 50 MB/s it takes 5 ms.
const GAP_MAX: u64 = 256 << 10;

/// What may be read along where bytes are dear: a hundredth of what is wanted. A file's index may take eight times as much.
const SPARED: u64 = 100;

/// More requests than this for one clip are not made; instead, larger gaps are read along.
const RANGES_MAX: usize = 256;

/// Rising byte ranges that do not touch, as they lie one behind the other in a local file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    list: Vec<Range<u64>>,
    /// Where each range begins when they are put one behind the other.
    positions: Vec<u64>,
}

impl Ranges {
    /// Where the source's byte `offset`, which a range must hold, lies in the concatenation.
    pub(crate) fn position(&self, offset: u64) -> u64 {
        let n = self.list.partition_point(|range| range.start <= offset).saturating_sub(1);
        match (self.list.get(n), self.positions.get(n)) {
            (Some(range), Some(position)) => position + offset.saturating_sub(range.start),
            _ => 0,
        }
    }

    /// The ranges alone.
    pub(crate) fn into_list(self) -> Vec<Range<u64>> {
        self.list
    }
}

impl Deref for Ranges {
    type Target = [Range<u64>];

    fn deref(&self) -> &[Range<u64>] {
        &self.list
    }
}

/// Joins ranges in any order that overlap or lie near each other.
pub(crate) fn coalesce(ranges: Vec<Range<u64>>) -> Ranges {
    coalesce_within(ranges, RANGES_MAX)
}

/// Joins only what is so near that less than a [`SPARED`]th of all bytes is read along.
pub(crate) fn coalesce_sparing(ranges: Vec<Range<u64>>) -> Ranges {
    let ranges = adjoin(ranges);
    let wanted: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    let mut gaps: Vec<u64> = ranges.windows(2).map(|two| two[1].start.saturating_sub(two[0].end)).collect();
    gaps.sort_unstable();
    let mut left = wanted / SPARED;
    let fitting = gaps.into_iter().take_while(|gap| {
        let fits = *gap <= left;
        left = left.saturating_sub(*gap);
        fits
    });
    // Of several gaps of this length the last may not fit.
    let longest = fitting.last().map_or(0, |gap| gap.saturating_sub(1));
    coalesce_gaps(ranges.list, longest, usize::MAX)
}

/// Joins only what overlaps or touches.
pub(crate) fn adjoin(ranges: Vec<Range<u64>>) -> Ranges {
    coalesce_gaps(ranges, 0, usize::MAX)
}

/// As [`coalesce`], into `most` ranges at most.
pub(crate) fn coalesce_within(ranges: Vec<Range<u64>>, most: usize) -> Ranges {
    coalesce_gaps(ranges, GAP_MAX, most)
}

fn coalesce_gaps(mut ranges: Vec<Range<u64>>, mut gap_max: u64, most: usize) -> Ranges {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    loop {
        ranges = join(ranges, gap_max);
        if ranges.len() <= most {
            break;
        }
        gap_max = gap_max.saturating_mul(2);
    }
    let mut at = 0;
    let positions = ranges
        .iter()
        .map(|range| {
            let position = at;
            at += range.end - range.start;
            position
        })
        .collect();
    Ranges { list: ranges, positions }
}

fn join(ranges: Vec<Range<u64>>, gap_max: u64) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start.saturating_sub(last.end) <= gap_max => {
                last.end = last.end.max(range.end)
            }
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_neighbours_and_finds_every_byte_again() {
        let far = 10 << 20;
        let ranges = coalesce(vec![far..far + 10, 0..100, 50..60, 100..200, 300..301]);
        assert_eq!(*ranges, [0..301, far..far + 10]);
        assert_eq!(ranges.position(0), 0);
        assert_eq!(ranges.position(300), 300);
        assert_eq!(ranges.position(far + 9), 310);
    }

    #[test]
    fn little_is_read_along_where_bytes_are_dear() {
        // Sound of 400 bytes between pictures of 100 to 10,000.
        let mut at = 0;
        let sound: Vec<Range<u64>> = (0..10_000u64)
            .map(|n| {
                at += 400 + 100 + n;
                at - 400..at
            })
            .collect();
        let joined = coalesce_sparing(sound.clone());
        let bytes: u64 = joined.iter().map(|range| range.end - range.start).sum();
        assert!(
            joined.len() < sound.len() && (4_000_000..=4_040_000).contains(&bytes),
            "{} {bytes}",
            joined.len()
        );
        assert_eq!(joined.position(sound[9_999].start), bytes - 400);
        let one = coalesce_sparing(vec![5..10, 10..20]);
        assert_eq!((one.len(), one.first().cloned()), (1, Some(5..20)));
        assert!(coalesce_sparing(Vec::new()).is_empty());
    }

    #[test]
    fn never_makes_more_requests_than_allowed() {
        let ranges = coalesce((0..100_000u64).map(|n| (n << 22)..(n << 22) + 1).collect());
        assert!(ranges.len() <= RANGES_MAX);
    }
}
