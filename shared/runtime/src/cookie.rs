//! The session's cookie, the one of a browser that waits for a code, and who may have them set.
//!
//! Invariant: a cookie is HttpOnly (no script reads it), Secure, of this host and path alone (`__Host-`), and
//! SameSite=Lax, so that another site's forms and scripts do not send it.

use domain::{
    ids::SessionToken,
    sign_in::{BrowserSecret, SESSION_LIFETIME_MS, SIGN_IN_LIFETIME_MS},
};
use lambda_http::http::header;

use crate::{
    ApiRequest, ApiResponse,
    auth::{SESSION_COOKIE, cookie, same_origin},
    errors::ApiError,
};

/// Name of the cookie by which a browser is known again that has asked for a code.
const BROWSER_COOKIE: &str = "__Host-signing-in";
const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";

impl ApiResponse {
    /// Hands a session's token to the browser, for 30 days.
    #[must_use]
    pub fn with_session(self, token: &SessionToken) -> Self {
        let seconds = SESSION_LIFETIME_MS / 1000;
        let cookie = format!("{SESSION_COOKIE}={}; Max-Age={seconds}; {ATTRIBUTES}", token.reveal());
        self.with_header("set-cookie", &cookie)
    }

    /// Hands the browser what its code works with, for as long as the code does.
    #[must_use]
    pub fn with_browser_secret(self, secret: &BrowserSecret) -> Self {
        let seconds = SIGN_IN_LIFETIME_MS / 1000;
        let cookie = format!("{BROWSER_COOKIE}={}; Max-Age={seconds}; {ATTRIBUTES}", secret.reveal());
        self.with_header("set-cookie", &cookie)
    }

    /// Takes the session's token away from the browser.
    #[must_use]
    pub fn without_session(self) -> Self {
        self.with_header("set-cookie", &format!("{SESSION_COOKIE}=; Max-Age=0; {ATTRIBUTES}"))
    }
}

impl ApiRequest {
    /// The session token that the browser sent along, of a session that may have ended.
    #[must_use]
    pub fn session_token(&self) -> Option<SessionToken> {
        cookie(self.headers(), SESSION_COOKIE).and_then(SessionToken::parse)
    }

    /// What the browser's code works with, if it has asked for one.
    #[must_use]
    pub fn browser_secret(&self) -> Option<BrowserSecret> {
        cookie(self.headers(), BROWSER_COOKIE).and_then(BrowserSecret::parse)
    }

    /// Refuses what another site's page sent, where no session is needed: else that page could sign its visitor in
    /// as somebody else, who would then read along. A program that is no browser names no origin.
    ///
    /// # Errors
    /// 403 for a foreign origin.
    pub fn must_not_be_foreign(&self) -> Result<(), ApiError> {
        let headers = self.headers();
        let from_a_browser = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
        if from_a_browser && !same_origin(headers) { Err(ApiError::foreign_origin()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::{Body, Request};

    use super::*;

    #[test]
    fn the_cookie_is_for_this_site_and_no_script() {
        let token = SessionToken::from_random([7; 32]);
        let response = ApiResponse::ok(&()).with_session(&token).into_lambda();
        let value = response.headers()["set-cookie"].to_str().unwrap();
        let (pair, attributes) = value.split_once("; ").unwrap();
        assert_eq!(pair, format!("__Host-session={}", token.reveal()));
        assert_eq!(attributes, "Max-Age=2592000; Path=/; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn only_our_own_pages_and_programs_pass() {
        let verdict = |headers: &[(&'static str, &str)]| {
            let mut request = Request::new(Body::Empty);
            request.headers_mut().insert("host", "clips.example".parse().unwrap());
            for (name, value) in headers {
                request.headers_mut().insert(*name, value.parse().unwrap());
            }
            ApiRequest::new(request).must_not_be_foreign().is_ok()
        };
        assert!(verdict(&[]));
        assert!(verdict(&[("origin", "https://clips.example")]));
        assert!(verdict(&[("sec-fetch-site", "same-origin")]));
        for origin in ["https://evil.example", "null", "https://clips.example.evil.example", ""] {
            assert!(!verdict(&[("origin", origin)]), "{origin}");
        }
        assert!(!verdict(&[("sec-fetch-site", "cross-site")]));
        assert!(!verdict(&[("sec-fetch-site", "same-site")]));
    }
}
