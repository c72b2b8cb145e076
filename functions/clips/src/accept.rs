//! What every request for a job shares.
//!
//! Everything that can be known is checked before money moves: the request, then the source. One transaction then
//! writes the hold, the job and its place; only after it is the work started. A crash in between is mended by
//! `stages.sweep`.

use domain::{
    ids::JobId,
    job::{Job, Status},
    prices::PriceBook,
    spec::Spec,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller};
use serde::Serialize;
use store::accept::{Acceptance, Terms};
use tracing::{error, info};
use utoipa::ToSchema;

/// The job that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// Follow it with `GET /v1/clip/{job_id}`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub job_id: String,
    /// `pending`.
    #[schema(example = "pending")]
    pub status: &'static str,
}

/// Accepts a job for `spec`, which the request was found to ask for, and answers it.
///
/// # Errors
/// 402 without money, 422 for a source that cannot serve the request or a reused `Idempotency-Key`, 429 past the
/// limits. Nothing is spent or left behind then.
pub(crate) async fn accept(
    app: &App,
    caller: Caller,
    request: &ApiRequest,
    spec: impl Into<Spec>,
) -> Result<ApiResponse, ApiError> {
    let spec = spec.into();
    let intention = request.intention()?;
    let (table, quota) = (app.table()?, app.config().clip_jobs()?);
    // Before the source is looked at: it may be gone by the time a client repeats itself.
    let mut outlook = table.outlook(&caller.account, quota, intention.as_ref(), app.now()).await?;
    if let Some(earlier) = outlook.earlier.take() {
        return ApiResponse::replayed(earlier);
    }
    if !outlook.jobs.allowed && intention.is_none() {
        return Err(ApiError::rate_limited("clip jobs", outlook.jobs));
    }
    let source = app.prober()?.look(spec.url()).await?;
    spec.check_source(&source)?;

    let book = PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?;
    let price = spec.price(book, spec.delivered_picture(&source));
    let id = JobId::from_random(random()?);
    let accepted = Accepted { job_id: id.to_string(), status: Status::Pending.word() };
    let response = ApiResponse::ok(&accepted);
    let answer = response.to_answer();
    let mut job = Job::accepted(id, caller.account, spec, source, (book.version.clone(), price), app.now());
    job.cap = caller.cap;
    let terms = Terms {
        slots_max: app.config().clip_slots()?,
        quota,
        intention: intention.as_ref().map(|intention| (intention, &answer)),
    };
    let job = match table.accept(job, &outlook, &terms).await? {
        Acceptance::Accepted(job) => job,
        Acceptance::Earlier(earlier) => return ApiResponse::replayed(earlier),
        Acceptance::Capped => return Err(ApiError::daily_cap()),
        Acceptance::TooMany(limit) => return Err(ApiError::rate_limited("clip jobs", limit)),
    };
    info!(job_id = %job.id, account = %job.account, reserved = job.reserved.0, has_slot = job.has_slot, "accepted");

    start(app, &job).await;
    Ok(response.limited(outlook.jobs))
}

/// Starts the job, or sees to it that it is started when a slot is free. The job is accepted already: a failure
/// here is logged and left to the sweeper, not told to a client who would ask a second time and pay twice.
async fn start(app: &App, job: &Job) {
    let started = if job.has_slot {
        app.start_execution(&job.id).await
    } else {
        // A slot may have become free between the look at it and the job's entry into the queue.
        app.wake_dispatch(&job.account).await
    };
    if let Err(problem) = started {
        error!(job_id = %job.id, %problem, "not started, left to the sweeper");
    }
}

fn random() -> Result<[u8; 16], ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(bytes)
}
