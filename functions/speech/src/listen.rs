//! Listen: what is said in one piece of the sound.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use domain::job::{Job, Status};
use look::words::{DIVIDED, RECOGNISED};
use runtime::{
    App, StageError,
    progress::{Fraction, open_job, reporting_through},
};
use serde_json::{Value, json};
use speech::{Error, Spoken};
use tracing::info;

use crate::{
    models::{chosen, passing, recogniser},
    sound::{Part, Sound, spoken_object},
};

/// Leaves the words of `{piece}` of `{sound}` among the work files of job `{job_id}`; in `{language}`, or in the one that is
/// heard. A repeat leaves the same.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended, [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let sound: Sound = serde_json::from_value(input["sound"].clone()).map_err(passing)?;
    let part: Part = serde_json::from_value(input["piece"].clone()).map_err(passing)?;
    let language = input["language"].as_str().map(str::to_owned);
    let done = Arc::new(Fraction::default());
    // Pieces run side by side and progress goes forwards only: each counts as if those before it were done.
    let (before, all) = (count(part.number), count(part.of.max(1)));
    let fraction = || DIVIDED + (RECOGNISED - DIVIDED) * (before + done.get()) / all;
    let (status, last) = (Status::Analyzing, job.analyzes_through());
    let work = listen(&app, &job, (&sound, part), language, &done);
    reporting_through(&app, &job.id, status, last, fraction, work).await?;
    Ok(json!({ "job_id": job.id }))
}

async fn listen(
    app: &App,
    job: &Job,
    (sound, part): (&Sound, Part),
    language: Option<String>,
    done: &Arc<Fraction>,
) -> Result<(), StageError> {
    let (objects, model, piece) = (app.objects()?, chosen(app)?, part.piece);
    let samples = sound.piece(objects, &piece).await?;
    let (wanted, done) = (Wanted::default(), Arc::clone(done));
    let is_wanted = Arc::clone(&wanted.0);
    let work = move || -> Result<Spoken, StageError> {
        let goes_on = |fraction: f64| {
            done.set(fraction);
            is_wanted.load(Ordering::Relaxed)
        };
        let told = recogniser(model)?.recognise_while(&samples, piece.start, language.as_deref(), goes_on);
        told.map_err(|error| match error {
            Error::Stopped => StageError::Ended,
            error => passing(error),
        })
    };
    let spoken = tokio::task::spawn_blocking(work).await.map_err(passing)??;
    info!(number = part.number, segments = spoken.segments.len(), language = spoken.language, "listened");
    let bytes = serde_json::to_vec(&spoken).map_err(passing)?;
    Ok(objects.put_bytes(&spoken_object(&job.id, part.number), bytes, "application/json").await?)
}

/// Says that nobody wants the words any more when it goes: what runs in a thread of its own does not end with its future.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[allow(clippy::cast_precision_loss)] // for a progress bar
const fn count(pieces: usize) -> f64 {
    pieces as f64
}
