//! `POST /v1/clip`: ask for a clip.
//!
//! Everything that can be known is checked before money moves: the request, then the source. One transaction then
//! writes the hold, the job and its place; only after it is the work started. A crash in between is mended by
//! `stages.sweep`.

use std::{fmt, sync::Arc};

use domain::{
    clip::ClipSpec,
    cut::Span,
    ids::JobId,
    job::{Job, Status},
    prices::PriceBook,
    time::{MediaTime, TimeError},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::json;
use store::accept::{Acceptance, Terms};
use tracing::{error, info};
use utoipa::{
    ToSchema,
    openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
};

/// What to cut.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ClipRequest {
    /// Address of the video.
    #[schema(example = "https://example.com/video.mp4")]
    pub url: String,
    /// Where the clip begins: seconds, or a time like `"1:02:03.5"`.
    #[schema(schema_with = time_schema)]
    pub start: TimeInput,
    /// Where the clip ends: the first instant that is not part of it.
    #[schema(schema_with = time_schema)]
    pub end: TimeInput,
    /// `mp4` (the default), `mp3`, `gif`, `m4a`, `wav` or `flac`.
    #[schema(example = "mp4")]
    pub format: Option<String>,
    /// `720p`, `1080p` (the default) or `4k`; `medium` and `high` stand for the first two. Without meaning for sound alone.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// `exact` (the default), or `keyframe` for an mp4 of which every frame is copied: it begins with the last key frame
    /// at or before `start` and goes on to the next place at or after `end` where the picture can be cut. Where that
    /// cannot be, the clip is exact; the answer tells how it was made, and its actual start and end.
    #[schema(example = "exact")]
    pub precision: Option<String>,
}

/// A number of seconds, or text like `"1:02:03.5"`.
fn time_schema() -> Schema {
    let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0));
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(r"^(\d+:){0,2}\d+(\.\d+)?$"));
    OneOfBuilder::new().item(number).item(text).examples([json!(120), json!("1:02:03.5")]).into()
}

/// The job that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// Follow it with `GET /v1/clip/{job_id}`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub job_id: String,
    /// `pending`.
    #[schema(example = "pending")]
    pub status: &'static str,
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
/// 400 for a bad request, 401 without a key, 402 without money, 422 for a source that cannot serve the request or a
/// reused `Idempotency-Key`, 429 past the limits. Nothing is spent or left behind then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: ClipRequest = request.json()?;
    let span = Span { start: ask.start.named("start")?, end: ask.end.named("end")? };
    let spec = ClipSpec::new(&ask.url, span, ask.format.as_deref(), ask.quality.as_deref())?
        .with_precision(ask.precision.as_deref())?;
    let intention = request.intention()?;
    let (table, quota) = (app.table()?, app.config().clip_jobs()?);
    // Before the source is looked at: it may be gone by the time a client repeats itself.
    let mut outlook = table.outlook(&caller.account, quota, intention.as_ref(), app.now()).await?;
    if let Some(earlier) = outlook.earlier.take() {
        return ApiResponse::replayed(earlier);
    }
    if !outlook.jobs.allowed && intention.is_none() {
        return Err(ApiError::rate_limited("clip jobs", outlook.jobs));
    }
    let source = app.prober()?.look(&spec.url).await?;
    spec.check_source(&source)?;

    let book = PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?;
    let price = spec.price(book, spec.delivered_picture(&source));
    let id = JobId::from_random(random()?);
    let accepted = Accepted { job_id: id.to_string(), status: Status::Pending.word() };
    let response = ApiResponse::ok(&accepted);
    let answer = response.to_answer();
    let mut job = Job::accepted(id, caller.account, spec, source, (book.version.clone(), price), app.now());
    job.cap = caller.cap;
    let terms = Terms {
        slots_max: app.config().clip_slots()?,
        quota,
        intention: intention.as_ref().map(|intention| (intention, &answer)),
    };
    let job = match table.accept(job, &outlook, &terms).await? {
        Acceptance::Accepted(job) => job,
        Acceptance::Earlier(earlier) => return ApiResponse::replayed(earlier),
        Acceptance::Capped => return Err(ApiError::daily_cap()),
        Acceptance::TooMany(limit) => return Err(ApiError::rate_limited("clip jobs", limit)),
    };
    info!(job_id = %job.id, account = %job.account, reserved = job.reserved.0, has_slot = job.has_slot, "accepted");

    start(&app, &job).await;
    Ok(response.limited(outlook.jobs))
}

/// Starts the job, or sees to it that it is started when a slot is free. The job is accepted already: a failure
/// here is logged and left to the sweeper, not told to a client who would ask a second time and pay twice.
async fn start(app: &App, job: &Job) {
    let started = if job.has_slot {
        app.start_execution(&job.id).await
    } else {
        // A slot may have become free between the look at it and the job's entry into the queue.
        app.wake_dispatch(&job.account).await
    };
    if let Err(problem) = started {
        error!(job_id = %job.id, %problem, "not started, left to the sweeper");
    }
}

fn random() -> Result<[u8; 16], ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(bytes)
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
