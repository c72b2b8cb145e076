//! Process: make the exact clip from the fetched span, or one share of it, verify it, and leave it in the work prefix.
//!
//! While the clip is stored, its poster is made and, for a video, the thumbnails of its seek bar (a grid in one JPEG,
//! and a WebVTT file). A clip without these is complete too.

use std::{path::Path, sync::Arc, time::Duration};

use domain::{
    cut::Span,
    job::{Failure, Job, Status},
    spec::Spec,
};
use media::{
    engine::{self, Cut, EngineError, Output, Warm},
    ffmpeg::Tools,
    process::ProcessError,
    whole,
};
use runtime::{App, StageError, time_limits};
use serde_json::{Value, json};
use store::{keys, objects::Objects};
use tokio::sync::oneshot;
use tracing::info;

use crate::{
    job::{Fraction, open_job, passing, reporting, scratch},
    work::{self, Made, PLAN, Plan, SOURCE, told},
};

/// The largest object that S3 takes in one PUT, in bytes.
const PUT_BYTES_MAX: u64 = 5_000_000_000;

/// Makes the clip of job `{job_id}`, or the share `{segment}` of it. What was not found to be exact never leaves here.
///
/// # Errors
/// [`StageError::Job`] if the source cannot give this clip.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let segment = input.get("segment").and_then(Value::as_u64).unwrap_or(0);
    let segment = usize::try_from(segment).map_err(passing)?;
    let folder = scratch()?;
    let made_of = Fraction::default();
    let left = Duration::from_millis(u64::try_from(app.time_left_ms()).unwrap_or(0));
    let work = within(left, make(&app, &job, segment, folder.path(), &made_of));
    reporting(&app, &job.id, Status::Processing, || made_of.get(), work).await?;
    Ok(json!({ "job_id": job.id }))
}

/// What a function needs to say that there is no time left.
const FAREWELL: Duration = Duration::from_secs(15);

