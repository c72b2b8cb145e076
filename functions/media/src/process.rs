//! Process: make the exact clip from the fetched span, or the whole video from the fetched source, verify it, and
//! leave it in the work prefix.

use std::{path::Path, sync::Arc};

use domain::{
    job::{Failure, Job, Status},
    spec::Spec,
};
use media::{
    engine::{self, Cut, EngineError},
    ffmpeg::{ProcessError, Tools},
    whole,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::keys;
use tracing::{error, info};

use crate::{
    job::{Fraction, open_job, reporting, scratch, unsupported},
    work::{self, CONVERT_LIMIT, MADE, Made, OUTPUT, PLAN, POSTER, Plan, SOURCE},
};

/// The largest object that S3 takes in one PUT, in bytes.
const PUT_BYTES_MAX: u64 = 5_000_000_000;

/// Makes the clip of job `{job_id, segment}`. A clip that was not found to be exact never leaves here.
///
/// # Errors
/// [`StageError::Job`] if the source cannot give this clip.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let folder = scratch()?;
    let made_of = Fraction::default();
    let work = make(&app, &job, folder.path(), &made_of);
    let made = reporting(&app, &job.id, Status::Processing, || made_of.get(), work).await?;
    info!(method = made.method, size_bytes = made.size_bytes, duration_us = made.duration.0, "made");
    work::put(&app, &job.id, MADE, &made).await?;
    Ok(json!({ "job_id": job.id }))
}

async fn make(app: &App, job: &Job, folder: &Path, fraction: &Fraction) -> Result<Made, StageError> {
    let objects = app.objects()?;
    let plan: Plan = work::get(app, &job.id, PLAN).await?;
    let source = folder.join("source");
    objects.get_file(&keys::work_object(&job.id, SOURCE), &source).await?;
    let cut = Cut {
        input: &source,
        origin: plan.origin,
        span: job.spec.span(&job.source),
        format: job.spec.format(),
        quality: job.spec.quality(),
        out_dir: folder,
    };
    let progress = |done| fraction.set(done);
    let output = match &job.spec {
        Spec::Clip(_) => engine::cut(&Tools::default(), &cut, &progress).await.map_err(told)?,
        Spec::Download(_) => {
            let tools = Tools { time_limit: CONVERT_LIMIT, ..Tools::default() };
            whole::convert(&tools, &cut, &progress).await.map_err(told_of_whole)?
        }
    };
    if output.verified.size_bytes > PUT_BYTES_MAX {
        return Err(too_long("the result would be larger than 5 GB"));
    }
    let media_type = job.spec.format().media_type();
    objects.put_file(&keys::work_object(&job.id, OUTPUT), &output.media, media_type).await?;
    if let Some(poster) = &output.poster {
        objects.put_file(&keys::work_object(&job.id, POSTER), poster, "image/jpeg").await?;
    }
    Ok(Made {
        duration: output.verified.duration,
        picture: output.verified.picture,
        size_bytes: output.verified.size_bytes,
        has_poster: output.poster.is_some(),
        method: output.method.to_owned(),
    })
}

/// What the owner is told when the source is the reason; our own faults are logged and tried again.
fn told(problem: EngineError) -> StageError {
    match problem.source_message() {
        Some(message) => {
            info!(detail = ?problem, "the source cannot give this clip");
            unsupported(message)
        }
        None => {
            error!(detail = ?problem, "the clip could not be made");
            StageError::Passing(problem.to_string())
        }
    }
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
