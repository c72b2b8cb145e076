//! `GET /embed/{clip_id}`: the player alone, for other sites to show in a frame.

use std::sync::Arc;

use askama::Template;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};

use crate::{
    html::{self, Framed},
    script,
    shown::{Kind, Shown},
};

#[derive(Template)]
#[template(path = "embed.html")]
struct Page<'a> {
    style: &'static str,
    script: &'a str,
    shown: &'a Shown,
}

/// Answers `GET /embed/{clip_id}`.
///
/// # Errors
/// Only internal ones: a clip that is gone is a page, too.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let Some(shown) = Shown::find(&app, &request, &request.path("clip_id")).await? else {
        return html::gone(Framed::Anywhere);
    };
    let page = Page { style: html::STYLE, script: &script::URL, shown: &shown };
    html::answer(StatusCode::OK, &page, Some(&shown), Framed::Anywhere)
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Its player alone, to be put into a frame (HTML; 404 likewise)")
}
