//! Requests and answers as handlers see them: path, query and a bounded JSON body in, JSON out.

use std::net::IpAddr;

use domain::{
    idempotency::Intention,
    limits::JSON_BODY_BYTES_MAX,
    rate::{Decision, Window},
};
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    request::RequestContext,
};
use serde::{Serialize, de::DeserializeOwned};
use store::idempotency::{Answer, Earlier};

use crate::{errors::ApiError, json};

/// A request through API Gateway.
pub struct ApiRequest(Request);

impl ApiRequest {
    pub(crate) const fn new(request: Request) -> Self {
        Self(request)
    }

    /// The request's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.0.method()
    }

    /// A parameter of the route's path; empty if the route has none of this name.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        self.0.path_parameters().first(name).unwrap_or_default().to_owned()
    }

    /// The first query parameter of this name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        self.0.query_string_parameters().first(name).map(str::to_owned)
    }

    /// The path as it was asked for, percent-encoded.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        self.0.raw_http_path()
    }

    /// The query as it was asked for, if there is one.
    #[must_use]
    pub fn raw_query(&self) -> Option<&str> {
        self.0.uri().query()
    }

    /// The address that API Gateway was called from. Headers do not tell: anyone may send them.
    #[must_use]
    pub fn client(&self) -> Option<IpAddr> {
        match self.0.request_context_ref()? {
            RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref()?.parse().ok(),
            #[allow(unreachable_patterns)] // other features of lambda_http know other callers
            _ => None,
        }
    }

    /// The name by which API Gateway was called. It answers to its own names only, so nobody can make one up.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        match self.0.request_context_ref()? {
            RequestContext::ApiGatewayV2(context) => context.domain_name.as_deref(),
            #[allow(unreachable_patterns)] // other features of lambda_http know other callers
            _ => None,
        }
    }

    /// The request's `Idempotency-Key`, if it has one, with what is compared on a repeat.
    ///
    /// # Errors
    /// 400 for a name that cannot be one.
    pub fn intention(&self) -> Result<Option<Intention>, ApiError> {
        let mut keys = self.0.headers().get_all("idempotency-key").iter();
        let Some(key) = keys.next() else { return Ok(None) };
        if keys.next().is_some() {
            return Err(ApiError::bad_request("send one `Idempotency-Key`, not several"));
        }
        let (method, path) = (self.0.method().as_str(), self.raw_path());
        Ok(Some(Intention::new(key.as_bytes(), method, path, self.body()?)?))
    }

    fn body(&self) -> Result<&[u8], ApiError> {
        match self.0.body() {
            Body::Empty => Ok(b""),
            Body::Text(text) => Ok(text.as_bytes()),
            Body::Binary(bytes) => Ok(bytes),
            _ => Err(ApiError::bad_request("the body could not be read")),
        }
    }

    /// The body as it was sent, of `max` bytes at most: for what is signed.
    ///
    /// # Errors
    /// 413 above that.
    pub fn raw_body(&self, max: usize) -> Result<&[u8], ApiError> {
        let body = self.body()?;
        if body.len() > max { Err(ApiError::body_too_large(max)) } else { Ok(body) }
    }

    /// The JSON body as `T`.
    ///
    /// # Errors
    /// 413 above 64 KiB, 415 without a JSON content type, 400 if it does not read, saying where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body = self.body()?;
        if body.len() > JSON_BODY_BYTES_MAX {
            return Err(ApiError::body_too_large(JSON_BODY_BYTES_MAX));
        }
        if body.is_empty() {
            return Err(ApiError::bad_request("the body is empty; send a JSON object"));
        }
        let content_type = self.0.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // A client that sends no type is accepted; one that sends another type gets a 415.
        if content_type.is_some_and(|value| !is_json(value)) {
            return Err(ApiError::not_json());
        }
        // Also where a type of ours would take something else: a request is an object.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::bad_request("The body must be a JSON object, in braces."));
        }
        json::read(body).map_err(ApiError::bad_request)
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// An answer.
#[derive(Debug)]
pub struct ApiResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    /// The strictest limit that the request has met.
    limit: Option<Decision>,
}

impl ApiResponse {
    /// 200 with a JSON body.
    #[must_use]
    pub fn ok<T: Serialize>(body: &T) -> Self {
        Self::json(StatusCode::OK, body)
    }

