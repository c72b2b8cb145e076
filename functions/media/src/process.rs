//! Process: make the exact clip from the fetched span, verify it, and leave it in the work prefix.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{
    cut::Span,
    job::{Job, Status},
    quality::Format,
};
use media::{
    engine::{self, Cut, EngineError, Output},
    ffmpeg::Tools,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::keys;
use tracing::{error, info, warn};

use crate::{
    job::{open_job, reporting, scratch, unsupported},
    work::{self, CUES, MADE, Made, OUTPUT, PLAN, POSTER, Plan, SOURCE, SPRITE},
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
    let output = cut_around(&cut, plan.around, fraction).await.map_err(told)?;
    let media_type = job.spec.format.media_type();
    // What uploading the clip leaves of the processor is enough for the thumbnails.
    let ((), has_sprite) = tokio::try_join!(
        async { Ok(objects.put_file(&keys::work_object(&job.id, OUTPUT), &output.media, media_type).await?) },
        thumbnails(app, job, &output),
    )?;
    if let Some(poster) = &output.poster {
        objects.put_file(&keys::work_object(&job.id, POSTER), poster, "image/jpeg").await?;
    }
    Ok(Made {
        duration: output.verified.duration,
        span: output.verified.span,
        picture: output.verified.picture,
        size_bytes: output.verified.size_bytes,
        has_poster: output.poster.is_some(),
        has_sprite,
        method: output.method.to_owned(),
    })
}

/// Cuts `around` if every frame of it can be copied, else exactly what was asked for.
async fn cut_around(cut: &Cut<'_>, around: Option<Span>, fraction: &Fraction) -> Result<Output, EngineError> {
    let tools = Tools::default();
    if let Some(span) = around {
        match engine::cut(&tools, &Cut { span, ..*cut }, &|_| {}).await {
            Ok(output) if output.method == "copy" => return Ok(output),
            Ok(output) => info!(method = output.method, "not every frame can be copied, so the cut is exact"),
            Err(problem) => info!(detail = ?problem, "the frames cannot be copied, so the cut is exact"),
        }
    }
    engine::cut(&tools, cut, &|done| fraction.set(done)).await
}

/// Makes and stores the thumbnails of a video; tells whether there are any. A clip is complete without them, so a
/// failure is only logged.
async fn thumbnails(app: &App, job: &Job, output: &Output) -> Result<bool, StageError> {
    if job.spec.format != Format::Mp4 {
        return Ok(false);
    }
    match engine::sprite(&Tools::default(), output, &keys::sprite_name(&job.id)).await {
        Ok(None) => Ok(false),
        Ok(Some(sprite)) => {
            let objects = app.objects()?;
            objects.put_file(&keys::work_object(&job.id, SPRITE), &sprite.picture, "image/jpeg").await?;
            objects.put_file(&keys::work_object(&job.id, CUES), &sprite.cues, "text/vtt").await?;
            Ok(true)
        }
        Err(problem) => {
            warn!(detail = ?problem, "the clip has no thumbnails");
            Ok(false)
        }
    }
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
