//! A client for the dozen calls of Stripe's API that we make
//! (<https://docs.stripe.com/api>): forms out, JSON in, and an honest word for what is not known.
//!
//! Invariant: [`Reply::Unknown`] is all that may or may not have happened. Everything else is certain. Neither the key nor
//! what Stripe answers is ever in an error's text, apart from Stripe's own code words.

use std::time::Duration;

use domain::payment::Decline;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

pub(crate) mod objects;

/// The version of Stripe's API that we speak, whatever the account's own is.
const VERSION: &str = "2026-05-27.dahlia";
/// How long one call may take. A charge asks the card's bank, which may need seconds.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The longest id of Stripe's that we put into a path; theirs have about 30 characters, those of Checkout sessions 70.
const ID_CHARS_MAX: usize = 128;

/// Name and value of each field of a form.
pub(crate) type Form<'a> = [(&'a str, String)];

/// What came of a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// It was carried out.
    Done(Value),
    /// A card was not charged.
    Declined {
        /// Why.
        why: Decline,
        /// Stripe's id of what was to be charged.
        intent: Option<String>,
    },
    /// There is no such thing.
    Missing,
    /// The call was refused for what it says: nothing has happened.
    Refused(String),
    /// It may have been carried out or not.
    Unknown(String),
}

/// Stripe's API, with our key.
#[derive(Clone)]
pub(crate) struct Stripe {
    http: Client,
    base: String,
    key: String,
}

impl Stripe {
    pub(crate) const fn new(http: Client, base: String, key: String) -> Self {
        Self { http, base, key }
    }

    /// Reads `path`, which begins behind the version.
    pub(crate) async fn get(&self, path: &str, query: &Form<'_>) -> Reply {
        let path = if query.is_empty() { path.to_owned() } else { format!("{path}?{}", encoded(query)) };
        self.send(self.request(Method::GET, &path)).await
    }

    /// Posts a form; with `once`, the same call under the same name is carried out once.
    pub(crate) async fn post(&self, path: &str, form: &Form<'_>, once: Option<&str>) -> Reply {
        let request = self.request(Method::POST, path).body(encoded(form));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = match once {
            Some(name) => request.header("idempotency-key", name),
            None => request,
        };
        self.send(request).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/v1/{path}", self.base));
        request.bearer_auth(&self.key).header("stripe-version", VERSION).timeout(CALL_TIMEOUT)
    }

    async fn send(&self, request: RequestBuilder) -> Reply {
        // What the client says of an error may quote the address; only its kind is told.
        let unknown = |problem: &reqwest::Error| {
            let kind = if problem.is_timeout() { "no answer in time" } else { "the connection failed" };
            Reply::Unknown(kind.to_owned())
        };
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(problem) => return unknown(&problem),
        };
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                    body.extend_from_slice(&chunk)
                }
                Ok(Some(_)) => return Reply::Unknown("the answer is too long".to_owned()),
                Ok(None) => break,
                Err(problem) => return unknown(&problem),
            }
        }
        reply(status, &body)
    }
}

/// What an answer means.
fn reply(status: u16, body: &[u8]) -> Reply {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Reply::Unknown(format!("status {status}, and no JSON"));
    };
    let text = |name: &str| body["error"][name].as_str().unwrap_or_default();
    match (status, text("type")) {
        (200..=299, _) => Reply::Done(body),
        (402, "card_error") => Reply::Declined {
            why: Decline::of_stripe(text("code"), text("decline_code")),
            intent: body["error"]["payment_intent"]["id"].as_str().map(str::to_owned),
        },
        // The same name was used for another call: what became of that is not told.
        (_, "idempotency_error") => {
            Reply::Unknown("the idempotency key was used for another call".to_owned())
        }
        (404, _) => Reply::Missing,
        // So it says of what stands in a form, and not in the path.
        (400, _) if text("code") == "resource_missing" => Reply::Missing,
        (400 | 402, _) => Reply::Refused(format!("status {status}, {} {}", text("code"), text("param"))),
        // 401 and 403: our key is wrong. Somebody mends it, and then the call is made again.
        _ => Reply::Unknown(format!("status {status}, {}", text("code"))),
    }
}

/// A form as it is sent (`application/x-www-form-urlencoded`).
fn encoded(form: &Form<'_>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// An id of Stripe's that begins with `prefix`, as it may stand in a path; `None` for what cannot be one.
pub(crate) fn id<'a>(prefix: &str, text: &'a str) -> Option<&'a str> {
    let rest = text.strip_prefix(prefix)?;
    let fits = !rest.is_empty() && text.len() <= ID_CHARS_MAX;
    (fits && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_certain_is_unknown() {
        let error = |kind: &str| format!(r#"{{"error":{{"type":"{kind}","code":"x","param":"y"}}}}"#);
        let of = |status, kind: &str| reply(status, error(kind).as_bytes());
        for (status, kind) in [
            (409, "idempotency_error"),
            (400, "idempotency_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (503, ""),
            (401, ""),
            (403, ""),
        ] {
            assert!(matches!(of(status, kind), Reply::Unknown(_)), "{status} {kind}");
        }
        assert!(matches!(reply(200, b"<html>"), Reply::Unknown(_)));
        assert!(matches!(of(400, "invalid_request_error"), Reply::Refused(_)));
        assert!(matches!(of(404, "invalid_request_error"), Reply::Missing));
        let missing =
            br#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer"}}"#;
        assert!(matches!(reply(400, missing), Reply::Missing));
        assert!(matches!(reply(200, b"{}"), Reply::Done(_)));
    }

    #[test]
    fn a_decline_says_why_and_what() {
        let body =
            br#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds",
            "payment_intent":{"id":"pi_1"}}}"#;
        let Reply::Declined { why, intent } = reply(402, body) else { panic!("it was declined") };
        assert_eq!((why, intent.as_deref()), (Decline::InsufficientFunds, Some("pi_1")));
    }

    #[test]
    fn ids_stay_in_their_place() {
        assert_eq!(id("pm_", "pm_1abcXYZ"), Some("pm_1abcXYZ"));
        assert_eq!(id("cs_", "cs_test_a1"), Some("cs_test_a1"));
        for text in [
            "",
            "pm_",
            "cus_1",
            "pm_1/detach",
            "pm_1?x=1",
            "pm_..",
            "pm_ä",
            &format!("pm_{}", "1".repeat(126)),
        ] {
            assert_eq!(id("pm_", text), None, "{text}");
        }
    }

    #[test]
    fn forms_are_encoded() {
        let form = [("metadata[payment]", "a b&c=ä".to_owned()), ("confirm", "true".to_owned())];
        assert_eq!(encoded(&form), "metadata%5Bpayment%5D=a+b%26c%3D%C3%A4&confirm=true");
    }
}
