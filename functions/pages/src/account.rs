//! `GET /account`: clips, keys and money of whoever is signed in. The page is the same for all: its script asks for what is
//! theirs.

use std::sync::Arc;

use askama::Template;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};

use crate::{assets, html};

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    assets: String,
}

/// Answers `GET /account`.
///
/// # Errors
/// Only internal ones.
pub async fn handle(app: Arc<App>, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    html::app(&app, &Page { assets: assets::base() }).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The page of whoever is signed in (HTML)")
}
