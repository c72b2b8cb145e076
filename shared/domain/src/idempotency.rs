//! `Idempotency-Key`: one intention is carried out once, however often the request is sent.

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::{ids::hex, limits::JSON_BODY_BYTES_MAX, time::Timestamp};

/// The longest key, in characters.
pub const KEY_LENGTH_MAX: usize = 255;
const KEPT_MS: i64 = 24 * 3_600_000;

/// What a client means to do: the name it gave to it, and what the request says. Both as digests, because a client
/// may put anything into them, secrets included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intention {
    /// SHA-256 of the key in hexadecimal.
    pub key: String,
    /// SHA-256 of method, path and body in hexadecimal, byte by byte. What earlier releases compare.
    pub request: String,
    /// The same of what the body means.
    pub meaning: String,
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
        let of = |body: &[u8]| hex(&Sha256::new().chain_update(&head).chain_update(body).finalize());
        Ok(Self { key: hex(&Sha256::digest(key)), request: of(body), meaning: of(&meaning(body)) })
    }
}

/// A JSON body in the one form that all bodies with the same meaning have: members in the order of their names, no spaces,
/// numbers by their value, and without members that are null, which a request may as well leave out. Any other body is
/// taken as it is.
fn meaning(body: &[u8]) -> Vec<u8> {
    // A longer one is refused whatever it says.
    let readable = (body.len() <= JSON_BODY_BYTES_MAX).then(|| serde_json::from_slice::<Value>(body).ok());
    let Some(value) = readable.flatten() else { return body.to_vec() };
    let mut text = String::new();
    write_meaning(&value, &mut text);
    text.into_bytes()
}

/// Recursion ends: no JSON is read that is nested deeper than 128 levels.
fn write_meaning(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
            members.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in members {
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_meaning(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write_meaning(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Number(number) => text.push_str(&number_meaning(number)),
        other => text.push_str(&other.to_string()),
    }
}

/// A number by its value: 2, 2.0 and 2e0 are one.
fn number_meaning(number: &Number) -> String {
    match number.as_f64() {
        // Below 2^53 a whole number is exactly itself; others have been read as they are.
        #[allow(clippy::cast_possible_truncation)]
        Some(value) if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 => {
            (value as i64).to_string()
        }
        _ => number.to_string(),
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
    fn bodies_that_mean_the_same_are_the_same() {
        let of = |body: &str| Intention::new(b"k", "POST", "/v1/clip", body.as_bytes()).unwrap().meaning;
        let first = of(r#"{"url":"https://a/é","start":2,"end":30.5,"x":[1,{"a":1,"b":2}]}"#);
        for same in [
            r#" { "end": 30.50, "x": [ 1.0, {"b":2e0,"a":1} ], "start" : 2.0, "url":"https:\/\/a\/\u00e9" } "#,
            "{\"start\":0.2e1,\n\"end\":305e-1,\"x\":[1,{\"a\":1,\"b\":2}],\"url\":\"https://a/é\",\"format\":null}",
        ] {
            assert_eq!(of(same), first, "{same}");
        }
        for other in [
            r#"{"url":"https://a/é","start":2,"end":30.5,"x":[{"a":1,"b":2},1]}"#,
            r#"{"url":"https://a/é","start":"2","end":30.5,"x":[1,{"a":1,"b":2}]}"#,
            r#"{"url":"https://a/é","start":2,"end":30.500001,"x":[1,{"a":1,"b":2}]}"#,
            r#"{"url":"https://a/é","start":2,"end":30.5,"x":[1,{"a":1,"b":2}],"max_cost":0}"#,
            r#"{"url":"https://a/é","start":2,"end":30.5,"x":[1,null,{"a":1,"b":2}]}"#,
        ] {
            assert_ne!(of(other), first, "{other}");
        }
        assert_eq!(of(r#"{"a":-0.0}"#), of(r#"{"a":0}"#));
        assert_ne!(of(r#"{"a":18446744073709551615}"#), of(r#"{"a":18446744073709551614}"#));
        assert_ne!(of("no JSON"), of("no  JSON"));
        assert_eq!(of(""), of(""));
    }

    #[test]
    fn every_part_of_the_request_tells() {
        let of = |key: &str, method: &str, path: &str, body: &str| {
            Intention::new(key.as_bytes(), method, path, body.as_bytes()).unwrap()
        };
        let first = of("k", "POST", "/v1/clip", "{}");
        assert_eq!(first, of("k", "POST", "/v1/clip", "{}"));
        assert_eq!(first.meaning, of("other", "POST", "/v1/clip", "{}").meaning);
        for other in [
            of("k", "POST", "/v1/clip", "[]"),
            of("k", "POST", "/v1/auto", "{}"),
            of("k", "PUT", "/v1/clip", "{}"),
        ] {
            assert_eq!(first.key, other.key);
            assert_ne!(first.request, other.request);
            assert_ne!(first.meaning, other.meaning);
        }
    }
}
