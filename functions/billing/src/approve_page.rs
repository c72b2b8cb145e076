//! `GET /v1/reload/approve`: where the link of an approval leads. The link's token stands in the fragment, which only the page's
//! script sees, and is used at a click: programs that look into mails open links, but press no buttons.

use std::sync::Arc;

use askama::Template;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};

use crate::page::{answer, nonce};

/// The page.
#[derive(Template)]
#[template(path = "approve.html")]
struct Page<'a> {
    nonce: &'a str,
}

/// Answers `GET /v1/reload/approve`.
///
/// # Errors
/// None but our own.
pub async fn handle(_: Arc<App>, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let nonce = nonce()?;
    answer(&Page { nonce: &nonce }, &nonce)
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The page that the link of an approval leads to (HTML)")
}
