//! What every way to end a job shares.

use domain::{
    ids::JobId,
    job::{Failure, Job},
};
use runtime::{App, StageError};
use serde_json::Value;
use store::{StoreError, jobs::Ending, keys, leftovers, multipart::Upload};
use tracing::{info, warn};

/// The job that `{job_id}` names.
pub(crate) async fn job_of(app: &App, input: &Value) -> Result<Job, StageError> {
    let id = input.get("job_id").and_then(Value::as_str).and_then(JobId::parse);
    let id = id.ok_or_else(|| StageError::Passing("the input names no job".to_owned()))?;
    app.table()?.job(&id).await?.ok_or_else(|| StoreError::NotFound.into())
}

/// Ends a job once, whoever comes first. What follows the transaction is done on every repeat, since a crash may
/// have come between: the account's next job gets the slot, and the work files go.
pub(crate) async fn end(app: &App, job: &Job, ending: &Ending) -> Result<(), StageError> {
    let first = app.end_job::<StageError>(job, ending).await?;
    info!(job_id = %job.id, first, ending = name(ending), "ended");
    app.wake_dispatch(&job.account).await?;
    if let (Ending::Failed { .. }, Some(id)) = (ending, &job.upload) {
        let key = keys::clip_object(&job.id, job.spec.format().extension());
        if let Err(problem) = app.objects()?.abort_upload(Upload { key: &key, id }).await {
            // The bucket's lifecycle rule for incomplete uploads takes it.
            warn!(job_id = %job.id, %problem, "an upload stays for now");
        }
    }
    if let Err(problem) = app.objects()?.delete(&leftovers::work_files(job)).await {
        // The bucket's lifecycle rule takes them within a day.
        warn!(job_id = %job.id, %problem, "work files stay for now");
    }
    Ok(())
}

/// Ends a job as failed.
pub(crate) async fn fail(app: &App, job: &Job, failure: Failure, expired: bool) -> Result<(), StageError> {
    end(app, job, &Ending::Failed { failure, expired }).await
}

const fn name(ending: &Ending) -> &'static str {
    match ending {
        Ending::Complete { .. } => "complete",
        Ending::Failed { expired: false, .. } => "failed",
        Ending::Failed { expired: true, .. } => "expired",
        Ending::Cancelled => "cancelled",
    }
}
