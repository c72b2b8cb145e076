//! `POST /v1/download`: ask for a whole video.

use std::sync::Arc;

use domain::download::DownloadSpec;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::accept::accept;

/// Which video to deliver, and how.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DownloadRequest {
    /// Address of the video, of any length.
    #[schema(example = "https://example.com/video.mp4")]
    pub url: String,
    /// `mp4` (the default) or `mp3`.
    #[schema(example = "mp4")]
    pub format: Option<String>,
    /// `720p`, `1080p` (the default) or `4k`; `medium` and `high` stand for the first two. Without meaning for mp3.
    #[schema(example = "4k")]
    pub quality: Option<String>,
    /// Whether it is kept in the history, with a share page; false if left out.
    #[serde(default)]
    #[schema(example = true)]
    pub save_to_library: Option<bool>,
}

/// Answers `POST /v1/download`.
///
/// # Errors
/// 400 for a bad request, 401 without a key, 402 without money, 422 for a source that cannot serve the request or a
/// reused `Idempotency-Key`, 429 past the limits. Nothing is spent or left behind then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: DownloadRequest = request.json()?;
    let save = ask.save_to_library.unwrap_or(false);
    let spec = DownloadSpec::new(&ask.url, ask.format.as_deref(), ask.quality.as_deref(), save)?;
    accept(&app, caller, &request, spec).await
}
