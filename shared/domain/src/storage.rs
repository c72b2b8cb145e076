//! The room for pinned clips: 1 GB for everyone, and what was bought. Nothing else counts.

use serde::{Deserialize, Serialize};

use crate::clip::{Refusal, bad};

/// A gigabyte, in bytes.
pub const GB: u64 = 1_000_000_000;

/// Gigabytes that every account has (FastClip).
pub const FREE_GB: u64 = 1;

/// The most that is bought at once, in gigabytes.
pub const PURCHASE_GB_MAX: u64 = 10_000;

/// What an account keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Storage {
    /// Clips in its list, those included that have expired and are not cleared away yet.
    pub clips: u64,
    /// Pinned ones among them.
    pub pinned: u64,
    /// The pinned clips' bytes.
    pub used: u64,
    /// Gigabytes that were bought.
    pub purchased_gb: u64,
}

/// A clip that does not fit. The text is for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Storage is full: this clip has {needed} bytes, {free} of {quota} are free. Unpin or delete a clip, or buy storage \
     (POST /v1/storage/purchase)"
)]
pub struct Full {
    /// The clip's length in bytes.
    pub needed: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that there are in all.
    pub quota: u64,
}

impl Storage {
    /// Bytes that pinned clips may have.
    #[must_use]
    pub const fn quota(&self) -> u64 {
        FREE_GB.saturating_add(self.purchased_gb).saturating_mul(GB)
    }

    /// Bytes that are free.
    #[must_use]
    pub const fn free(&self) -> u64 {
        self.quota().saturating_sub(self.used)
    }

    /// How many bytes may be in use before a clip of `bytes` is pinned.
    ///
    /// # Errors
    /// [`Full`] if more are.
    pub fn room_for(&self, bytes: u64) -> Result<u64, Full> {
        let full = Full { needed: bytes, free: self.free(), quota: self.quota() };
        self.quota().checked_sub(bytes).filter(|room| self.used <= *room).ok_or(full)
    }
}

/// Checks how many gigabytes someone wants to buy.
///
/// # Errors
/// [`Refusal::BadRequest`].
pub fn purchase(gb: u64) -> Result<u64, Refusal> {
    if (1..=PURCHASE_GB_MAX).contains(&gb) {
        return Ok(gb);
    }
    Err(bad(format!("`gb` must be a whole number from 1 to {PURCHASE_GB_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_fits_to_the_last_byte() {
        let storage = Storage { used: GB - 10, ..Storage::default() };
        assert_eq!((storage.quota(), storage.free()), (GB, 10));
        assert_eq!(storage.room_for(10), Ok(GB - 10));
        assert_eq!(storage.room_for(11), Err(Full { needed: 11, free: 10, quota: GB }));
        assert!(storage.room_for(u64::MAX).is_err());
        let bought = Storage { purchased_gb: 5, ..storage };
        assert_eq!((bought.quota(), bought.room_for(5 * GB)), (6 * GB, Ok(GB)));
        assert_eq!(Storage { purchased_gb: u64::MAX, ..storage }.quota(), u64::MAX);
    }

    #[test]
    fn gigabytes_are_bought_whole() {
        assert_eq!((purchase(1), purchase(PURCHASE_GB_MAX)), (Ok(1), Ok(PURCHASE_GB_MAX)));
        for gb in [0, PURCHASE_GB_MAX + 1, u64::MAX] {
            assert!(purchase(gb).is_err(), "{gb}");
        }
    }
}
