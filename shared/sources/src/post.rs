//! Requests that tell somebody something: one POST to an address that a user gave, through the egress guard.
//!
//! Invariants: no redirect is followed, so what was checked is what is asked; nothing of the answer but its status is read;
//! every request has an end in time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use url::Url;

use crate::{Guard, SourceError};

/// The longest that one request may take, from the look at the name to the answer's status.
pub const POST_TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends JSON to addresses that users gave.
#[derive(Clone, Debug)]
pub struct Poster {
    http: Client,
    guard: Guard,
}

impl Poster {
    /// One with this rule. It takes no proxy from the environment: what it checks is what it connects to.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if TLS cannot be set up.
    pub fn new(guard: Guard) -> Result<Self, SourceError> {
        let http = Client::builder()
            .no_proxy()
            .https_only(true)
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(POST_TIMEOUT)
            // Lambda may sleep for long between two requests: each has a connection of its own.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("Clipwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SourceError::Unavailable(format!("TLS is not there: {error}")))?;
        Ok(Self { http, guard })
    }

    /// Sends `body` with these headers; one that no header may be is left out. Answers the status, whatever it is.
    ///
    /// # Errors
    /// [`PostError`], in words for who gave the address.
    pub async fn post(&self, url: &str, headers: &[(&str, String)], body: String) -> Result<u16, PostError> {
        let url = Url::parse(url).map_err(|_| PostError::Forbidden)?;
        self.guard.check_url(&url).map_err(|_| PostError::Forbidden)?;
        let pairs = headers.iter().filter_map(|(name, value)| {
            Some((HeaderName::try_from(*name).ok()?, HeaderValue::try_from(value).ok()?))
        });
        let mut headers: HeaderMap = pairs.collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = self.http.post(url).headers(headers).body(Bytes::from(body));
        // The body of the answer is not read: it goes with the connection.
        request.send().await.map(|answer| answer.status().as_u16()).map_err(|error| PostError::of(&error))
    }
}

/// Why there was no answer. Fixed words: what a library says may quote the address, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The guard refuses it.
    #[error("the address is not allowed: only public https servers on port 443 are sent to")]
    Forbidden,
    /// No server, or not with a certificate that can be trusted.
    #[error("no connection: there is no such server, it refuses, or its certificate is not valid")]
    NoConnection,
    /// Too slow.
    #[error("no answer within {} s", POST_TIMEOUT.as_secs())]
    Timeout,
    /// The connection ended before an answer came.
    #[error("the connection broke before an answer came")]
    Broken,
}

impl PostError {
    fn of(error: &reqwest::Error) -> Self {
        if is_forbidden(error) {
            Self::Forbidden
        } else if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::NoConnection
        } else {
            Self::Broken
        }
    }
}

/// Whether the guard refused all addresses of a name.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.into_iter().any(|cause| {
        matches!(cause.downcast_ref::<crate::guard::Unresolved>(), Some(crate::guard::Unresolved::NotPublic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_and_names_of_them_are_refused() {
        let poster = Poster::new(Guard::public_only()).unwrap();
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://localhost/",
            "https://example.com:8443/",
            "https://user:secret@example.com/",
            "nonsense",
        ] {
            assert_eq!(poster.post(url, &[], "{}".to_owned()).await, Err(PostError::Forbidden), "{url}");
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_in_the_clear() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let poster = Poster::new(Guard::allowing_private()).unwrap();
        assert!(poster.post(&url, &[], "{}".to_owned()).await.is_err());
        let came = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(came.is_err(), "nobody connects");
    }
}
