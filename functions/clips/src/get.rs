//! `GET /v1/clip/{job_id}`: follow a job, and fetch the clip when it is done.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::{
    expiry,
    ids::JobId,
    job::{Job, Output, Status},
    library,
    quality::{Format, PictureSize},
    rate::{WAIT_SECONDS, WAITS},
    sentence::sentence,
    time::Timestamp,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use store::{clips::Clip, delivery::Parcel, rate::Who};
use utoipa::ToSchema;

use crate::moments::{MomentView, Part, alternates, in_time, paired};

/// Longest wait that a client may ask for; API Gateway itself gives up after 30 s.
const WAIT_SECONDS_MAX: u64 = 25;
/// How often a waiting request looks at the job: each look is one read.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// A job as its owner sees it. Fields that have no value yet are left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// The job.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub job_id: String,
    /// `pending`, `analyzing` (where moments are looked for), `downloading`, `processing`, `uploading`, then `complete`,
    /// `failed` or `cancelled`.
    #[schema(example = "complete")]
    pub status: &'static str,
    /// 0 to 100, never going back.
    #[schema(example = 100)]
    pub progress: u8,
    /// A sentence for people.
    #[schema(example = "Done!")]
    pub status_message: String,
    /// `mp4`, `mp3`, `gif`, `m4a`, `wav` or `flac`; left out where no file is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mp4")]
    pub format: Option<&'static str>,
    /// The delivered quality once complete, until then the best that will be delivered; null for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// Dollars reserved for the job while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<f64>,
    /// Dollars charged, once it is complete; 0 if it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.1)]
    pub cost: Option<f64>,
    /// Bytes read from the source.
    pub source_bytes_read: u64,
    /// The finished clip.
    #[serde(flatten)]
    pub clip: Option<ClipView>,
    /// The finished clips of what was found, in the order of time. Those that were deleted since are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clips: Option<Vec<MadeView>>,
    /// What was found and could not be made a clip of. It cost nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_segments: Vec<LostView>,
    /// How many moments were found beyond those that the balance, or what may be spent, covered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pub segments_left: Option<usize>,
    /// What was found, where only that was asked for, in the order of time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<Vec<MomentView>>,
    /// What else might have been meant, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternates: Option<Vec<MomentView>>,
    /// What is otherwise than asked for, in sentences; also where the source is damaged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why the job failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A stable word for the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

/// What a complete job hands back.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClipView {
    /// Link to the file; works for an hour, but no longer than the clip lives. A new one is made on each request.
    pub download_url: String,
    /// Name of the file.
    #[schema(example = "clip_2-00-3-00.mp4")]
    pub file_name: String,
    /// Length of the file in bytes.
    pub file_size: u64,
    /// Length of the clip in seconds.
    pub duration: f64,
    /// The source's time at the clip's beginning, in seconds; for mp4 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 120.0)]
    pub start_actual: Option<f64>,
    /// The source's time at the clip's end, in seconds; for mp4 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 180.0)]
    pub end_actual: Option<f64>,
    /// Shape of the picture; null for sound.
    #[schema(example = "16:9")]
    pub aspect_ratio: Option<String>,
    /// How it was made: `copy`, `smart` (only the ends were encoded), `encode`, or `fan_out` (encoded by several functions).
    #[schema(example = "smart")]
    pub method: String,
    /// Link to thumbnails at regular intervals in one JPEG, for an mp4 longer than 2 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sprite_url: Option<String>,
    /// Link to the WebVTT file that tells which part of that picture (`#xywh=`) belongs to which time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sprite_vtt_url: Option<String>,
    /// Whether it is in the history.
    pub saved_to_library: bool,
    /// The clip's own id, if it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub clip_id: Option<String>,
    /// Path of its share page, if it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/c/a1b2c3d4e5f6g7h8")]
    pub share_url: Option<String>,
    /// Path of its embeddable player, if it is in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/embed/a1b2c3d4e5f6g7h8")]
    pub embed_url: Option<String>,
    /// When it expires; empty while it is pinned.
    pub expires_at: String,
}

/// A clip of a moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeView {
    /// The moment.
    #[serde(flatten)]
    pub moment: MomentView,
    /// The delivered quality; null for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// Link to a still picture of it, unless it is sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
    /// Where the source is damaged, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The clip.
    #[serde(flatten)]
    pub clip: ClipView,
}

/// A moment that could not be made a clip of.
#[derive(Debug, Serialize, ToSchema)]
pub struct LostView {
    /// The moment.
    #[serde(flatten)]
    pub moment: MomentView,
    /// Why not.
    pub error: String,
    /// A stable word for that.
    pub error_code: String,
}

