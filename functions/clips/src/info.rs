//! `POST /v1/clip/info`: look at a source before clipping it. Open to anyone, costs nothing.

use std::sync::Arc;

use domain::{clip::source_url, quality::PictureSize, source::SourceInfo};
use runtime::{ApiError, ApiRequest, ApiResponse, App};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which source to look at.
#[derive(Debug, Deserialize, ToSchema)]
pub struct InfoRequest {
    /// Address of a video.
    #[schema(example = "https://example.com/video.mp4")]
    pub url: String,
}

/// What the source is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Info {
    /// Its own title, or the name of its file.
    pub title: String,
    /// Length in seconds.
    #[schema(example = 3600.5)]
    pub duration: f64,
    /// Address of a still picture, where the source has one.
    pub thumbnail: Option<String>,
    /// Address of a playable preview, where there is one.
    pub preview_url: Option<String>,
    /// Address of an embeddable player, where there is one.
    pub preview_embed_url: Option<String>,
    /// The tallest quality that can be delivered, in pixels of the picture's short side; null without a picture.
    #[schema(example = 1080)]
    pub max_height: Option<u32>,
}

/// Answers `POST /v1/clip/info`.
///
/// # Errors
/// 400 for a bad URL, 422 for one that is no video.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let InfoRequest { url } = request.json()?;
    let url = source_url(&url)?;
    let source = app.prober()?.look(&url).await?;
    Ok(ApiResponse::ok(&Info::of(source, url)))
}

impl Info {
    fn of(source: SourceInfo, url: String) -> Self {
        Self {
            title: source.title,
            duration: source.duration.seconds(),
            thumbnail: source.thumbnail,
            // A direct file previews itself.
            preview_url: (!source.is_page).then_some(url),
            preview_embed_url: source.embed_url,
            max_height: source.picture.map(PictureSize::max_height),
        }
    }
}
