//! How a large file is divided: into parts, each of which is uploaded by itself, and into shards, the parts that one
//! function carries. (S3's rules: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.)
//!
//! Invariant: the parts cover the file without gap or overlap, in order; all but the last have the same length, at
//! least S3's 5 MiB; there are at most 10,000 of them, and each belongs to exactly one shard.

use std::ops::Range;

/// The largest file that is carried, in bytes: 8 functions at 5 MB/s take 42 minutes for it, and a job has an hour.
pub const BYTES_MAX: u64 = 100_000_000_000;
/// The most shards of a file.
pub const SHARDS_MAX: u64 = BYTES_MAX / SHARD_BYTES_MAX + 1;

/// The usual length of a part. A function holds two at a time.
const PART_BYTES: u64 = 8 << 20;
/// The most parts that S3 takes.
const PARTS_MAX: u64 = 10_000;
/// What one function carries at most: 7 minutes at 5 MB/s, of the 15 that it has.
const SHARD_BYTES_MAX: u64 = 2_000_000_000;
/// Below this, another function is not worth its start.
const SHARD_BYTES_MIN: u64 = 32 << 20;
/// How many functions a file is spread over, unless their shares become too large or too small.
const SHARDS: u64 = 8;

/// The division of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    total: u64,
    part: u64,
    shard: u64,
}

impl Division {
    /// Divides a file of `total` bytes.
    #[must_use]
    pub fn of(total: u64) -> Self {
        let part = total.div_ceil(PARTS_MAX).div_ceil(1 << 20).saturating_mul(1 << 20).max(PART_BYTES);
        let share = (total / SHARDS).clamp(SHARD_BYTES_MIN, SHARD_BYTES_MAX);
        Self { total, part, shard: (share / part).max(1) }
    }

    /// How many parts there are; at least one, also of an empty file.
    #[must_use]
    pub fn parts(&self) -> u64 {
        self.total.div_ceil(self.part).max(1)
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> u64 {
        self.parts().div_ceil(self.shard)
    }

    /// The numbers of a shard's parts, from 0; none for a shard that does not exist.
    #[must_use]
    pub fn parts_of(&self, shard: u64) -> Range<u64> {
        let start = shard.saturating_mul(self.shard).min(self.parts());
        start..start.saturating_add(self.shard).min(self.parts())
    }

    /// The bytes of a part.
    #[must_use]
    pub fn bytes_of(&self, part: u64) -> Range<u64> {
        let start = part.saturating_mul(self.part).min(self.total);
        start..start.saturating_add(self.part).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_files_are_one_shard_and_large_ones_many() {
        let counts = |total| (Division::of(total).parts(), Division::of(total).shards());
        assert_eq!(counts(0), (1, 1));
        assert_eq!(counts(PART_BYTES), (1, 1));
        assert_eq!(counts(40 << 20), (5, 2));
        assert_eq!(counts(1 << 30), (128, 8));
        assert!(counts(BYTES_MAX).1 <= SHARDS_MAX, "{:?}", counts(BYTES_MAX));
    }

    proptest! {
        #[test]
        fn parts_and_shards_cover_everything_once(total in prop_oneof![0..200u64 << 20, 0..=BYTES_MAX]) {
            let division = Division::of(total);
            prop_assert!(division.parts() <= PARTS_MAX && division.shards() <= SHARDS_MAX);
            let (mut part, mut at) = (0, 0);
            for shard in 0..division.shards() {
                prop_assert_eq!(division.parts_of(shard).start, part);
                part = division.parts_of(shard).end;
                let first = division.bytes_of(division.parts_of(shard).start).start;
                prop_assert!(division.bytes_of(part - 1).end - first <= SHARD_BYTES_MAX);
                for number in division.parts_of(shard) {
                    let bytes = division.bytes_of(number);
                    prop_assert_eq!(bytes.start, at);
                    let last = number + 1 == division.parts();
                    prop_assert!(last || bytes.end - bytes.start >= 5 << 20);
                    prop_assert!(bytes.end - bytes.start <= 64 << 20);
                    at = bytes.end;
                }
            }
            prop_assert_eq!((part, at), (division.parts(), total));
            prop_assert!(division.parts_of(division.shards()).is_empty());
        }
    }
}
