//! Pages of this area: plain, with a style of their own, and a script only where something is to be done.

use askama::Template;
use runtime::{ApiError, ApiRequest, ApiResponse, App, StatusCode, Var};

/// What every page begins with.
#[derive(Template)]
#[template(path = "said.html")]
struct Said<'a> {
    nonce: &'a str,
    title: &'a str,
    text: &'a str,
}

/// A page that says something.
///
/// # Errors
/// None but our own.
pub(crate) fn said(title: &str, text: &str) -> Result<ApiResponse, ApiError> {
    let nonce = nonce()?;
    answer(&Said { nonce: &nonce, title, text }, &nonce)
}

/// A page whose style and script carry `nonce`. Nobody may frame it, and it asks nobody but us.
///
/// # Errors
/// None but our own.
pub(crate) fn answer(page: &impl Template, nonce: &str) -> Result<ApiResponse, ApiError> {
    let text = page.render().map_err(|problem| ApiError::internal(problem.to_string()))?;
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Ok(ApiResponse::new(StatusCode::OK, "text/html; charset=utf-8", text.into_bytes())
        .with_header("content-security-policy", &policy)
        .with_header("referrer-policy", "no-referrer")
        .with_header("x-content-type-options", "nosniff"))
}

/// A number that was never used before.
///
/// # Errors
/// 500 if the operating system has none.
pub(crate) fn nonce() -> Result<String, ApiError> {
    Ok(random::<16>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Random bytes from the operating system.
///
/// # Errors
/// 500 if it has none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(bytes)
}

/// Where this product's pages are: as configured, or by the name that the request came in by.
///
/// # Errors
/// 500 for a request without a name, which API Gateway never sends.
pub(crate) fn address(app: &App, request: &ApiRequest) -> Result<String, ApiError> {
    let configured = app.config().get(Var::PageUrl)?.trim_end_matches('/');
    if !configured.is_empty() {
        return Ok(configured.to_owned());
    }
    let domain = request.domain().ok_or_else(|| ApiError::internal("a request without a domain"))?;
    Ok(format!("https://{domain}"))
}
