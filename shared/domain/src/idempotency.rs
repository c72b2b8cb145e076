//! `Idempotency-Key`: one intention is carried out once, however often the request is sent.

use sha2::{Digest, Sha256};

use crate::{ids::hex, time::Timestamp};

/// The longest key, in characters.
pub const KEY_LENGTH_MAX: usize = 255;
const KEPT_MS: i64 = 24 * 3_600_000;

/// What a client means to do: the name it gave to it, and what the request says. Both as digests, because a client
/// may put anything into them, secrets included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intention {
    /// SHA-256 of the key in hexadecimal.
    pub key: String,
    /// SHA-256 of method, path and body in hexadecimal.
    pub request: String,
}

/// A key that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`Idempotency-Key` must be 1 to {KEY_LENGTH_MAX} visible ASCII characters")]
pub struct MalformedKey;

impl Intention {
    /// The intention behind a request with this key.
    ///
    /// # Errors
    /// [`MalformedKey`].
    pub fn new(key: &[u8], method: &str, path: &str, body: &[u8]) -> Result<Self, MalformedKey> {
        let valid = (1..=KEY_LENGTH_MAX).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        if !valid {
            return Err(MalformedKey);
        }
        // Neither method nor path holds a line break, so no two requests read the same.
        let head = format!("{method}\n{path}\n");
        let request = Sha256::new().chain_update(head).chain_update(body).finalize();
        Ok(Self { key: hex(&Sha256::digest(key)), request: hex(&request) })
    }
}

/// How long the response to a request that was carried out at `now` is kept: 24 hours.
#[must_use]
pub const fn kept_until(now: Timestamp) -> Timestamp {
    now.plus_ms(KEPT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        let of = |key: &[u8]| Intention::new(key, "POST", "/v1/clip", b"{}");
        for key in ["a", "7f3c-1", "!~", &"k".repeat(255)] {
            assert!(of(key.as_bytes()).is_ok(), "{key}");
        }
        for key in ["", " ", "a b", "a\tb", "a\u{7f}", "é", &"k".repeat(256)] {
            assert_eq!(of(key.as_bytes()), Err(MalformedKey), "{key}");
        }
    }

    #[test]
    fn every_part_of_the_request_tells() {
        let of = |key: &str, method: &str, path: &str, body: &str| {
            Intention::new(key.as_bytes(), method, path, body.as_bytes()).unwrap()
        };
        let first = of("k", "POST", "/v1/clip", "{}");
        assert_eq!(first, of("k", "POST", "/v1/clip", "{}"));
        assert_eq!(first.request, of("other", "POST", "/v1/clip", "{}").request);
        for other in [
            of("k", "POST", "/v1/clip", "{} "),
            of("k", "POST", "/v1/auto", "{}"),
            of("k", "PUT", "/v1/clip", "{}"),
        ] {
            assert_eq!(first.key, other.key);
            assert_ne!(first.request, other.request);
        }
    }
}
