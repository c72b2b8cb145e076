//! Find: the moments in kept words that a sentence asks for.

use std::sync::Arc;

use domain::{
    ids::JobId,
    job::{Job, Status},
    moments::{Found, Search},
};
use look::words::{FindAnswer, FindRequest, Words, sought};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::StoreError;
use tracing::info;

use crate::plain;

/// Writes down what the words `{words}` have of what job `{job_id}` looks for; or finds what a [`FindRequest`] asks for, and
/// answers a [`FindAnswer`]. A repeat finds the same.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended, [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let Some(id) = input.get("job_id") else {
        let FindRequest { words, search } = serde_json::from_value(input).map_err(passing)?;
        let found = find(&app, &words, search).await?;
        return serde_json::to_value(FindAnswer::Found(found)).map_err(passing);
    };
    let id = id.as_str().and_then(JobId::parse).ok_or_else(|| passing("the input names no job"))?;
    let words =
        input.get("words").and_then(Value::as_str).ok_or_else(|| passing("the input names no words"))?;
    let table = app.table()?;
    let job: Job = table.job(&id).await?.ok_or(StoreError::NotFound)?;
    let spec = sought(&job).ok_or_else(|| passing("this job looks for nothing"))?;
    let status = Status::Analyzing;
    if job.status.is_final() || !table.advance(&id, status, status.progress(0.5), app.now()).await? {
        return Err(StageError::Ended);
    }
    // Captions may go on behind the last picture.
    let found = find(&app, words, spec.search.clone()).await?.bounded(&spec.search, job.source.duration);
    if table.set_found(&id, &found).await? { Ok(json!({ "job_id": id })) } else { Err(StageError::Ended) }
}

async fn find(app: &App, words: &str, search: Search) -> Result<Found, StageError> {
    let words = app.objects()?.get_bytes(words).await?;
    let words: Words = serde_json::from_slice(&words).map_err(passing)?;
    // It computes for seconds: what reports meanwhile must not wait for it.
    let found = tokio::task::spawn_blocking(move || {
        let length = words.duration;
        plain::find(&words, &search).bounded(&search, length)
    });
    let found = found.await.map_err(passing)?;
    info!(moments = found.moments.len(), "looked through the words");
    Ok(found)
}

fn passing(error: impl std::fmt::Display) -> StageError {
    StageError::Passing(error.to_string())
}
