//! Time: wall-clock instants in milliseconds and positions on a media timeline in microseconds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An instant in milliseconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This instant moved by `ms` milliseconds.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Whole seconds since the epoch, the unit of DynamoDB's TTL attribute.
    #[must_use]
    pub const fn epoch_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// RFC 3339 in UTC with whole seconds, for example `2026-03-30T12:00:00Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_second(self.epoch_seconds()).map_or_else(|_| String::new(), |t| t.to_string())
    }
}

/// A position or length on a media timeline, in microseconds.
///
/// All comparisons of frame times with the borders of a clip happen in this unit: a presentation time is first
/// rounded to the nearest microsecond, as `ffprobe` prints it, so a time that a user copied from `ffprobe` names
/// exactly the frame it was copied from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

/// Why a time in a request was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a number and not `[[h:]m:]s[.fraction]`.
    #[error("must be a time in seconds or like \"1:02:03.5\"")]
    Malformed,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Infinite, NaN, or more than a hundred days.
    #[error("must be a finite time")]
    OutOfRange,
}

/// The largest time taken from a request: far above every limit, far below overflow.
const SECONDS_MAX: f64 = 8_640_000.0;

impl MediaTime {
    /// The start of the timeline.
    pub const ZERO: Self = Self(0);

    /// Seconds as a binary fraction, rounded to the nearest microsecond.
    ///
    /// # Errors
    /// [`TimeError`] for NaN, infinities, negative and absurdly large values.
    pub fn from_seconds(seconds: f64) -> Result<Self, TimeError> {
        if !seconds.is_finite() || seconds > SECONDS_MAX {
            return Err(TimeError::OutOfRange);
        }
        if seconds < 0.0 {
            return Err(TimeError::Negative);
        }
        #[allow(clippy::cast_possible_truncation)] // bounded by SECONDS_MAX
        Ok(Self((seconds * 1e6).round() as i64))
    }

    /// `ticks` of a clock that runs at `timescale` ticks a second, rounded to the nearest microsecond.
    #[must_use]
    pub fn from_ticks(ticks: i64, timescale: u32) -> Self {
        let scale = i128::from(timescale.max(1));
        let micros = (i128::from(ticks) * 2_000_000 + scale).div_euclid(2 * scale);
        Self(i64::try_from(micros).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX }))
    }

    /// Seconds as a binary fraction, for JSON.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // exact below 2^53 µs = 285 years
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Whole seconds, rounded up.
    #[must_use]
    pub const fn ceil_seconds(self) -> i64 {
        (self.0 + 999_999).div_euclid(1_000_000)
    }

    /// The length from `earlier` to `self`.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl std::str::FromStr for MediaTime {
    type Err = TimeError;

    /// Reads `"83.5"`, `"1:23.5"` or `"1:02:03.5"`. Minutes and seconds behind a colon must be below 60.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(TimeError::Negative);
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (whole, last) = match parts.as_slice() {
            [s] => (vec![], *s),
            [m, s] => (vec![*m], *s),
            [h, m, s] => (vec![*h, *m], *s),
            _ => return Err(TimeError::Malformed),
        };
        let digits = |s: &str| !s.is_empty() && s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit());
        let (int, fraction) = last.split_once('.').unwrap_or((last, "0"));
        let fraction_digits = !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit());
        if !digits(int) || !fraction_digits || fraction.len() > 18 || !whole.iter().all(|s| digits(s)) {
            return Err(TimeError::Malformed);
        }
        let number = |s: &str| s.parse::<f64>().map_err(|_| TimeError::Malformed);
        let mut seconds = 0.0;
        for (position, part) in whole.iter().enumerate() {
            let value = number(part)?;
            if position > 0 && value >= 60.0 {
                return Err(TimeError::Malformed);
            }
            seconds = (seconds + value) * 60.0;
        }
        let value = number(last)?;
        if !whole.is_empty() && value >= 60.0 {
            return Err(TimeError::Malformed);
        }
        Self::from_seconds(seconds + value)
    }
}

impl fmt::Display for MediaTime {
    /// `m:ss` or `h:mm:ss`, with as many decimals as are needed: `1:30`, `0:01.5`, `1:02:03`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.max(0);
        let (total, fraction) = (micros / 1_000_000, micros % 1_000_000);
        let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
        if hours > 0 {
            write!(f, "{hours}:{minutes:02}:{seconds:02}")?;
        } else {
            write!(f, "{minutes}:{seconds:02}")?;
        }
        if fraction > 0 {
            write!(f, ".{}", format!("{fraction:06}").trim_end_matches('0'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_seconds_and_clock_times() {
        for (text, micros) in [
            ("0", 0),
            ("83.5", 83_500_000),
            ("1:23.5", 83_500_000),
            ("1:02:03.5", 3_723_500_000),
            (" 00:30 ", 30_000_000),
            ("90:00", 5_400_000_000),
        ] {
            assert_eq!(text.parse(), Ok(MediaTime(micros)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in
            ["", "abc", "NaN", "inf", "1e3", "1:60", "1:2:60", "1:60:00", "1:2:3:4", "1.", ".5", "+5", "0x10"]
        {
            assert_eq!(text.parse::<MediaTime>(), Err(TimeError::Malformed), "{text}");
        }
        assert_eq!("-1".parse::<MediaTime>(), Err(TimeError::Negative));
        assert_eq!(MediaTime::from_seconds(-0.5), Err(TimeError::Negative));
        assert_eq!(MediaTime::from_seconds(f64::NAN), Err(TimeError::OutOfRange));
        assert_eq!(MediaTime::from_seconds(1e300), Err(TimeError::OutOfRange));
    }

    #[test]
    fn rounds_ticks_as_ffprobe_prints_them() {
        assert_eq!(MediaTime::from_ticks(1001, 30_000), MediaTime(33_367)); // 33,366.67 µs
        assert_eq!(MediaTime::from_ticks(-1024, 48_000), MediaTime(-21_333));
        assert_eq!(MediaTime::from_ticks(i64::MAX, 1), MediaTime(i64::MAX));
    }

    #[test]
    fn prints_the_shortest_clock_time() {
        assert_eq!(MediaTime(120_000_000).to_string(), "2:00");
        assert_eq!(MediaTime(1_500_000).to_string(), "0:01.5");
        assert_eq!(MediaTime(3_723_000_001).to_string(), "1:02:03.000001");
    }

    #[test]
    fn prints_instants_in_utc() {
        assert_eq!(Timestamp(1_774_872_000_000).rfc3339(), "2026-03-30T12:00:00Z");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(micros in 0..86_400_000_000i64) {
            prop_assert_eq!(MediaTime(micros).to_string().parse(), Ok(MediaTime(micros)));
        }
    }
}
