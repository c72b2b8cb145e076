//! `GET /sign-in`: where a mail's link leads. The link's token stands in the fragment, which only the page's script
//! sees, and is redeemed at a click: programs that look into mails open links, but press no buttons.

use std::sync::Arc;

use askama::Template;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};

use crate::secrets::random_number;

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    /// Lets this page's own script and style run, and nothing that anybody might get into it.
    nonce: &'a str,
}

/// Answers `GET /sign-in`.
///
/// # Errors
/// None but our own.
pub async fn handle(_: Arc<App>, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let nonce = format!("{:016x}{:016x}", random_number()?, random_number()?);
    let page = Page { nonce: &nonce }.render().map_err(|problem| ApiError::internal(problem.to_string()))?;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Ok(ApiResponse::new(StatusCode::OK, "text/html; charset=utf-8", page.into_bytes())
        .with_header("content-security-policy", &policy)
        .with_header("referrer-policy", "no-referrer")
        .with_header("x-content-type-options", "nosniff"))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The page that a mail's link leads to (HTML)")
}