/// Answers `GET /v1/clip/{job_id}`; with `?wait=1..25` as soon as status or progress change, or at the end of the
/// wait.
///
/// # Errors
/// 400 for a bad `wait`, 401 without a key, 404 for a job that is not the caller's or whose clip has expired, 429 where too
/// many of the account's requests wait.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let until = Instant::now() + wait(request.query("wait").as_deref())?;
    let id = JobId::parse(&request.path("job_id")).ok_or_else(|| ApiError::not_found("job"))?;
    let (mut job, mut clip, mut parts) = followed(&app, &caller, &id).await?;
    let seen = (job.status, job.progress);
    let mut paid_until = None;
    while !job.status.is_final() && (job.status, job.progress) == seen {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            break;
        }
        if paid_until.is_none_or(|paid| paid <= Instant::now()) {
            let limit = app.table()?.take(Who::Account(&caller.account), WAITS, 1, app.now()).await?;
            match (limit.allowed, paid_until) {
                (true, _) => paid_until = Some(Instant::now() + Duration::from_secs(WAIT_SECONDS)),
                (false, None) => return Err(ApiError::rate_limited("waits of 5 s", limit)),
                // It has waited for something: it is told how things stand.
                (false, Some(_)) => break,
            }
        }
        tokio::time::sleep(LOOK_EVERY.min(rest)).await;
        (job, clip, parts) = followed(&app, &caller, &id).await?;
    }
    Ok(ApiResponse::ok(&view(&app, &job, clip.as_ref(), &parts).await?))
}

/// A job of the caller's, its clip as it is now, which may have been renamed, moved or deleted since, and its parts, by
/// which it stands. Somebody else's job is answered like none, so that ids cannot be guessed.
async fn followed(
    app: &App,
    caller: &Caller,
    id: &JobId,
) -> Result<(Job, Option<Clip>, Vec<Part>), ApiError> {
    let (job, clip) = app.table()?.job_and_clip(id).await?;
    let job = job.filter(|job| job.account == caller.account).ok_or_else(|| ApiError::not_found("job"))?;
    let parts = app.table()?.parts(&job).await?;
    Ok((job.following(parts.iter().map(|(part, _)| part)), clip, parts))
}

fn wait(parameter: Option<&str>) -> Result<Duration, ApiError> {
    let Some(text) = parameter else { return Ok(Duration::ZERO) };
    let seconds = text.parse::<u64>().ok().filter(|seconds| (1..=WAIT_SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        ApiError::bad_request(format!("`wait` must be a whole number from 1 to {WAIT_SECONDS_MAX}"))
    })
}

/// A job as its owner sees it, `clip` being its record if it has one, and `parts` what it is made of, if it is.
pub(crate) async fn view(
    app: &App,
    job: &Job,
    clip: Option<&Clip>,
    parts: &[Part],
) -> Result<JobView, ApiError> {
    let delivered =
        job.output.as_ref().filter(|_| job.status == Status::Complete).map(|output| output.picture);
    let picture = delivered.unwrap_or_else(|| job.spec.delivered_picture(&job.source));
    let is_complete = job.status == Status::Complete;
    let is_analysis = job.spec.is_analysis();
    let found = job.found.as_ref().filter(|_| is_complete);
    let (clips, failed_segments) =
        if is_complete { made(app, job, parts).await? } else { Default::default() };
    Ok(JobView {
        job_id: job.id.to_string(),
        status: job.status.word(),
        progress: job.progress,
        status_message: message(job, parts),
        format: (!is_analysis).then(|| job.spec.format().extension()),
        quality: picture.map(PictureSize::label),
        reserved: (!job.status.is_final()).then(|| job.reserved.dollars()),
        cost: job.cost.map(domain::money::Amount::dollars),
        source_bytes_read: job.source_bytes_read
            + parts.iter().map(|(part, _)| part.source_bytes_read).sum::<u64>(),
        clip: clip_view(app, job, clip).await?,
        clips: (!parts.is_empty() && is_complete).then_some(clips),
        failed_segments,
        segments_left: found.map(|found| found.left).filter(|left| *left > 0),
        segments: found.filter(|_| is_analysis).map(|found| in_time(&found.moments)),
        alternates: found.and_then(alternates),
        warnings: [job.spec.warnings(), job.output.iter().flat_map(damage).collect()].concat(),
        error: job.failure.as_ref().map(|failure| sentence(&failure.message)),
        error_code: job.failure.as_ref().map(|failure| failure.code.clone()),
    })
}

