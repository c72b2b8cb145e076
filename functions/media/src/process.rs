//! Process: make the exact clip from the fetched span, verify it, and leave it in the work prefix.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::job::{Job, Status};
use media::{
    engine::{self, Cut, EngineError},
    ffmpeg::Tools,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::keys;
use tracing::{error, info};

use crate::{
    job::{open_job, reporting, scratch, unsupported},
    work::{self, MADE, Made, OUTPUT, PLAN, POSTER, Plan, SOURCE},
};

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

/// A fraction that one task sets and another reads.
#[derive(Default)]
struct Fraction(AtomicU64);

impl Fraction {
    fn set(&self, fraction: f64) {
        self.0.store(fraction.to_bits(), Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

async fn make(app: &App, job: &Job, folder: &Path, fraction: &Fraction) -> Result<Made, StageError> {
    let objects = app.objects()?;
    let plan: Plan = work::get(app, &job.id, PLAN).await?;
    let source = folder.join("source");
    objects.get_file(&keys::work_object(&job.id, SOURCE), &source).await?;
    let cut = Cut {
        input: &source,
        origin: plan.origin,
        span: job.spec.span,
        format: job.spec.format,
        quality: job.spec.quality,
        out_dir: folder,
    };
    let output = engine::cut(&Tools::default(), &cut, &|done| fraction.set(done)).await.map_err(told)?;
    let media_type = job.spec.format.media_type();
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
