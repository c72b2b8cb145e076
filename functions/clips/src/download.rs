//! `POST /v1/download`: ask for a whole video.

use std::sync::Arc;

use domain::{download::DownloadSpec, source::Location};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, de::IgnoredAny};
use utoipa::ToSchema;

use crate::{
    accept::{Ask, accept, webhook},
    audio::{self, AudioInput},
    max_cost::{self, MaxCost},
};

/// Which video to deliver, and how.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DownloadRequest {
    /// Address of the video, of any length.
    #[schema(example = "https://example.com/video.mp4")]
    pub url: Option<String>,
    /// An upload of yours, in place of `url`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: Option<String>,
    /// `mp4` (the default) or `mp3`.
    #[schema(example = "mp4")]
    pub format: Option<String>,
    /// `720p`, `1080p` (the default) or `4k`; `medium` and `high` stand for the first two. Ignored for mp3.
    #[schema(example = "4k")]
    pub quality: Option<String>,
    /// Whether it is kept in the history, with a share page; false if left out.
    #[serde(default)]
    #[schema(example = true)]
    pub save_to_library: Option<bool>,
    /// Which of the source's sounds.
    #[serde(default)]
    #[schema(schema_with = audio::schema)]
    pub audio: AudioInput,
    /// The most that it may cost.
    #[serde(default)]
    #[schema(schema_with = max_cost::schema)]
    pub max_cost: MaxCost,
    /// Where to send the event of its end: an https URL, 2048 characters at most. See the account's webhooks.
    #[schema(example = "https://example.com/hooks/clips")]
    pub webhook: Option<String>,
    /// Belongs to a clip; here it would be ignored although it was paid for.
    #[serde(default)]
    #[schema(ignore)]
    start: Option<IgnoredAny>,
    #[serde(default)]
    #[schema(ignore)]
    end: Option<IgnoredAny>,
}

impl DownloadRequest {
    /// The job that this asks for.
    ///
    /// # Errors
    /// 400 for what cannot be, whatever the source.
    pub(crate) fn ask(self) -> Result<Ask, ApiError> {
        let save = self.save_to_library.unwrap_or(false);
        let location = Location::named(self.url.as_deref(), self.file_id.as_deref())?;
        let spec = DownloadSpec::of(location, self.format.as_deref(), self.quality.as_deref(), save)?
            .with_audio(self.audio.wish()?);
        if self.start.is_some() || self.end.is_some() {
            let why = "The fields `start` and `end` are for POST /v1/clip; a download is the whole video.";
            return Err(ApiError::bad_request(why));
        }
        Ok(Ask {
            spec: spec.into(),
            max_cost: self.max_cost.amount()?,
            webhook: webhook(self.webhook.as_deref())?,
        })
    }
}

/// Answers `POST /v1/download`.
///
/// # Errors
/// 400 for a bad request, 401 without a key, 402 without money or above `max_cost`, 404 for an upload that is not the
/// caller's, 409 for one that is not ready, 422 for a source that cannot serve the request or a reused
/// `Idempotency-Key`, 429 past the limits. Nothing is spent or left behind then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: DownloadRequest = request.json()?;
    accept(&app, caller, &request, ask.ask()?).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Ask for a whole video")
        .takes::<DownloadRequest>()
        .answers::<crate::accept::Accepted>()
        .problems(&[400, 402, 404, 409, 413, 415, 422, 503])
        .spends()
}
