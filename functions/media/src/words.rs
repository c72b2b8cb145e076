//! Words: what is said in a source, kept for 7 days under the source's identity, so that a second question about it reads
//! nothing but this.
//!
//! They are a source's captions, as [`captions`] finds them. Where it has none, it has to be listened to, which is what
//! [`hear`](crate::hear) and the functions of the area `speech` do. A file is told from its other versions by its validator, an
//! upload by its entity tag; a web page has neither, and is known by its address.

use std::sync::Arc;

use domain::{job::Status, source::Location};
use look::{
    CaptionsAnswer, CaptionsRequest,
    words::{Said, Words, WordsAnswer, WordsRequest, no_transcript, sought},
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use sources::{RemoteFile, ytdlp::is_page};
use store::keys;
use tracing::info;

use crate::{
    captions::{self, LIMITS},
    job::{open_job, passing, reporting},
    source::open_upload,
};

/// Keeps the words of the source of job `{job_id}` and hands them on as `{job_id, words, written}`, where `words` is the key
/// of what is there, or will be if they are not `written`; or those that a [`WordsRequest`] asks for, and answers a
/// [`WordsAnswer`].
///
/// # Errors
/// [`StageError::Job`] for a job whose source has no words or is at fault; [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    if input.get("job_id").is_none() {
        let request: WordsRequest = serde_json::from_value(input).map_err(passing)?;
        return serde_json::to_value(keep(&app, request).await?).map_err(passing);
    }
    let job = open_job(&app, &input).await?;
    let spec = sought(&job).ok_or_else(|| passing("this job looks for nothing"))?;
    let work = keep(&app, WordsRequest::of(&job.account, spec, &job.source));
    match reporting(&app, &job.id, Status::Analyzing, || 0.0, work).await? {
        WordsAnswer::Kept(words) => Ok(json!({ "job_id": job.id, "words": words, "written": true })),
        WordsAnswer::Unwritten(key) => {
            let words = key.unwrap_or_else(|| keys::words_object(&job.id.to_string(), None));
            Ok(json!({ "job_id": job.id, "words": words, "written": false }))
        }
        WordsAnswer::None(why) => Err(StageError::Job(no_transcript(&why))),
        WordsAnswer::Failure(failure) => Err(StageError::Job(failure)),
    }
}

async fn keep(app: &App, request: WordsRequest) -> Result<WordsAnswer, StageError> {
    let version = match version(app, &request).await {
        Ok(version) => version,
        Err(StageError::Job(failure)) => return Ok(WordsAnswer::Failure(failure)),
        Err(error) => return Err(error),
    };
    let objects = app.objects()?;
    let language = request.language.clone();
    let key = version.map(|version| keys::words_object(&version, language.as_deref()));
    // A read tells whether they are there; to be told "not found" by anything else takes the right to list the bucket.
    if let Some(key) = &key
        && objects.read_at(key, 0, 1).await.is_ok()
    {
        info!("the words are kept");
        return Ok(WordsAnswer::Kept(key.clone()));
    }
    let WordsRequest { location, account, language, has_sound } = request;
    let request = CaptionsRequest { location, account, language: language.clone() };
    let (segments, duration) = match captions::read(app, Some(objects), &request).await? {
        CaptionsAnswer::Captions { segments, duration } => (segments, duration),
        CaptionsAnswer::None(_) if has_sound => return Ok(WordsAnswer::Unwritten(key)),
        CaptionsAnswer::None(why) => return Ok(WordsAnswer::None(format!("{why}, and no sound"))),
        CaptionsAnswer::Failure(failure) => return Ok(WordsAnswer::Failure(failure)),
    };
    info!(segments = segments.len(), "read the captions");
    let segments = segments.into_iter().map(Said::from).collect();
    let words = Words { language, duration, heard: false, segments };
    let words = serde_json::to_string(&words).map_err(passing)?;
    // Of a source whose versions cannot be told apart they are kept for this question: the same words are the same object.
    let key = key.unwrap_or_else(|| keys::words_object(&words, None));
    objects.put_bytes(&key, words.into_bytes(), "application/json").await?;
    Ok(WordsAnswer::Kept(key))
}

/// What tells the source from all others and from its other versions, if that can be told.
async fn version(app: &App, request: &WordsRequest) -> Result<Option<String>, StageError> {
    let file: RemoteFile = match &request.location {
        Location::Upload(id) => open_upload(app, &request.account, id, LIMITS).await?,
        Location::Url(url) if is_page(url) => return Ok(Some(url.clone())),
        Location::Url(url) => app.sources(LIMITS)?.open(url).await?,
    };
    Ok(file.version())
}
