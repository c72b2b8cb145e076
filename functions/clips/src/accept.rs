//! What every request for a job shares.
//!
//! Everything that can be known is checked before money moves: the request, then the source. One transaction then
//! writes the hold, the job and its place; only after it is the work started. A crash in between is mended by
//! `stages.sweep`.

use domain::{
    ids::{AccountId, JobId},
    job::{Job, Status},
    money::Amount,
    prices::PriceBook,
    quote::{self, Quote},
    source::{Location, SourceInfo},
    spec::Spec,
    webhook,
};
use look::{Payer, prober};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, StatusCode};
use serde::Serialize;
use store::accept::{Acceptance, Terms};
use tracing::{error, info};
use url::Url;
use utoipa::ToSchema;

use crate::upload;

/// The job that was accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// Follow it with `GET /v1/clip/{job_id}`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub job_id: String,
    /// `pending`.
    #[schema(example = "pending")]
    pub status: &'static str,
    /// Dollars that are held for it; for clips that are found by a description.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 0.3)]
    pub reserved: Option<f64>,
    /// The path at which to follow it; for moments that are found by a description.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/v1/clip/a1b2c3d4e5f6g7h8")]
    pub poll: Option<String>,
}

/// The answer to a request that has become a job.
fn accepted(job: &Job) -> ApiResponse {
    let (is_auto, is_analysis) = (job.spec.kind() == "auto", job.spec.is_analysis());
    let accepted = Accepted {
        job_id: job.id.to_string(),
        status: Status::Pending.word(),
        reserved: is_auto.then(|| job.reserved.dollars()),
        poll: is_analysis.then(|| format!("/v1/clip/{}", job.id)),
    };
    // An analysis is answered with what was found: that it is not is said by the status.
    ApiResponse::json(if is_analysis { StatusCode::ACCEPTED } else { StatusCode::OK }, &accepted)
}

/// What a request asks for, as far as can be told without its source.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// What to make.
    pub(crate) spec: Spec,
    /// The most that it may cost.
    pub(crate) max_cost: Option<Amount>,
    /// Where to tell of its end.
    pub(crate) webhook: Option<Url>,
}

/// The address that a job's events are sent to, if there is one.
///
/// # Errors
/// 400 for an invalid one. Whether it may be sent to is checked when the job is accepted.
pub(crate) fn webhook(text: Option<&str>) -> Result<Option<Url>, ApiError> {
    let read = |text| {
        webhook::address(text).map_err(|problem| ApiError::bad_request(format!("`webhook` {problem}")))
    };
    text.map(read).transpose()
}

/// Looks at the source of what is asked for, fits the one to the other, and prices it.
///
/// # Errors
/// 402 if it costs more than it may, 404 and 409 for an upload that cannot be used, 400 and 422 for a source that cannot
/// serve the request.
pub(crate) async fn price(
    app: &App,
    account: &AccountId,
    mut ask: Ask,
) -> Result<(Ask, SourceInfo, Quote), ApiError> {
    let source = look(app, account, ask.spec.location()).await?;
    ask.spec = ask.spec.fitted(&source)?;
    let book = PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?;
    let quote = Quote::of(&ask.spec, &source, book);
    quote::within(quote.cost, ask.max_cost)?;
    Ok((ask, source, quote))
}

/// Accepts the job that the request was found to ask for, and answers it.
///
/// # Errors
/// 400 for a webhook that may not be sent to, 402 without money or above `max_cost`, 404 and 409 for an upload that
/// cannot be used, 422 for a source that cannot serve the request or a reused `Idempotency-Key`, 429 past the limits.
/// Nothing is spent or left behind then.
pub(crate) async fn accept(
    app: &App,
    caller: Caller,
    request: &ApiRequest,
    ask: Ask,
) -> Result<ApiResponse, ApiError> {
    accept_or_look(app, caller, request, ask, None).await
}

/// As [`accept`], where the source has been looked at by [`price`].
///
/// # Errors
/// As [`accept`].
pub(crate) async fn accept_looked(
    app: &App,
    caller: Caller,
    request: &ApiRequest,
    ask: Ask,
    looked: (SourceInfo, Quote),
) -> Result<ApiResponse, ApiError> {
    accept_or_look(app, caller, request, ask, Some(looked)).await
}

async fn accept_or_look(
    app: &App,
    caller: Caller,
    request: &ApiRequest,
    ask: Ask,
    looked: Option<(SourceInfo, Quote)>,
) -> Result<ApiResponse, ApiError> {
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
    if let Some(webhook) = &ask.webhook {
        app.may_send_to(webhook).await?;
    }
    let (ask, source, quote) = match looked {
        Some((source, quote)) => (ask, source, quote),
        None => price(app, &caller.account, ask).await?,
    };

    let id = JobId::from_random(random()?);
    let priced = (quote.price_book, quote.cost);
    let mut job = Job::accepted(id, caller.account, ask.spec, source, priced, app.now());
    (job.cap, job.max_cost) = (caller.cap, ask.max_cost);
    job.webhook = ask.webhook.map(String::from);
    let response = accepted(&job);
    let answer = response.to_answer();
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
    app.about(&job.id);
    info!(job_id = %job.id, account = %job.account, reserved = job.reserved.units(), has_slot = job.has_slot, "accepted");

    start(app, &job).await;
    Ok(response.limited(outlook.jobs))
}

/// What a source is: an upload was looked at when it arrived, anything else is looked at now.
///
/// # Errors
/// 404 for an upload that is not the account's, 409 for one that is not ready, 422 for a source that is no video.
pub(crate) async fn look(
    app: &App,
    account: &AccountId,
    location: &Location,
) -> Result<SourceInfo, ApiError> {
    match location {
        Location::Url(url) => Ok(prober(app)?.look(app, &Payer::account(account), url).await?),
        Location::Upload(id) => upload::ready(app, account, id).await,
    }
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