/// All that the function does together: what is not done when its time is over would take as long again, and nobody is told
/// more by two more tries.
async fn within<T>(
    left: Duration,
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<T, StageError> {
    match tokio::time::timeout(left.saturating_sub(FAREWELL), work).await {
        Ok(done) => done,
        Err(_) => Err(told(EngineError::Process(ProcessError::TimeLimit {
            program: "the making of a clip".into(),
            limit: left,
        }))),
    }
}

async fn make(
    app: &App,
    job: &Job,
    segment: usize,
    folder: &Path,
    fraction: &Fraction,
) -> Result<(), StageError> {
    let (objects, source) = (app.objects()?, folder.join("source"));
    let cut = |origin, span, pace, encode| Cut {
        input: &source,
        origin,
        span,
        pace,
        format: job.spec.format(),
        quality: job.spec.quality(),
        audio: job.spec.audio(),
        bytes_max: job.spec.bytes_max(),
        encode,
        out_dir: folder,
    };
    match work::get(app, &job.id, PLAN).await? {
        Plan::One { origin, around, pace, damaged } => {
            let key = keys::work_object(&job.id, SOURCE);
            let cut = cut(origin, job.spec.span(&job.source), pace, damaged);
            let output = match &job.spec {
                Spec::Clip(_) => {
                    let warm = fetch(objects, &key, &cut).await?;
                    in_time(cut_around(&cut, around, (warm, fraction))).await?
                }
                Spec::Download(_) | Spec::Moments(_) => {
                    objects.get_file(&key, &source).await?;
                    let tools = Tools { time_limit: time_limits::CONVERT, ..Tools::default() };
                    let made = whole::convert(&tools, &cut, &|done| fraction.set(done)).await;
                    made.map_err(told_of_whole)?
                }
            };
            if output.verified.size_bytes > PUT_BYTES_MAX {
                return Err(too_long("the result would be larger than 5 GB"));
            }
            Made::put(app, job, &output, Vec::new()).await
        }
        Plan::Shared { fan_out, origins, .. } => {
            let share = fan_out.shares.get(segment).zip(origins.get(segment));
            let (share, origin) = share.ok_or_else(|| passing("there is no such share"))?;
            objects.get_file(&keys::work_object(&job.id, &keys::share_source(segment)), &source).await?;
            let cut = cut(*origin, share.span, fan_out.pace, true);
            // Shares run side by side and progress goes forwards only: each counts as if those before it were done.
            let (before, all) = (count(segment), count(fan_out.shares.len()));
            let progress = |done| fraction.set((before + done) / all);
            let output = in_time(engine::cut(&Tools::default(), &cut, &progress)).await?;
            if output.verified.frames != Some(share.frames) {
                // The shares that are made meanwhile count on it.
                info!(frames = ?output.verified.frames, planned = share.frames, "a share is not complete");
                return Err(damaged(share.span));
            }
            work::put(app, &job.id, &work::share_warnings(segment), &work::warnings(&output.damage)).await?;
            info!(segment, frames = share.frames, size_bytes = output.verified.size_bytes, "encoded a share");
            let key = keys::work_object(&job.id, &keys::share_output(segment));
            Ok(objects.put_file(&key, &output.media, "video/mp4").await?)
        }
    }
}

/// All attempts at a clip together: a source that needs more than one may be slow to read, and the function's end would
/// be told as our fault.
async fn in_time<T>(cutting: impl Future<Output = Result<T, EngineError>>) -> Result<T, StageError> {
    match tokio::time::timeout(time_limits::FFMPEG, cutting).await {
        Ok(made) => made.map_err(told),
        Err(_) => Err(told(EngineError::Process(ProcessError::TimeLimit {
            program: "the attempts at a clip".into(),
            limit: time_limits::FFMPEG,
        }))),
    }
}

/// Why a part of a long clip cannot be made.
fn damaged(span: Span) -> StageError {
    StageError::Job(Failure {
        code: "source_unsupported".to_owned(),
        message: format!(
            "The source's picture is damaged between {} and {}. Choose another span, or use another form of the video.",
            span.start, span.end
        ),
    })
}

/// Fetches what is to be cut, and starts what it will take while it comes.
async fn fetch(objects: &Objects, key: &str, cut: &Cut<'_>) -> Result<Option<Warm>, StageError> {
    let (there, front) = oneshot::channel();
    let warm = async {
        front.await.ok()?;
        engine::warm(&Tools::default(), cut).await
    };
    let (fetched, warm) = tokio::join!(objects.get_file_telling(key, cut.input, there), warm);
    Ok(fetched.map(|()| warm)?)
}

/// Cuts `around` if every frame of it can be copied, else exactly what was asked for.
async fn cut_around(
    cut: &Cut<'_>,
    around: Option<Span>,
    (mut warm, fraction): (Option<Warm>, &Fraction),
) -> Result<Output, EngineError> {
    let tools = Tools::default();
    if let Some(span) = around {
        match engine::cut_warm(&tools, &Cut { span, ..*cut }, warm.take(), &|_| {}).await {
            Ok(output) if output.method == "copy" => return Ok(output),
            Ok(output) => info!(method = output.method, "not every frame can be copied, so the cut is exact"),
            Err(problem) => info!(detail = ?problem, "the frames cannot be copied, so the cut is exact"),
        }
    }
    engine::cut_warm(&tools, cut, warm, &|done| fraction.set(done)).await
}

#[allow(clippy::cast_precision_loss)] // for a progress bar
const fn count(shares: usize) -> f64 {
    shares as f64
}

/// As [`told`]: a whole video that takes too long would take as long when tried again.
fn told_of_whole(problem: EngineError) -> StageError {
    match problem {
        EngineError::Process(ProcessError::TimeLimit { .. }) => too_long("converting it takes too long"),
        problem => told(problem),
    }
}

fn too_long(why: &str) -> StageError {
    let message =
        format!("The source cannot be delivered as a whole: {why}. Ask for another quality or for clips.");
    StageError::Job(Failure { code: "source_too_long".to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not an error that the state machine tries again: that made three times a quarter of an hour.
    #[tokio::test]
    async fn a_time_limit_that_is_reached_is_the_jobs_failure() {
        let never = std::future::pending::<Result<(), StageError>>();
        let reached = within(FAREWELL + Duration::from_millis(20), never).await.unwrap_err();
        let StageError::Job(failure) = reached else { panic!("{reached}") };
        assert!(failure.message.contains("takes too long"), "{failure:?}");
        let late = within(Duration::from_secs(1), std::future::pending::<Result<(), StageError>>()).await;
        assert!(matches!(late, Err(StageError::Job(_))), "{late:?}");
        assert!(within(FAREWELL + Duration::from_secs(60), async { Ok(()) }).await.is_ok());
        let tried =
            in_time(std::future::ready(Err::<(), _>(EngineError::Process(ProcessError::TimeLimit {
                program: "ffmpeg".into(),
                limit: FAREWELL,
            }))));
        assert!(matches!(tried.await, Err(StageError::Job(_))));
    }
}
