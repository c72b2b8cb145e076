//! How events are carried.

use serde::{Deserialize, Serialize};

/// How the network between this Stripe and the shop behaves: the body of `POST /_local/stripe/network`. What is not said is
/// as usual, so `{}` makes it a good one again. It outlives a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Only events of these types are meant by the rest; without any, all.
    pub types: Vec<String>,
    /// Events wait until this is taken back.
    pub hold: bool,
    /// Events that happen now never arrive, unless they are sent by hand.
    pub drop: bool,
    /// Each event is posted so many times more.
    pub duplicate: u32,
    /// Events that happen, or were held back, at about the same time are sent one by one, the newest first.
    pub reorder: bool,
    /// Events are sent so much later, in milliseconds.
    pub delay_ms: i64,
}

impl Network {
    /// Whether an event of this type is meant.
    pub(crate) fn means(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|meant| meant == kind)
    }
}
