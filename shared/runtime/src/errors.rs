//! Errors: one type for HTTP, one for stages, each mapped once.

use std::num::NonZeroU16;

use askama::Template;
use domain::{
    clip::Refusal,
    idempotency::MalformedKey,
    job::Failure,
    ledger::LedgerError,
    quote::TooDear,
    rate::{Decision, Window},
    sentence::sentence,
};
use lambda_http::http::StatusCode;
use serde_json::json;
use sources::SourceError;
use store::StoreError;

use crate::{env::ConfigError, http::ApiResponse};

/// The word for a job that costs more than its owner allows.
const MAX_COST_EXCEEDED: &str = "max_cost_exceeded";
/// The word for a job that costs more than its key may spend.
const DAILY_CAP_REACHED: &str = "daily_cap_reached";

/// An error answer: RFC 9457 `application/problem+json`, with FastClip's `detail` as the standard member.
#[derive(Debug, thiserror::Error)]
#[error("{status} {code}: {detail}")]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// What really happened, for the log alone.
    internal: Option<String>,
    /// The limit that refused the request.
    limit: Option<Decision>,
    /// The methods that the path knows.
    allow: Option<Box<str>>,
    /// When to come again, in seconds, where no limit says it.
    retry_after_s: Option<NonZeroU16>,
}

