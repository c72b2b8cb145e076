//! `POST /v1/clip/info`: look at a source before clipping it. Open to anyone, costs nothing. An upload is shown to its
//! owner only.

use std::sync::Arc;

use domain::{
    account::Scope,
    quality::PictureSize,
    source::{Location, SourceInfo},
};
use look::{Payer, prober};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, identify};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

use crate::{audio::TrackView, upload};

/// Which source to look at.
#[derive(Debug, Deserialize, ToSchema)]
pub struct InfoRequest {
    /// Address of a video.
    #[schema(example = "https://example.com/video.mp4")]
    pub url: Option<String>,
    /// An upload of yours, in place of `url`; this needs your key.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: Option<String>,
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
    /// The sounds to choose among with `audio`; empty where they are not known.
    pub audio_tracks: Vec<TrackView>,
}

/// Answers `POST /v1/clip/info`.
///
/// # Errors
/// 400 for a bad URL, 422 for one that is no video; for an upload also 401 without its owner's key, 404 and 409.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let InfoRequest { url, file_id } = request.json()?;
    let info = match Location::named(url.as_deref(), file_id.as_deref())? {
        Location::Url(url) => Info::of(look(&app, &request, &url).await?, Some(url)),
        Location::Upload(id) => {
            let caller = identify(&app, &request, Scope::ClipsRead).await?;
            Info::of(upload::ready(&app, &caller.account, &id).await?, None)
        }
    };
    Ok(ApiResponse::ok(&info))
}

/// The result of an earlier look, for 10 minutes, else of a look now. A failed look is not kept, so that
/// a source that was mended is found at once.
async fn look(app: &App, request: &ApiRequest, url: &str) -> Result<SourceInfo, ApiError> {
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
    let source = prober(app)?.look(app, &Payer::client(request), url).await?;
    if let Err(problem) = table.keep_look(url, source.clone(), app.now()).await {
        warn!(%problem, "the look is not kept");
    }
    Ok(source)
}

impl Info {
    fn of(source: SourceInfo, url: Option<String>) -> Self {
        Self {
            title: source.title,
            duration: source.duration.seconds(),
            thumbnail: source.thumbnail,
            preview_url: url.filter(|_| source.plays && !source.is_page),
            preview_embed_url: source.embed_url,
            max_height: source.picture.map(PictureSize::max_height),
            audio_tracks: source.tracks.into_iter().map(TrackView::from).collect(),
        }
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Look at a source: title, length, tallest quality")
        .takes::<InfoRequest>()
        .answers::<Info>()
        .problems(&[400, 401, 403, 404, 409, 413, 415, 422])
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
        let page = Info::of(source.clone(), Some(url.to_owned()));
        assert_eq!((page.preview_url, page.max_height), (None, None));
        assert_eq!((&page.thumbnail, &page.preview_embed_url), (&source.thumbnail, &source.embed_url));
        let file = Info::of(SourceInfo { plays: true, ..source }, Some(url.to_owned()));
        assert_eq!(file.preview_url.as_deref(), Some(url));
    }
}
