//! Money is an integer: micro-dollars in the `usd` wallet, whole credits in the other two.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of an account's three purses. Money never moves between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WalletKind {
    /// Prepaid dollars, in micro-dollars (FastClip's prices).
    Usd,
    /// EditClips credits.
    Edit,
    /// Trackyard credits.
    Track,
}

impl WalletKind {
    /// All wallets of an account.
    pub const ALL: [Self; 3] = [Self::Usd, Self::Edit, Self::Track];

    /// The word used in keys and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Usd => "usd",
            Self::Edit => "edit",
            Self::Track => "track",
        }
    }
}

/// An amount in the smallest unit of its wallet: micro-dollars, or credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many of the smallest unit.
    #[must_use]
    pub const fn new(units: u64) -> Self {
        Self(units)
    }

    /// How many of the smallest unit it is.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// Whole cents, in a `usd` wallet.
    #[must_use]
    pub const fn cents(cents: u64) -> Self {
        Self(cents * 10_000)
    }

    /// Dollars as a decimal number for JSON: 4,900,000 micro-dollars are `4.9`.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // exact below 2^53 micro-dollars, nine billion dollars
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Reads dollars as JSON writes a number (RFC 8259, section 6), digit by digit: `0.1` is exactly ten cents.
    ///
    /// # Errors
    /// [`MoneyError`] for anything that is no amount of whole micro-dollars.
    pub fn from_dollars(text: &str) -> Result<Self, MoneyError> {
        if text.len() > DOLLARS_CHARS_MAX {
            return Err(MoneyError::TooLong);
        }
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (sign, number) = text.strip_prefix('-').map_or(("", text), |number| ("-", number));
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let exponent_digits = exponent.trim_start_matches(['+', '-']);
        if ![whole, fraction, exponent_digits].into_iter().all(is_digits) {
            return Err(MoneyError::NotANumber);
        }
        let exponent: i128 = exponent.parse().map_err(|_| MoneyError::NotANumber)?;
        // At most 32 digits, so 128 bits hold them.
        let digits: u128 = format!("{whole}{fraction}").parse().map_err(|_| MoneyError::NotANumber)?;
        if !sign.is_empty() {
            return Err(MoneyError::Negative);
        }
        let power = exponent - fraction.len() as i128 + MICRO_DECIMALS;
        scaled(digits, power).map(Self)
    }

    /// The sum, or `None` past 2^64.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` below zero.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

/// `digits` times ten to the `power`, exactly.
fn scaled(mut digits: u128, mut power: i128) -> Result<u64, MoneyError> {
    while digits > 0 && power < 0 {
        if !digits.is_multiple_of(10) {
            return Err(MoneyError::TooFine);
        }
        (digits, power) = (digits / 10, power + 1);
    }
    while digits > 0 && power > 0 {
        digits = digits.checked_mul(10).ok_or(MoneyError::TooLarge)?;
        power -= 1;
    }
    u64::try_from(digits).map_err(|_| MoneyError::TooLarge)
}

/// The longest number of dollars that is read, in characters.
const DOLLARS_CHARS_MAX: usize = 32;
/// A micro-dollar is the sixth decimal of a dollar.
const MICRO_DECIMALS: i128 = 6;

/// Why a text is no amount of money. The words go behind the name of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// No number at all.
    #[error("must be a number of dollars like 0.10; leave it out for no limit")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Finer than money is counted.
    #[error("may have six decimals at most")]
    TooFine,
    /// More than an account can hold.
    #[error("is too large")]
    TooLarge,
    /// More digits than any amount has.
    #[error("may have {DOLLARS_CHARS_MAX} characters at most")]
    TooLong,
}

impl fmt::Display for Amount {
    /// Dollars for people, with at least two decimals: `$4.90`, `$0.105`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.0 % 1_000_000);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "${}.{}", self.0 / 1_000_000, &decimals[..kept])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_shown_as_decimals() {
        assert_eq!(
            serde_json::json!({ "balance": Amount::new(4_900_000).dollars() }).to_string(),
            r#"{"balance":4.9}"#
        );
        assert_eq!(Amount::new(4_900_000).to_string(), "$4.90");
        assert_eq!(Amount::new(105_000).to_string(), "$0.105");
        assert_eq!(Amount::cents(10), Amount::new(100_000));
    }

    #[test]
    fn dollars_are_read_digit_by_digit() {
        for (text, micro) in [
            ("0.10", 100_000),
            ("0.1", 100_000),
            ("1e-1", 100_000),
            ("0.000001", 1),
            ("1E-6", 1),
            ("0.1000000000", 100_000),
            ("0", 0),
            ("0e99999", 0),
            ("4", 4_000_000),
            ("25e+2", 2_500_000_000),
            ("18446744073709.551615", u64::MAX),
        ] {
            assert_eq!(Amount::from_dollars(text), Ok(Amount::new(micro)), "{text}");
        }
        for (text, problem) in [
            ("-0.1", MoneyError::Negative),
            ("-0", MoneyError::Negative),
            ("0.0000001", MoneyError::TooFine),
            ("0.1000000000000000001", MoneyError::TooFine),
            ("1e-99999999", MoneyError::TooFine),
            ("18446744073709.551616", MoneyError::TooLarge),
            ("1e99999999", MoneyError::TooLarge),
            ("0.1000000000000000000000000000000000000", MoneyError::TooLong),
        ] {
            assert_eq!(Amount::from_dollars(text), Err(problem), "{text}");
        }
        for text in [
            "", "-", "NaN", "Infinity", "null", "\"0.10\"", "$1", "1,5", ".5", "1.", "1e", "1e+-1", "0x1",
            "[]",
        ] {
            assert_eq!(Amount::from_dollars(text), Err(MoneyError::NotANumber), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micro in any::<u64>()) {
            let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
            prop_assert_eq!(Amount::from_dollars(&text), Ok(Amount::new(micro)));
        }

        #[test]
        fn any_text_is_an_amount_or_a_problem(text in "[-+0-9.eE]{0,40}") {
            let _ = Amount::from_dollars(&text);
        }
    }
}