    /// A JSON answer.
    #[must_use]
    pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Self {
        // Our own types always serialise; if one ever fails, an empty object is better than a panic.
        let body = serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec());
        Self::new(status, "application/json", body)
    }

    /// Any answer.
    #[must_use]
    pub fn new(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        // Answers carry balances and links: no cache may keep them. Pages that may be kept say so.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers, body, limit: None }
    }

    pub(crate) fn with_content_type(mut self, content_type: &'static str) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// The answer to HEAD in place of GET (RFC 9110, section 9.3.2).
    #[must_use]
    pub(crate) fn without_body(self) -> Self {
        Self { body: Vec::new(), ..self }
    }

    /// Sets a header; a value that no header may have is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Adds the headers of a limit. Of several the strictest shows; a daily one is shown beside it.
    #[must_use]
    pub fn limited(mut self, limit: Decision) -> Self {
        if limit.window == Window::Day {
            self = self
                .with_header("x-ratelimit-limit-daily", &limit.limit.to_string())
                .with_header("x-ratelimit-remaining-daily", &limit.remaining.to_string());
        }
        let strictest = self.limit.map_or(limit, |so_far| so_far.stricter(limit));
        self.limit = Some(strictest);
        self.with_header("x-ratelimit-limit", &strictest.limit.to_string())
            .with_header("x-ratelimit-remaining", &strictest.remaining.to_string())
            .with_header("x-ratelimit-reset", &strictest.reset.to_string())
    }

    /// This answer as it is kept, to be given again.
    #[must_use]
    pub fn to_answer(&self) -> Answer {
        // JSON is always text.
        let body = String::from_utf8_lossy(&self.body).into_owned();
        Answer { status: self.status.as_u16(), body, object: None }
    }

    /// Replays the stored response to an `Idempotency-Key`.
    ///
    /// # Errors
    /// 422 if the key was used for another request.
    pub fn replayed(earlier: Earlier) -> Result<Self, ApiError> {
        let Earlier::Same(answer) = earlier else { return Err(ApiError::key_reused()) };
        let status = StatusCode::from_u16(answer.status)
            .map_err(|_| ApiError::internal(format!("a kept answer has the status {}", answer.status)))?;
        let again = Self::new(status, "application/json", answer.body.into_bytes());
        Ok(again.with_header("idempotency-replayed", "true"))
    }

    /// The status code.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The body.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    pub(crate) fn into_lambda(self) -> Response<Body> {
        let body = match String::from_utf8(self.body) {
            Ok(text) => Body::Text(text),
            Err(error) => Body::Binary(error.into_bytes()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use domain::{rate::Tier, time::Timestamp};

    use super::*;

    fn post(content_type: Option<&str>, body: &str) -> ApiRequest {
        let mut request = Request::new(Body::Text(body.to_owned()));
        if let Some(value) = content_type {
            request.headers_mut().insert(header::CONTENT_TYPE, value.parse().unwrap());
        }
        ApiRequest::new(request)
    }

    #[test]
    fn takes_json_and_nothing_else() {
        let status =
            |request: ApiRequest| request.json::<serde_json::Value>().map_err(|e| e.response("").status());
        assert!(status(post(Some("application/json; charset=utf-8"), "{}")).is_ok());
        assert!(status(post(None, "{}")).is_ok());
        assert_eq!(status(post(Some("text/plain"), "{}")), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(status(post(Some("application/json"), "{")), Err(StatusCode::BAD_REQUEST));
        assert_eq!(status(post(Some("application/json"), "")), Err(StatusCode::BAD_REQUEST));
        assert_eq!(status(post(Some("application/json"), r#"{"start": NaN}"#)), Err(StatusCode::BAD_REQUEST));
        let large = format!("\"{}\"", "a".repeat(JSON_BODY_BYTES_MAX));
        assert_eq!(status(post(Some("application/json"), &large)), Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(status(post(None, &"[".repeat(10_000))), Err(StatusCode::BAD_REQUEST));
        for other in [r#"["https://example.com/a.mp4"]"#, "null", "\"x\"", "5", " "] {
            assert_eq!(status(post(None, other)), Err(StatusCode::BAD_REQUEST), "{other}");
        }
        assert!(status(post(None, " \n{}")).is_ok());
    }

    #[test]
    fn of_several_limits_the_strictest_shows_and_the_day_beside_it() {
        let now = Timestamp(1_800_057_600_000);
        let header = |response: &ApiResponse, name: &str| response.headers[name].to_str().unwrap().to_owned();
        let free = Tier::Free.quotas();
        let (minute, day) = (free[0].decision(1, true, now), free[1].decision(48, true, now));
        for order in [[minute, day], [day, minute]] {
            let response = order.into_iter().fold(ApiResponse::ok(&0), ApiResponse::limited);
            assert_eq!(header(&response, "x-ratelimit-limit"), "50");
            assert_eq!(header(&response, "x-ratelimit-remaining"), "2");
            assert_eq!(header(&response, "x-ratelimit-reset"), "1800144000");
            assert_eq!(header(&response, "x-ratelimit-limit-daily"), "50");
            assert_eq!(header(&response, "x-ratelimit-remaining-daily"), "2");
        }
        let refused = free[0].decision(5, false, now.plus_ms(17_500));
        let response = ApiError::rate_limited("requests", refused).response("r").limited(day);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            (header(&response, "retry-after"), header(&response, "x-ratelimit-limit")),
            ("43".to_owned(), "5".to_owned())
        );
    }

    #[test]
    fn an_answer_is_given_again_and_a_reused_key_is_not() {
        let first = ApiResponse::json(StatusCode::CREATED, &[1, 2]);
        let again = ApiResponse::replayed(Earlier::Same(first.to_answer())).unwrap();
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!((again.status(), again.into_body()), (StatusCode::CREATED, first.into_body()));
        let other = ApiResponse::replayed(Earlier::Other).map_err(|problem| problem.response("").status());
        assert_eq!(other.err(), Some(StatusCode::UNPROCESSABLE_ENTITY));
    }

    #[test]
    fn an_intention_has_one_name() {
        let named = |keys: &[&str]| {
            let mut request = post(None, "{}");
            for key in keys {
                request
                    .0
                    .headers_mut()
                    .append("idempotency-key", HeaderValue::from_bytes(key.as_bytes()).unwrap());
            }
            request.intention().map_err(|problem| problem.response("").status())
        };
        assert_eq!(named(&[]), Ok(None));
        assert!(named(&["k"]).unwrap().is_some());
        for keys in [&["k", "k"][..], &[""], &["a b"], &["schlüssel"]] {
            assert_eq!(named(keys), Err(StatusCode::BAD_REQUEST), "{keys:?}");
        }
    }
}
