//! `GET /c/{clip_id}`: the page of a shared clip.

use std::sync::Arc;

use askama::Template;
use domain::quality::PictureSize;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};

use crate::{
    html::{self, Framed},
    oembed, script,
    shown::{Kind, Shown},
};

#[derive(Template)]
#[template(path = "clip.html")]
struct Page<'a> {
    style: &'static str,
    script: &'a str,
    shown: &'a Shown,
    /// Of the player that cards of other sites show.
    card: PictureSize,
    embed_code: String,
    oembed_url: String,
}

/// Answers `GET /c/{clip_id}`.
///
/// # Errors
/// Only internal ones: a clip that is gone is a page, too.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let Some(shown) = Shown::find(&app, &request, &request.path("clip_id")).await? else {
        return html::gone(Framed::Never);
    };
    let card = shown.player(None, None);
    let page = Page {
        style: html::STYLE,
        script: &script::URL,
        shown: &shown,
        card,
        embed_code: oembed::frame(&shown, card)?,
        oembed_url: oembed::url_for(&shown),
    };
    html::answer(StatusCode::OK, &page, Some(&shown), Framed::Never)
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The page of a shared clip (HTML; a page with the status 404 if it is gone)")
}
