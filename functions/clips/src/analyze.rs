//! `POST /v1/clip/analyze`: when is it that this is said?
//!
//! It is done within the request if there is time for it, and paid when it is done, whether anything was found or not. What
//! takes longer, as listening to a source without captions does, or is asked for with `Prefer: respond-async`, is a job.

use std::{sync::Arc, time::Instant};

use domain::{prices::PriceBook, spec::Spec, time::MediaTime};
use look::{Payer, words::moments};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation, time_limits};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use crate::{
    accept::{accept, accept_looked, price},
    at_once::{charged, earlier, must_have},
    moments::{MomentView, MomentsRequest, alternates, in_time},
};

/// When it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Analysis {
    /// The moments that fit, in the order of time; empty if none does.
    pub segments: Vec<MomentView>,
    /// What else might have been meant, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternates: Option<Vec<MomentView>>,
    /// What it cost, in dollars.
    #[schema(example = 0.1)]
    pub cost: f64,
}

/// Answers `POST /v1/clip/analyze`: 200 with what was found, or 202 with a job that finds it.
///
/// # Errors
/// 400 for a bad request, 401 without a key, 402 without money or above `max_cost`, 404 for an upload that is not the
/// caller's, 409 for one that is not ready, 422 for a source that cannot be read or has neither captions nor sound or a reused
/// `Idempotency-Key`, 429 past the limits. Nothing is spent or left behind then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let begun = Instant::now();
    let ask = request.json::<MomentsRequest>()?.analyze()?;
    if prefers_a_job(&request) {
        return accept(&app, caller, &request, ask).await;
    }
    let intention = request.intention()?;
    if let Some(answer) = earlier(&app, &caller, intention.as_ref()).await? {
        return Ok(answer);
    }
    let book = PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?;
    must_have(&app, &caller, book.analyze(MediaTime::ZERO)).await?;
    let (ask, source, quote) = price(&app, &caller.account, ask).await?;
    must_have(&app, &caller, quote.cost).await?;
    let Spec::Moments(spec) = &ask.spec else { return Err(ApiError::internal("it looks for nothing")) };

    let left = time_limits::AT_ONCE.saturating_sub(begun.elapsed());
    let payer = Payer::account(&caller.account);
    let found = tokio::time::timeout(left, moments(&app, &caller.account, spec, &source));
    let Some(found) = payer.pays(&app, left, found).await?.unwrap_or(Ok(None))? else {
        info!("it takes longer than a request may: it becomes a job");
        return accept_looked(&app, caller, &request, ask, (source, quote)).await;
    };
    let found = found.bounded(&spec.search, source.duration);
    let response = ApiResponse::ok(&Analysis {
        segments: in_time(&found.moments),
        alternates: alternates(&found),
        cost: quote.cost.dollars(),
    });
    charged(&app, &caller, intention.as_ref(), ("analyze", quote.cost), response).await
}

/// Whether the client asks not to be kept waiting (RFC 7240, 4.1).
fn prefers_a_job(request: &ApiRequest) -> bool {
    let values = request.headers().get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new(
        "Find the moments that fit a description; answers 202 and a job where that takes longer than a request may, or \
         with `Prefer: respond-async`",
    )
    .takes::<MomentsRequest>()
    .answers::<Analysis>()
    .problems(&[400, 402, 404, 409, 413, 415, 422, 503])
    .spends()
}
