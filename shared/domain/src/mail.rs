//! The mails that the product sends, as orders on their way through a queue: what they say, not how.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A mail to be sent. No `Debug`: it has secrets in it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub enum Mail {
    /// A link and a code to sign in with.
    SignIn {
        /// The address, in its one form.
        to: String,
        /// The secret of the link.
        token: String,
        /// The six digits.
        code: String,
        /// From when on both are worth nothing.
        expires_at: Timestamp,
    },
    /// A link to approve a reload with.
    ApproveReload {
        /// The address, in its one form.
        to: String,
        /// The secret of the link.
        token: String,
        /// How much is to be charged, in cents.
        cents: u64,
        /// From when on the link is worth nothing.
        expires_at: Timestamp,
    },
    /// A reload that the card's bank wants its owner to confirm: a page of Stripe where that can be done.
    FinishPayment {
        /// The address, in its one form.
        to: String,
        /// The page.
        url: String,
        /// How much is to be paid, in cents.
        cents: u64,
        /// From when on the page is closed.
        expires_at: Timestamp,
    },
    /// Somebody with one of the owner's keys has guessed at the reload password.
    ReloadLocked {
        /// The address, in its one form.
        to: String,
        /// Until when no reload is tried.
        until: Timestamp,
    },
}

impl Mail {
    /// Who gets it.
    #[must_use]
    pub fn to(&self) -> &str {
        match self {
            Self::SignIn { to, .. }
            | Self::ApproveReload { to, .. }
            | Self::FinishPayment { to, .. }
            | Self::ReloadLocked { to, .. } => to,
        }
    }

    /// From when on it is worth nothing, and is not sent any more.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        match self {
            Self::SignIn { expires_at, .. }
            | Self::ApproveReload { expires_at, .. }
            | Self::FinishPayment { expires_at, .. } => *expires_at,
            Self::ReloadLocked { until, .. } => *until,
        }
    }
}
