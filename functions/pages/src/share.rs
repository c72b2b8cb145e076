//! `GET /v1/share/{clip_id}`: a shared clip, for programs.

use std::sync::Arc;

use domain::{quality::PictureSize, time::Timestamp};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};
use serde::Serialize;
use utoipa::ToSchema;

use crate::shown::Shown;

/// A clip as anyone sees it who has its link. Links work for 6 hours at most and never longer than the clip; a new one is
/// made on each request. Fields that have no value are left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShareView {
    /// The clip.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub clip_id: String,
    /// Its name.
    #[schema(example = "clip_2-00-3-00.mp4")]
    pub name: String,
    /// `mp4`, `mp3`, `gif`, `m4a`, `wav` or `flac`.
    #[schema(example = "mp4")]
    pub format: &'static str,
    /// The delivered quality; null for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// Shape of the picture; null for sound.
    #[schema(example = "16:9")]
    pub aspect_ratio: Option<String>,
    /// Length of the clip in seconds.
    #[schema(example = 60.0)]
    pub duration: f64,
    /// Length of the file in bytes.
    pub file_size: u64,
    /// Link that plays the file where it is used.
    pub stream_url: String,
    /// Link that saves the file under its name.
    pub download_url: String,
    /// Link to a still picture, a JPEG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poster_url: Option<String>,
    /// Link to thumbnails at regular intervals in one JPEG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sprite_url: Option<String>,
    /// Link to the WebVTT file that tells which part of that picture belongs to which time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sprite_vtt_url: Option<String>,
    /// How often it was seen: once for each viewer and day.
    pub views: u64,
    /// Path of its page.
    #[schema(example = "/c/a1b2c3d4e5f6g7h8")]
    pub share_url: String,
    /// Path of its player, for other pages to embed.
    #[schema(example = "/embed/a1b2c3d4e5f6g7h8")]
    pub embed_url: String,
    /// When it was made.
    pub created: String,
    /// Whether it is kept for good.
    pub pinned: bool,
    /// When it expires; empty while it is pinned.
    pub expires_at: String,
}

/// Answers `GET /v1/share/{clip_id}`.
///
/// # Errors
/// 404 for a clip that has expired, was deleted or never was.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let shown = Shown::find(&app, &request, &request.path("clip_id")).await?;
    let shown = shown.ok_or_else(|| ApiError::not_found("clip"))?;
    Ok(ApiResponse::ok(&view(shown)))
}

fn view(shown: Shown) -> ShareView {
    let Shown { share, links, .. } = shown;
    let (clip, output) = (&share.clip, &share.clip.output);
    ShareView {
        clip_id: clip.id.to_string(),
        format: output.format.extension(),
        quality: output.picture.map(PictureSize::label),
        aspect_ratio: output.picture.map(PictureSize::aspect_ratio),
        duration: output.duration.seconds(),
        file_size: output.size_bytes,
        stream_url: links.stream,
        download_url: links.download,
        poster_url: links.poster,
        sprite_url: links.sprite,
        sprite_vtt_url: links.sprite_cues,
        views: share.views,
        share_url: format!("/c/{}", clip.id),
        embed_url: format!("/embed/{}", clip.id),
        created: clip.created_at.rfc3339(),
        pinned: clip.expires_at.is_none(),
        expires_at: clip.expires_at.map(Timestamp::rfc3339).unwrap_or_default(),
        name: clip.name.clone(),
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("See a shared clip").answers::<ShareView>().problems(&[404])
}
