//! One HTTP client for all the plain calls to the local services.

use std::time::Duration;

/// A client that goes straight to loopback: no proxy from the environment, no redirects followed, and idle
/// connections dropped well before ministack drops them (75 s), so that none is used just as it closes.
pub(crate) fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(5))
        .build()?)
}

/// An `Authorization` header that tells ministack which service a request is for; it checks no signature.
pub(crate) fn for_service(service: &str) -> String {
    use crate::options::{ACCESS_KEY, REGION};
    format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}
