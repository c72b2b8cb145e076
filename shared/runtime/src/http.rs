//! Requests and answers as handlers see them: path, query and a bounded JSON body in, JSON out.

use domain::limits::JSON_BODY_BYTES_MAX;
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::errors::ApiError;

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

    /// The JSON body as `T`.
    ///
    /// # Errors
    /// 413 above 64 KiB, 415 without a JSON content type, 400 if it does not read, saying where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        let body: &[u8] = match self.0.body() {
            Body::Empty => b"",
            Body::Text(text) => text.as_bytes(),
            Body::Binary(bytes) => bytes,
            _ => return Err(ApiError::bad_request("the body could not be read")),
        };
        if body.len() > JSON_BODY_BYTES_MAX {
            return Err(ApiError::body_too_large(JSON_BODY_BYTES_MAX));
        }
        if body.is_empty() {
            return Err(ApiError::bad_request("the body is empty; send a JSON object"));
        }
        let content_type = self.0.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        // A client that names no type is taken at its bytes; one that names another type is told.
        if content_type.is_some_and(|value| !is_json(value)) {
            return Err(ApiError::not_json());
        }
        serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(format!("the body is not valid: {error}")))
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
        // Our own types always serialise; an empty object beats a panic.
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
        Self { status, headers, body }
    }

    pub(crate) fn with_content_type(mut self, content_type: &'static str) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// Sets a header; a value that no header may have is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
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
    }
}