/// What went wrong, for people.
#[derive(Template)]
#[template(path = "problem.html")]
struct Page<'a> {
    title: &'a str,
    detail: &'a str,
    request_id: &'a str,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: sentence(&detail.into()),
            internal: None,
            limit: None,
            allow: None,
            retry_after_s: None,
        }
    }

    /// 400: the request is wrong; `detail` says what to change.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 401: no key, or an unknown one.
    #[must_use]
    pub fn invalid_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "Invalid API key. Send it as `Authorization: Bearer sk_live_...`",
        )
    }

    /// 401: no browser session, or one that has ended.
    #[must_use]
    pub fn no_session() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "not_signed_in",
            "Sign in first: this is done with a browser session",
        )
    }

    /// 403: another site's page sent this.
    #[must_use]
    pub fn foreign_origin() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "This request must come from this site's own pages",
        )
    }

    /// 402: the key's daily cap is reached.
    #[must_use]
    pub fn daily_cap() -> Self {
        let detail = "this would spend more than this API key may in a day (UTC); its owner sets the cap";
        Self::new(StatusCode::PAYMENT_REQUIRED, DAILY_CAP_REACHED, detail)
    }

    /// 402: the card was not charged.
    #[must_use]
    pub fn declined(code: &'static str, detail: &str) -> Self {
        Self::new(StatusCode::PAYMENT_REQUIRED, code, detail)
    }

    /// 403: the owner of the account does not allow this.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 410: it was there, and its time is over.
    pub fn gone(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, detail)
    }

    /// 423: too many wrong passwords.
    pub fn locked(detail: impl Into<String>, retry_after_s: u16) -> Self {
        let problem = Self::new(StatusCode::LOCKED, "reload_locked", detail);
        Self { retry_after_s: NonZeroU16::new(retry_after_s), ..problem }
    }

    /// 503: something that this needs is not there; `detail` says whether to come again.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// 403: the key is good, but not for this.
    #[must_use]
    pub fn missing_scope(scope: &str) -> Self {
        let detail = format!("this API key may not do this: it needs the scope `{scope}`");
        Self::new(StatusCode::FORBIDDEN, "missing_scope", detail)
    }

    /// 401: an invalid link or code. Never says why, nor whether the address is known.
    #[must_use]
    pub fn invalid_sign_in() -> Self {
        let detail = "This link or code is wrong, has expired or was used before. A code works only in the browser that \
                      asked for it. Ask for a new one, or open the link.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_sign_in", detail)
    }

    /// 429: a clip, or all of its account's, was fetched as often as it may be in a day.
    #[must_use]
    pub fn rests(limit: Decision) -> Self {
        let hours = (limit.retry_after + 3599).div_euclid(3600);
        let detail = format!(
            "So much of this was fetched today that it rests until midnight (UTC). Please come again in {hours} h"
        );
        let resting = Self::new(StatusCode::TOO_MANY_REQUESTS, "delivery_limit", detail);
        Self { limit: Some(limit), ..resting }
    }

    /// 429: an address's codes were tried too often today. Its links work all the same.
    #[must_use]
    pub fn too_many_codes(limit: Decision) -> Self {
        let detail = "Too many codes were tried for this address today. Open the link in the mail instead.";
        let limited = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        Self { limit: Some(limit), ..limited }
    }

    /// 409: not possible in the current state; `detail` says what to do first.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 404: there is no such thing, or it belongs to somebody else.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    /// 404: no endpoint has this path.
    #[must_use]
    pub fn no_such_path() -> Self {
        let detail = "There is nothing at this path. `GET /openapi.json` describes what there is.";
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405: the path knows these methods and not this one.
    #[must_use]
    pub fn method_not_allowed(method: &str, allowed: &[String]) -> Self {
        let detail = format!("This path does not know {method}. It knows {}.", allowed.join(" and "));
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Self { allow: Some(allowed.join(", ").into()), ..problem }
    }

    /// 404: the source has no captions.
    pub fn no_transcript(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "transcript_not_found", detail)
    }

    /// 413: the body is larger than any request of this API.
    #[must_use]
    pub fn body_too_large(max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body may have {max} bytes at most"),
        )
    }

    /// 415: not JSON.
    #[must_use]
    pub fn not_json() -> Self {
        let detail = "send JSON, with the header `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// 422: the `Idempotency-Key` was used for another request.
    #[must_use]
    pub fn key_reused() -> Self {
        Self::unprocessable(
            "idempotency_key_reused",
            "this `Idempotency-Key` was used for another request; send a new key with a new request",
        )
    }

    /// 501: unsupported response format.
    pub fn not_implemented(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", detail)
    }

    /// 429: too many in this window.
    #[must_use]
    pub fn rate_limited(what: &str, limit: Decision) -> Self {
        let detail = format!(
            "Rate limited: the limit is {} {what} {}; try again in {} s",
            limit.limit,
            match limit.window {
                Window::Minute => "a minute",
                Window::Quarter => "in 15 minutes",
                Window::Hour => "an hour",
                Window::Day => "a day",
            },
            limit.retry_after
        );
        let limited = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
        Self { limit: Some(limit), ..limited }
    }

    /// 422: the source cannot serve this request.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 500: our fault. `internal` goes to the log.
    pub fn internal(internal: impl Into<String>) -> Self {
        let detail = "Something went wrong on our side. Please try again.";
        let internal = Some(internal.into());
        Self { internal, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail) }
    }

    /// What really happened, for the log.
    #[must_use]
    pub fn internals(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// The answer for this error.
    #[must_use]
    pub fn response(&self, request_id: &str) -> ApiResponse {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        });
        self.told(ApiResponse::json(self.status, &body).with_content_type("application/problem+json"))
    }

    /// The answer for this error where people see it: a page that says the same.
    #[must_use]
    pub fn page(&self, request_id: &str) -> ApiResponse {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let page = Page { title, detail: &self.detail, request_id };
        // Our own template always renders; if it ever fails, a bare title is better than a panic.
        let page = page.render().unwrap_or_else(|_| title.to_owned());
        // The style is the only thing in it that does anything, and the request's id is like no other's.
        let policy = format!(
            "default-src 'none'; style-src 'nonce-{request_id}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors *"
        );
        let response = ApiResponse::new(self.status, "text/html; charset=utf-8", page.into_bytes())
            .with_header("content-security-policy", &policy)
            .with_header("referrer-policy", "no-referrer")
            .with_header("x-content-type-options", "nosniff");
        self.told(response)
    }

    /// The answer with the headers that go with its status.
    fn told(&self, mut response: ApiResponse) -> ApiResponse {
        if self.status == StatusCode::UNAUTHORIZED {
            response = response.with_header("www-authenticate", "Bearer");
        }
        let soon = (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(NonZeroU16::MIN);
        if let Some(seconds) = self.retry_after_s.or(soon) {
            response = response.with_header("retry-after", &seconds.to_string());
        }
        if let Some(allow) = &self.allow {
            response = response.with_header("allow", allow);
        }
        if let Some(limit) = self.limit {
            response = response.limited(limit).with_header("retry-after", &limit.retry_after.to_string());
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ledger(LedgerError::Insufficient { required, available }) => Self::new(
                StatusCode::PAYMENT_REQUIRED,
                "insufficient_balance",
                format!("Insufficient balance: this costs {required}, {available} is available"),
            ),
            StoreError::TooDear(problem) => problem.into(),
            StoreError::Capped => Self::daily_cap(),
            StoreError::Busy => {
                let detail = "too many changes to this account at once; try again in a second";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
            }
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<TooDear> for ApiError {
    fn from(problem: TooDear) -> Self {
        let detail = format!("{problem}; nothing was spent");
        Self::new(StatusCode::PAYMENT_REQUIRED, MAX_COST_EXCEEDED, detail)
    }
}

impl From<MalformedKey> for ApiError {
    fn from(problem: MalformedKey) -> Self {
        Self::bad_request(problem.to_string())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::BadRequest(detail) => Self::bad_request(detail),
            Refusal::Source(detail) => Self::unprocessable("source_unsupported", detail),
            Refusal::Forbidden(detail) => Self::unprocessable("source_forbidden", detail),
        }
    }
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        Self::unprocessable(error.code(), error.to_string())
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        if failure.code == "internal" {
            return Self::internal(failure.message);
        }
        // Codes come from our own code; the table of those that travel in messages is short.
        let known = [
            "source_unsupported",
            "source_unavailable",
            "source_blocked",
            "source_forbidden",
            "source_too_large",
            "transcript_too_long",
            "no_transcript",
        ];
        let code = known.into_iter().find(|code| *code == failure.code).unwrap_or("source_unsupported");
        Self::unprocessable(code, failure.message)
    }
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        Self::internal(error.to_string())
    }
}

