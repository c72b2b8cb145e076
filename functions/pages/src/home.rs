//! `GET /`: where to go from here.

use std::sync::Arc;

use askama::Template;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};

use crate::{
    html::{self, Framed},
    shown,
};

#[derive(Template)]
#[template(path = "home.html")]
struct Page {
    style: &'static str,
    base: String,
}

/// Answers `GET /`.
///
/// # Errors
/// Only internal ones.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let page = Page { style: html::STYLE, base: shown::base(&app, &request)? };
    html::answer(StatusCode::OK, &page, None, Framed::Never)
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("A page that says where to go (HTML)")
}