/// The clips of a complete job's parts, and those that could not be made.
async fn made(app: &App, job: &Job, parts: &[Part]) -> Result<(Vec<MadeView>, Vec<LostView>), ApiError> {
    let (mut clips, mut lost) = (Vec::new(), Vec::new());
    for (moment, (part, clip)) in paired(job, parts) {
        let moment = MomentView::from(moment);
        if let Some(failure) = &part.failure {
            let (error, error_code) = (sentence(&failure.message), failure.code.clone());
            lost.push(LostView { moment, error, error_code });
            continue;
        }
        let Some(alive) = clip.as_ref().filter(|clip| clip.is_alive(app.now())) else { continue };
        let Some((clip, thumbnail_url)) = clip_and_poster(app, part, Some(alive)).await? else { continue };
        let quality = alive.output.picture.map(PictureSize::label);
        let warnings = damage(&alive.output).collect();
        clips.push(MadeView { moment, quality, thumbnail_url, warnings, clip });
    }
    Ok((clips, lost))
}

/// A sentence for people: of several clips, which one is made.
fn message(job: &Job, parts: &[Part]) -> String {
    if job.status != Status::Processing || parts.is_empty() {
        return job.status.message().to_owned();
    }
    let done = parts.iter().filter(|(part, _)| part.status > Status::Processing).count();
    format!("Processing segment {}/{}", (done + 1).min(parts.len()), parts.len())
}

/// Where the source is damaged, in sentences.
fn damage(output: &Output) -> impl Iterator<Item = String> {
    output.warnings.iter().map(|warning| warning.message.clone())
}

async fn clip_view(app: &App, job: &Job, clip: Option<&Clip>) -> Result<Option<ClipView>, ApiError> {
    Ok(clip_and_poster(app, job, clip).await?.map(|(clip, _)| clip))
}

async fn clip_and_poster(
    app: &App,
    job: &Job,
    clip: Option<&Clip>,
) -> Result<Option<(ClipView, Option<String>)>, ApiError> {
    let Some(made) = job.output.as_ref().filter(|_| job.status == Status::Complete) else {
        return Ok(None);
    };
    let saved = job.spec.saved_to_library();
    let (output, expires_at) = match clip {
        Some(clip) => (&clip.output, clip.expires_at),
        None => (made, Some(expiry::clip_expires_at(job.updated_at))),
    };
    if saved && clip.is_none() || expires_at.is_some_and(|expires| app.now() >= expires) {
        return Err(ApiError::not_found("clip"));
    }
    let file_name = clip.map_or_else(
        || output.file_name.clone(),
        |clip| library::file_name(&clip.name, output.format.extension()),
    );
    let parcel = clip.map_or_else(|| Parcel::of_job(job), Parcel::of_clip);
    let links = app.hand_out(&parcel, output, expiry::link_seconds(expires_at, app.now())).await?;
    let (sprite_url, sprite_vtt_url) = links.sprite().await?.unzip();
    let span = output.span.filter(|_| output.format == Format::Mp4);
    let view = ClipView {
        download_url: links.download(&file_name).await?,
        file_name,
        file_size: output.size_bytes,
        duration: output.duration.seconds(),
        start_actual: span.map(|span| span.start.seconds()),
        end_actual: span.map(|span| span.end.seconds()),
        aspect_ratio: output.picture.map(PictureSize::aspect_ratio),
        method: output.method.clone(),
        sprite_url,
        sprite_vtt_url,
        saved_to_library: saved,
        clip_id: saved.then(|| job.id.to_string()),
        share_url: saved.then(|| format!("/c/{}", job.id)),
        embed_url: saved.then(|| format!("/embed/{}", job.id)),
        expires_at: expires_at.map(Timestamp::rfc3339).unwrap_or_default(),
    };
    Ok(Some((view, links.poster().await?)))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Follow a job, and fetch the clip when it is done")
        .answers::<JobView>()
        .query(
            "wait",
            "integer",
            "1 to 25: answer when status or progress change, or after this many seconds",
        )
        .problems(&[400, 404])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_1_to_25_seconds() {
        assert_eq!(wait(None).unwrap(), Duration::ZERO);
        assert_eq!(wait(Some("25")).unwrap(), Duration::from_secs(25));
        for text in ["0", "26", "-1", "1.5", "", "x"] {
            assert!(wait(Some(text)).is_err(), "{text}");
        }
    }
}