/// How a stage ends badly. Step Functions sees the variant as the error's name.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The job cannot be done, and a repeat would not help; the owner is told why. Not retried.
    #[error("{}", .0.message)]
    Job(Failure),
    /// The job has ended meanwhile (cancelled, or given up by the sweeper). Not retried.
    #[error("the job has ended")]
    Ended,
    /// A passing fault, worth a retry.
    #[error("{0}")]
    Passing(String),
}

impl StageError {
    /// The name that the state machine's `Retry` and `Catch` match.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Job(_) => "JobFailure",
            Self::Ended => "JobEnded",
            Self::Passing(_) => "PassingFault",
        }
    }

    /// The message that travels with the name: for [`StageError::Job`] the failure as JSON, which `release` reads.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::Job(failure) => json!(failure).to_string(),
            other => other.to_string(),
        }
    }
}

impl From<StoreError> for StageError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Ledger(LedgerError::Insufficient { required, available }) => Self::Job(Failure {
                code: "insufficient_balance".to_owned(),
                message: format!(
                    "The balance does not cover this job: it costs {required}, {available} is available. \
                     You were not charged."
                ),
            }),
            StoreError::TooDear(problem) => Self::Job(Failure {
                code: MAX_COST_EXCEEDED.to_owned(),
                message: format!(
                    "The source is not what it was when the job was accepted: {problem}. You were not charged."
                ),
            }),
            StoreError::Capped => Self::Job(Failure {
                code: DAILY_CAP_REACHED.to_owned(),
                message: "The job costs more than its API key may spend in a day. You were not charged."
                    .to_owned(),
            }),
            StoreError::Ledger(LedgerError::Resolved(_)) => Self::Ended,
            other => Self::Passing(other.to_string()),
        }
    }
}

impl From<SourceError> for StageError {
    fn from(error: SourceError) -> Self {
        Self::Job(Failure { code: error.code().to_owned(), message: error.to_string() })
    }
}

impl From<ConfigError> for StageError {
    fn from(error: ConfigError) -> Self {
        Self::Passing(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::money::Amount;

    #[test]
    fn internals_stay_inside() {
        let error = ApiError::internal("table clipwright-prod is gone");
        let body = String::from_utf8(error.response("r-1").into_body()).unwrap();
        assert!(!body.contains("clipwright-prod"), "{body}");
        assert!(body.contains("\"request_id\":\"r-1\""), "{body}");
        assert_eq!(error.internals(), Some("table clipwright-prod is gone"));
    }

    #[test]
    fn people_are_told_on_a_page_that_does_nothing() {
        let limit = domain::rate::open_requests(5).decision(6, false, domain::time::Timestamp(0));
        let response = ApiError::rate_limited("<requests>", limit).page("r-1");
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let page = String::from_utf8(response.into_body()).unwrap();
        for part in [
            "<h1>Too Many Requests</h1>",
            "the limit is 5 &#60;requests&#62; a minute",
            "<style nonce=\"r-1\">",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn want_of_money_is_402_and_says_how_much() {
        let error = LedgerError::Insufficient { required: Amount::cents(10), available: Amount::cents(4) };
        let response = ApiError::from(StoreError::from(error)).response("r");
        assert_eq!(response.status().as_u16(), 402);
        let body: serde_json::Value = serde_json::from_slice(&response.into_body()).unwrap();
        assert_eq!(body["detail"], "Insufficient balance: this costs $0.10, $0.04 is available.");
    }

    #[test]
    fn a_stage_failure_travels_as_json() {
        let failure = Failure { code: "source_unavailable".to_owned(), message: "gone".to_owned() };
        let error = StageError::Job(failure.clone());
        assert_eq!(error.name(), "JobFailure");
        assert_eq!(serde_json::from_str::<Failure>(&error.message()).unwrap(), failure);
    }
}
