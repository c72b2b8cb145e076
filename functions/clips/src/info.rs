//! `POST /v1/clip/info`: look at a source before clipping it. Open to anyone, costs nothing.

use std::sync::Arc;

use domain::{clip::source_url, quality::PictureSize, source::SourceInfo};
use runtime::{ApiError, ApiRequest, ApiResponse, App};
use serde::{Deserialize, Serialize};
use tracing::warn;
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
    /// The source's own address, if any current browser plays what is there.
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
    let source = look(&app, &url).await?;
    Ok(ApiResponse::ok(&Info::of(source, url)))
}

/// What an earlier look told, for 10 minutes, else what a look tells now. A look that told nothing is not kept, so that
/// a source that was mended is found at once.
async fn look(app: &App, url: &str) -> Result<SourceInfo, ApiError> {
    // A host that was taken off the operator's list is refused at once, whatever is kept of it.
    app.config().sources()?.check(url)?;
    let table = app.table()?;
    // What is kept only saves a look: without it everything works the same.
    let kept = table.kept_look(url, app.now()).await.unwrap_or_else(|problem| {
        warn!(%problem, "no kept look");
        None
    });
    if let Some(source) = kept {
        return Ok(source);
    }
    let source = app.prober()?.look(url).await?;
    if let Err(problem) = table.keep_look(url, source.clone(), app.now()).await {
        warn!(%problem, "the look is not kept");
    }
    Ok(source)
}

impl Info {
    fn of(source: SourceInfo, url: String) -> Self {
        Self {
            title: source.title,
            duration: source.duration.seconds(),
            thumbnail: source.thumbnail,
            preview_url: (source.plays && !source.is_page).then_some(url),
            preview_embed_url: source.embed_url,
            max_height: source.picture.map(PictureSize::max_height),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_plays_previews_itself() {
        let url = "https://example.com/watch?v=1";
        let source = SourceInfo {
            thumbnail: Some("https://example.com/1.jpg".to_owned()),
            embed_url: Some("https://example.com/embed/1".to_owned()),
            ..SourceInfo::default()
        };
        let page = Info::of(source.clone(), url.to_owned());
        assert_eq!((page.preview_url, page.max_height), (None, None));
        assert_eq!((&page.thumbnail, &page.preview_embed_url), (&source.thumbnail, &source.embed_url));
        let file = Info::of(SourceInfo { plays: true, ..source }, url.to_owned());
        assert_eq!(file.preview_url.as_deref(), Some(url));
    }
}
