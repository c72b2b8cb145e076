//! Hear: the sound of a source whose words nobody has written down, as what speech is recognised in.
//!
//! Only the sound's bytes are read, and once: they are fetched as those of a clip of it would be. What is decoded of them lies
//! in the work prefix, where a place tells its time, so that whoever listens reads a part of it as bytes.

use std::{path::Path, sync::Arc};

use domain::job::{Job, Status};
use look::words::{HEARD, sought};
use media::{
    engine::{Cut, HEARD_AT, heard},
    ffmpeg::Tools,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::keys;
use tracing::info;

use crate::{
    download,
    job::{Fraction, open_job, passing, reporting_through, scratch},
    work::told,
};

/// The name among a job's work files of the sound.
const SOUND: &str = "heard.wav";
/// How much of the work is fetching.
const FETCHED: f64 = 0.8;

/// Leaves the sound of job `{job_id}` and hands on `{job_id, words, sound: {object, at, bytes}}`: which bytes of which object
/// are its samples. A repeat leaves the same.
///
/// # Errors
/// [`StageError::Job`] if the source cannot be fetched or has no sound.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let words =
        input.get("words").and_then(Value::as_str).ok_or_else(|| passing("the input names no words"))?;
    let folder = scratch()?;
    let done = Fraction::default();
    let work = hear(&app, &job, folder.path(), &done);
    let fraction = || done.get() * HEARD;
    let (status, last) = (Status::Analyzing, job.analyzes_through());
    let (bytes, version) = reporting_through(&app, &job.id, status, last, fraction, work).await?;
    // It may be another version than the one whose captions were looked for.
    let language = sought(&job).and_then(|spec| spec.language.as_deref());
    let words = version.map_or_else(|| words.to_owned(), |version| keys::words_object(&version, language));
    let sound = json!({ "object": keys::work_object(&job.id, SOUND), "at": HEARD_AT, "bytes": bytes });
    Ok(json!({ "job_id": job.id, "words": words, "sound": sound }))
}

/// How many bytes its samples are, and which version of the source they are of.
async fn hear(
    app: &App,
    job: &Job,
    folder: &Path,
    done: &Fraction,
) -> Result<(u64, Option<String>), StageError> {
    let clip = sought(job).ok_or_else(|| passing("this job looks for nothing"))?.sound(job.source.duration);
    let (span, format, quality) = (clip.span, clip.format, clip.quality);
    let wanted = Job { spec: clip.into(), ..job.clone() };
    let sound = download::sound(app, wanted, folder, |fetched| done.set(FETCHED * fetched)).await?;
    let cut = Cut {
        input: &sound.path,
        origin: sound.origin,
        span,
        pace: None,
        format,
        quality,
        audio: None,
        bytes_max: None,
        encode: true,
        out_dir: folder,
    };
    let decoded = |decoded: f64| done.set(FETCHED + (1.0 - FETCHED) * decoded);
    let heard = heard(&Tools::default(), &cut, &decoded).await.map_err(told)?;
    let bytes = tokio::fs::metadata(&heard).await.map_err(passing)?.len().saturating_sub(HEARD_AT);
    info!(bytes, "decoded the sound");
    app.objects()?.put_file(&keys::work_object(&job.id, SOUND), &heard, "audio/wav").await?;
    Ok((bytes, sound.version))
}
