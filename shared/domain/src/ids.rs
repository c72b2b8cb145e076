//! Identifiers and secrets.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::time::Timestamp;

/// The alphabet of public ids: FastClip's are 16 lower-case letters and digits.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The digits of numbers in base 36, in their order, which is also that of their bytes.
const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Length of a public id in characters; 36^16 is about 2^82.
const ID_LENGTH: usize = 16;

/// A job's id, and the id of the clip that it makes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

/// An account's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(String);

/// The id of an API key: what its owner calls it by, as the key itself is shown only once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

/// The id of an uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileId(String);

/// The id of an endpoint that webhooks are sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookId(String);

macro_rules! id {
    ($name:ident) => {
        impl $name {
            /// An id from 16 random bytes.
            #[must_use]
            pub fn from_random(bytes: [u8; ID_LENGTH]) -> Self {
                Self(
                    bytes
                        .iter()
                        .map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]))
                        .collect(),
                )
            }

            /// Reads an id from a path or a message; `None` if it cannot be one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let valid = text.len() == ID_LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
                valid.then(|| Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(JobId);

impl JobId {
    /// The id of the part `number` of this job: always the same, and who knows it does not learn the job's.
    #[must_use]
    pub fn part(&self, number: usize) -> Self {
        let digest = Sha256::digest(format!("{self}#{number}").as_bytes());
        let mut bytes = [0; ID_LENGTH];
        bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self::from_random(bytes)
    }
}

id!(AccountId);
id!(KeyId);
id!(FileId);
id!(WebhookId);

/// Digits of base 36 for the milliseconds of an id that sorts by time: enough until the year 5188.
const TIME_DIGITS: usize = 9;

/// An id that begins with a word and sorts by time.
macro_rules! timed_id {
    ($(#[$about:meta])* $name:ident, $prefix:literal) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id of what happens at `at`, from 16 random bytes.
            #[must_use]
            pub fn new(at: Timestamp, bytes: [u8; ID_LENGTH]) -> Self {
                Self(format!(concat!($prefix, "{}{}"), time_digits(at), JobId::from_random(bytes)))
            }

            /// Reads an id from a path or a message; `None` if it cannot be one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.strip_prefix($prefix)?;
                let valid = digits.len() == TIME_DIGITS + ID_LENGTH
                    && digits.bytes().all(|byte| BASE36.contains(&byte));
                valid.then(|| Self(text.to_owned()))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

timed_id!(
    /// The id of an event that webhooks tell of, the `webhook-id` of all requests that do.
    EventId,
    "evt_"
);
timed_id!(
    /// The id of a payment, which is also its `Idempotency-Key` at Stripe.
    PaymentId,
    "pay_"
);

fn time_digits(at: Timestamp) -> String {
    let mut rest = at.0.unsigned_abs();
    let mut digits = [b'0'; TIME_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE36[usize::try_from(rest % 36).unwrap_or_default()];
        rest /= 36;
    }
    digits.into_iter().map(char::from).collect()
}

/// An API key's text begins with this.
pub const API_KEY_PREFIX: &str = "sk_live_";

/// How many digits of a key's beginning and end stay readable; 56 digits, 224 bits, remain secret.
const KEY_DIGITS_SHOWN: usize = 4;

/// An API key. It is shown once and never stored: only its [`ApiKey::digest`] is.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key from 32 random bytes: the prefix and 64 hexadecimal digits.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(format!("{API_KEY_PREFIX}{}", hex(&bytes)))
    }

    /// Reads the key of an `Authorization` header; `None` if it cannot be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(API_KEY_PREFIX)?;
        is_secret(digits).then(|| Self(text.to_owned()))
    }

    /// SHA-256 of the key in hexadecimal, the only form that is stored. A key has 256 random bits, so a plain
    /// hash cannot be guessed back.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// How the key begins, for its owner to recognise it by: the prefix and four of the 64 digits.
    #[must_use]
    pub fn beginning(&self) -> &str {
        &self.0[..API_KEY_PREFIX.len() + KEY_DIGITS_SHOWN]
    }

    /// The last four digits, for the same purpose.
    #[must_use]
    pub fn last_four(&self) -> &str {
        &self.0[self.0.len() - KEY_DIGITS_SHOWN..]
    }

    /// The key itself, to be shown to its owner once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{API_KEY_PREFIX}…")
    }
}

/// A secret of 32 random bytes that its owner carries, and of which only the digest is stored.
macro_rules! secret_token {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// A token from 32 random bytes: 64 hexadecimal digits.
            #[must_use]
            pub fn from_random(bytes: [u8; 32]) -> Self {
                Self($crate::ids::hex(&bytes))
            }

            /// Reads a token; `None` if it cannot be one of ours.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                $crate::ids::is_secret(text).then(|| Self(text.to_owned()))
            }

            /// SHA-256 of the token in hexadecimal, the only form that is stored.
            #[must_use]
            pub fn digest(&self) -> String {
                $crate::ids::digest(&self.0)
            }

            /// The token itself, for its owner.
            #[must_use]
            pub fn reveal(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}
pub(crate) use secret_token;

secret_token! {
    /// A browser session's token. It lives in a cookie.
    SessionToken
}

/// Whether `text` has the form of 32 bytes in hexadecimal.
pub(crate) fn is_secret(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// SHA-256 of a text in hexadecimal: what is stored of a thing that must not be stored itself.
#[must_use]
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_strangers_are_refused() {
        let id = JobId::from_random([7; 16]);
        assert_eq!(JobId::parse(id.as_str()), Some(id));
        for text in
            ["", "short", "A1B2C3D4E5F6G7H8", "a1b2c3d4e5f6g7h8x", "a1b2c3d4e5f6g7h/", "ä1b2c3d4e5f6g7h"]
        {
            assert_eq!(JobId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn ids_of_events_sort_by_time() {
        let at = |ms| EventId::new(Timestamp(ms), [7; 16]);
        assert_eq!(EventId::parse(at(0).as_str()), Some(at(0)));
        for pair in [0, 9, 10, 35, 36, 1_800_000_000_000, 2_821_109_907_456, 9_999_999_999_999].windows(2) {
            assert!(at(pair[0]) < at(pair[1]), "{pair:?}");
        }
        for text in ["", "evt_", "evt_short", &at(1).as_str()[4..], &at(1).as_str().to_uppercase()] {
            assert_eq!(EventId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_kept_as_its_digest_and_never_printed() {
        let key = ApiKey::from_random([0xab; 32]);
        assert_eq!(ApiKey::parse(key.reveal()).as_ref(), Some(&key));
        assert_eq!(key.digest().len(), 64);
        assert_eq!((key.beginning(), key.last_four()), ("sk_live_abab", "abab"));
        assert_eq!(format!("{key:?}"), "sk_live_…");
        assert_eq!(ApiKey::parse("sk_live_"), None);
        assert_eq!(ApiKey::parse(&key.reveal().to_uppercase()), None);
    }
}
