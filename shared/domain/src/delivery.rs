//! How much may be fetched of what was made: of one clip, and of all of an account's.
//!
//! A link is signed by us and answered by S3, which tells nobody how often it is fetched. So what counts is the signing, as if
//! each link were fetched once, whole. It is counted in [`PIECE`]s: a file that is smaller counts as a whole piece with the
//! chance that makes the sum right. So links to small files cost no write and no round trip but now and then, and large ones
//! two writes for what costs thousands of times as much to send; and of a day's bound, hundreds of pieces, the sum is off by
//! some percent at most.

use crate::rate::{Quota, Window};

/// What is counted as one, in bytes: 100 MB, which cost $0.009 to send.
pub const PIECE: u64 = 100_000_000;

/// What of one clip may be fetched in a day if it is small, in bytes.
const CLIP_BYTES_MIN: u64 = 20_000_000_000;
/// How often a large clip may be fetched in a day.
const CLIP_TIMES: u64 = 100;

/// The largest whole video that an account may have made before its first deposit, in bytes.
pub const BONUS_DOWNLOAD_BYTES_MAX: u64 = 2_000_000_000;

/// What may be fetched in a day of all that an account has had made, in GB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryBounds {
    /// Until its first deposit.
    pub bonus_gb: u32,
    /// After it.
    pub paid_gb: u32,
}

impl DeliveryBounds {
    /// The bound of an account.
    #[must_use]
    pub const fn of_account(self, has_deposited: bool) -> Quota {
        let gb = if has_deposited { self.paid_gb } else { self.bonus_gb };
        Quota::new("delivered", Window::Day, gb.saturating_mul(10))
    }
}

/// The bound of a clip of this size.
#[must_use]
pub fn of_clip(bytes: u64) -> Quota {
    let bytes = bytes.saturating_mul(CLIP_TIMES).max(CLIP_BYTES_MIN);
    Quota::new("clip_delivered", Window::Day, u32::try_from(bytes / PIECE).unwrap_or(u32::MAX))
}

/// As how many pieces a file counts, this time.
#[must_use]
pub fn pieces(bytes: u64, random: u64) -> u32 {
    let rest = u64::from(random % PIECE < bytes % PIECE);
    u32::try_from(bytes / PIECE + rest).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_count_as_a_whole_piece_now_and_then() {
        for bytes in [0, 1, 30_000_000, PIECE, 250_000_000] {
            // As many random numbers as there are pieces of a thousandth.
            let counted: u64 =
                (0..1000).map(|n| u64::from(pieces(bytes, n * (PIECE / 1000) + 7 * PIECE))).sum();
            let exact = bytes * 1000 / PIECE;
            assert!(counted.abs_diff(exact) <= 1, "{bytes}: {counted} for {exact}");
        }
    }

    #[test]
    fn bounds_are_those_that_are_told() {
        let bounds = DeliveryBounds { bonus_gb: 50, paid_gb: 2000 };
        let bytes = |quota: Quota| u64::from(quota.max) * PIECE;
        assert_eq!(bytes(bounds.of_account(false)), 50_000_000_000);
        assert_eq!(bytes(bounds.of_account(true)), 2_000_000_000_000);
        assert_eq!(bytes(of_clip(5_000_000)), 20_000_000_000);
        assert_eq!(bytes(of_clip(1_000_000_000)), 100_000_000_000);
    }
}
