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
pub struct Amount(pub u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

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

    #[test]
    fn dollars_are_shown_as_decimals() {
        assert_eq!(
            serde_json::json!({ "balance": Amount(4_900_000).dollars() }).to_string(),
            r#"{"balance":4.9}"#
        );
        assert_eq!(Amount(4_900_000).to_string(), "$4.90");
        assert_eq!(Amount(105_000).to_string(), "$0.105");
        assert_eq!(Amount::cents(10), Amount(100_000));
    }
}
