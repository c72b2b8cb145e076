//! `POST /v1/clip`: ask for a clip.

use std::{fmt, sync::Arc};

use domain::{
    clip::ClipSpec,
    cut::Span,
    source::Location,
    time::{MediaTime, TimeError},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
};

use crate::{
    accept::{Ask, accept, webhook},
    audio::{self, AudioInput},
    max_cost::{self, MaxCost},
};

/// What to cut.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ClipRequest {
    /// Address of the video.
    #[schema(example = "https://example.com/video.mp4")]
    pub url: Option<String>,
    /// An upload of yours, in place of `url`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: Option<String>,
    /// Where the clip begins: seconds, or a time like `"1:02:03.5"`.
    #[schema(schema_with = time_schema)]
    pub start: TimeInput,
    /// Where the clip ends: the first instant that is not part of it.
    #[schema(schema_with = time_schema)]
    pub end: TimeInput,
    /// `mp4` (the default), `mp3`, `gif`, `m4a`, `wav` or `flac`.
    #[schema(example = "mp4")]
    pub format: Option<String>,
    /// `720p`, `1080p` (the default) or `4k`; `medium` and `high` stand for the first two. Ignored for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// `exact` (the default), or `keyframe` for an mp4 of which every frame is copied: it begins with the last key frame
    /// at or before `start` and goes on to the next place at or after `end` where the picture can be cut. Where that
    /// cannot be, the clip is exact; the answer tells how it was made, and its actual start and end.
    #[schema(example = "exact")]
    pub precision: Option<String>,
    /// Which of the source's sounds.
    #[serde(default)]
    #[schema(schema_with = audio::schema)]
    pub audio: AudioInput,
    /// The most bytes that a gif may have, 50,000 at least: colours, frames and size are given up for it, in this order.
    #[schema(example = 5_000_000, minimum = 50_000)]
    pub max_bytes: Option<u64>,
    /// The most that it may cost.
    #[serde(default)]
    #[schema(schema_with = max_cost::schema)]
    pub max_cost: MaxCost,
    /// Where to send the event of its end: an https URL, 2048 characters at most. See the account's webhooks.
    #[schema(example = "https://example.com/hooks/clips")]
    pub webhook: Option<String>,
}

impl ClipRequest {
    /// The job that this asks for.
    ///
    /// # Errors
    /// 400 for what cannot be, whatever the source.
    pub(crate) fn ask(self) -> Result<Ask, ApiError> {
        let span = Span { start: self.start.named("start")?, end: self.end.named("end")? };
        let location = Location::named(self.url.as_deref(), self.file_id.as_deref())?;
        let spec = ClipSpec::of(location, span, self.format.as_deref(), self.quality.as_deref())?
            .with_precision(self.precision.as_deref())?
            .with_audio(self.audio.wish()?)?
            .with_max_bytes(self.max_bytes)?;
        Ok(Ask {
            spec: spec.into(),
            max_cost: self.max_cost.amount()?,
            webhook: webhook(self.webhook.as_deref())?,
        })
    }
}

/// A number of seconds, or text like `"1:02:03.5"`.
fn time_schema() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^(\d+:){0,2}\d+(\.\d+)?$"));
    OneOfBuilder::new().item(number).item(text).examples([json!(120), json!("1:02:03.5")]).into()
}

/// A time in a request: a number of seconds, or text.
#[derive(Clone, Copy, Debug)]
pub struct TimeInput(Result<MediaTime, TimeError>);

impl TimeInput {
    fn named(self, field: &str) -> Result<MediaTime, ApiError> {
        self.0.map_err(|problem| ApiError::bad_request(format!("`{field}` {problem}")))
    }
}

impl<'de> Deserialize<'de> for TimeInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = TimeInput;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in seconds or like \"1:02:03.5\"")
            }

            fn visit_f64<E>(self, seconds: f64) -> Result<TimeInput, E> {
                Ok(TimeInput(MediaTime::from_seconds(seconds)))
            }

            #[allow(clippy::cast_precision_loss)] // out of range long before precision is lost
            fn visit_u64<E>(self, seconds: u64) -> Result<TimeInput, E> {
                Ok(TimeInput(MediaTime::from_seconds(seconds as f64)))
            }

            #[allow(clippy::cast_precision_loss)]
            fn visit_i64<E>(self, seconds: i64) -> Result<TimeInput, E> {
                Ok(TimeInput(MediaTime::from_seconds(seconds as f64)))
            }

            fn visit_str<E>(self, text: &str) -> Result<TimeInput, E> {
                Ok(TimeInput(text.parse()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// Answers `POST /v1/clip`.
///
/// # Errors
/// 400 for a bad request, 401 without a key, 402 without money or above `max_cost`, 404 for an upload that is not the
/// caller's, 409 for one that is not ready, 422 for a source that cannot serve the request or a reused
/// `Idempotency-Key`, 429 past the limits. Nothing is spent or left behind then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: ClipRequest = request.json()?;
    accept(&app, caller, &request, ask.ask()?).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Ask for a clip")
        .takes::<ClipRequest>()
        .answers::<crate::accept::Accepted>()
        .problems(&[400, 402, 404, 409, 413, 415, 422, 503])
        .spends()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_of(json: &str) -> Result<i64, String> {
        let text = format!(r#"{{"url":"https://example.com/a.mp4","start":{json},"end":9,"extra":true}}"#);
        let ask: ClipRequest = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        ask.start.0.map(|time| time.0).map_err(|e| e.to_string())
    }

    #[test]
    fn times_are_numbers_or_text() {
        for json in ["83.5", "\"83.5\"", "\"1:23.5\""] {
            assert_eq!(start_of(json), Ok(83_500_000), "{json}");
        }
        assert_eq!(start_of("30"), Ok(30_000_000));
        for json in ["-1", "-0.5", "\"-1\"", "1e300", "\"NaN\"", "true", "null", "[]", "\"\""] {
            assert!(start_of(json).is_err(), "{json}");
        }
    }
}
