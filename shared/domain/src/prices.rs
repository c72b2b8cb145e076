//! Price books: versioned, embedded, never changed once released. A job keeps the version it was priced by.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::{money::Amount, time::MediaTime};

/// FastClip's price list. All amounts are in the `usd` wallet's unit, micro-dollars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBook {
    /// Name of this edition, kept with every job.
    pub version: String,
    currency: String,
    unit: String,
    manual_clip: Amount,
    manual_clip_4k: Amount,
    download: Amount,
    download_4k: Amount,
    transcript: Amount,
    auto_clip_per_source_hour: Amount,
    auto_clip_extra_segment: Amount,
    auto_clip_4k_premium: Amount,
    analyze_per_source_hour: Amount,
    /// Not in the first edition.
    storage_gb: Option<Amount>,
}

/// Every edition ever released, oldest first. A new price is a new file and a new line here.
const EDITIONS: [&str; 2] =
    [include_str!("../prices/fastclip-2026-03.json"), include_str!("../prices/fastclip-2026-11.json")];

static BOOKS: LazyLock<Vec<PriceBook>> = LazyLock::new(|| {
    // The files are embedded, and a test reads each of them: a broken one never ships.
    EDITIONS.iter().filter_map(|text| serde_json::from_str(text).ok()).collect()
});

impl PriceBook {
    /// The edition that new jobs are priced by. `None` only in a build whose price files are broken.
    #[must_use]
    pub fn current() -> Option<&'static Self> {
        BOOKS.last()
    }

    /// The edition with this version.
    #[must_use]
    pub fn edition(version: &str) -> Option<&'static Self> {
        BOOKS.iter().find(|book| book.version == version)
    }

    /// A clip between given times. `is_4k`: whether true 4K is delivered (see [`crate::quality::PictureSize`]).
    #[must_use]
    pub const fn manual_clip(&self, is_4k: bool) -> Amount {
        if is_4k { self.manual_clip_4k } else { self.manual_clip }
    }

    /// A whole video.
    #[must_use]
    pub const fn download(&self, is_4k: bool) -> Amount {
        if is_4k { self.download_4k } else { self.download }
    }

    /// A transcript.
    #[must_use]
    pub const fn transcript(&self) -> Amount {
        self.transcript
    }

    /// Clips found by a description: by started hour of the source, plus each segment behind the first, plus a
    /// flat premium when 4K is delivered.
    #[must_use]
    pub fn auto_clip(&self, source: MediaTime, segments: u64, is_4k: bool) -> Amount {
        let premium = if is_4k { self.auto_clip_4k_premium.units() } else { 0 };
        Amount::new(
            self.auto_clip_per_source_hour.units() * started_hours(source)
                + self.auto_clip_extra_segment.units() * segments.saturating_sub(1)
                + premium,
        )
    }

    /// Moments found by a description, without clips: by started hour of the source.
    #[must_use]
    pub fn analyze(&self, source: MediaTime) -> Amount {
        Amount::new(self.analyze_per_source_hour.units() * started_hours(source))
    }

    /// Gigabytes of storage, once and for good. `None` if this edition sells none, or past 2^64.
    #[must_use]
    pub fn storage(&self, gb: u64) -> Option<Amount> {
        self.storage_gb?.units().checked_mul(gb).map(Amount::new)
    }
}

/// Hours of `duration`, rounded up to the next one; at least one.
fn started_hours(duration: MediaTime) -> u64 {
    u64::try_from(duration.ceil_seconds()).unwrap_or(0).div_ceil(3600).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edition_reads_and_is_in_micro_dollars() {
        assert_eq!(BOOKS.len(), EDITIONS.len());
        for book in BOOKS.iter() {
            assert_eq!((book.currency.as_str(), book.unit.as_str()), ("usd", "micro-dollars"));
            assert_eq!(PriceBook::edition(&book.version), Some(book));
        }
    }

    #[test]
    fn fastclips_list_prices() {
        let book = PriceBook::current().unwrap();
        let hours = |h: f64| MediaTime::from_seconds(h * 3600.0).unwrap();
        assert_eq!(book.manual_clip(false), Amount::cents(10));
        assert_eq!(book.manual_clip(true), Amount::cents(20));
        assert_eq!((book.download(false), book.download(true)), (Amount::cents(5), Amount::cents(10)));
        assert_eq!(book.transcript(), Amount::cents(2));
        assert_eq!(book.auto_clip(hours(1.0), 1, false), Amount::cents(20));
        assert_eq!(book.auto_clip(hours(1.01), 3, true), Amount::cents(40 + 20 + 10));
        assert_eq!(book.analyze(hours(0.2)), Amount::cents(10));
        assert_eq!((book.storage(5), book.storage(u64::MAX)), (Some(Amount::cents(500)), None));
        assert_eq!(PriceBook::edition("fastclip-2026-03").unwrap().storage(5), None);
    }
}
