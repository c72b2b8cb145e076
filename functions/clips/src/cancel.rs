//! `POST /v1/clip/{job_id}/cancel`: end a job that nobody wants any more, and give its money back.
//!
//! The transaction that ends the job decides; everything behind it only makes the end come sooner. Of a cancellation and
//! a job that is just being completed one wins, and both are told which.
//!
//! That transaction also frees the slot or the place in the queue, and writes a chore that names all that the job's
//! stages may ever write: a stage at work learns of the end within a second, and may put one more object into place
//! until then. Afterwards the execution is stopped and `dispatch` is woken; a repeated request does both again. A
//! multipart upload is aborted by Release or `release_aborted`, which run after any execution and change nothing else.
//! The job still counts in its hour, or cancelling would be a way around that limit.

use std::sync::Arc;

use domain::{
    ids::JobId,
    job::{Job, Status},
    spec::Spec,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use store::{StoreError, jobs::Ending};
use tracing::{info, warn};

use crate::get::view;

/// Answers `POST /v1/clip/{job_id}/cancel` with the job as `GET /v1/clip/{job_id}` shows it. A repeat changes nothing.
///
/// # Errors
/// 401 without a key, 404 for a job that is not the caller's, 409 for one that has completed or failed.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = JobId::parse(&request.path("job_id")).ok_or_else(|| ApiError::not_found("job"))?;
    let mut job = owned(&app, &caller, &id).await?;
    if !job.status.is_final() {
        let first = app.end_job::<ApiError>(&job, &Ending::Cancelled).await?;
        info!(job_id = %id, account = %caller.account, first, "cancelled");
        job = owned(&app, &caller, &id).await?;
    }
    match job.status {
        Status::Cancelled => {
            hurry(&app, &job).await;
            Ok(ApiResponse::ok(&view(&app, &job, None, &[]).await?))
        }
        Status::Complete => Err(ApiError::conflict("job_complete", complete(&job))),
        Status::Failed => Err(ApiError::conflict(
            "job_failed",
            "this job has failed already, and you were not charged: there is nothing to cancel",
        )),
        // It has ended, whoever ended it.
        _ => Err(StoreError::Busy.into()),
    }
}

/// A job of the caller's. Somebody else's gets the same 404 as an unknown one, and so does a part of another job, which
/// ends with that.
async fn owned(app: &App, caller: &Caller, id: &JobId) -> Result<Job, ApiError> {
    let job =
        app.table()?.job(id).await?.filter(|job| job.account == caller.account && job.part_of.is_none());
    job.ok_or_else(|| ApiError::not_found("job"))
}

/// Stops the work and lets the account's next job have the slot, on each repeat, since a crash may have come between. If
/// either fails, it takes a little longer: a stage whose job has ended stops by itself, and the sweeper wakes what waits.
async fn hurry(app: &App, job: &Job) {
    if let Err(problem) = app.stop_execution(&job.id, "Cancelled").await {
        warn!(job_id = %job.id, %problem, "its execution ends by itself");
    }
    if let Err(problem) = app.wake_dispatch(&job.account).await {
        warn!(job_id = %job.id, %problem, "its slot stays free for a while");
    }
}

fn complete(job: &Job) -> String {
    let told = "this job is complete and was charged: there is nothing to cancel";
    match &job.spec {
        Spec::Moments(_) => told.to_owned(),
        spec if spec.saved_to_library() => {
            format!("{told}; delete its clip with DELETE /v1/clips/{}", job.id)
        }
        _ => format!("{told}; its file expires within a day"),
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new(
        "End a job that has not ended, and get its money back; answers the job, also the second time",
    )
    .answers::<crate::get::JobView>()
    .problems(&[404, 409, 503])
}
