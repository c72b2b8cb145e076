//! `DELETE /v1/cards/{payment_method_id}`: removes a saved card.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use super::no_such_card;
use crate::{
    customer::{done, owner_of},
    secret::keys,
    stripe::Reply,
};

/// What was removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedCard {
    /// Stripe's id of the card.
    #[schema(example = "pm_1abc123")]
    pub id: String,
    /// `true`.
    pub deleted: bool,
}

/// Answers `DELETE /v1/cards/{payment_method_id}`.
///
/// # Errors
/// 401 without a key or a session, 404 for a card that is not the caller's, 503 if Stripe does not answer.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let stripe = &keys(&app).await?.stripe;
    let id = request.path("payment_method_id");
    owner_of(&app, stripe, &caller.account, &id).await?;
    match stripe.post(&format!("payment_methods/{id}/detach"), &[], None).await {
        // Somebody else was faster.
        Reply::Missing | Reply::Refused(_) => return Err(no_such_card()),
        reply => done(reply)?,
    };
    info!(account = %caller.account, "removed a card");
    Ok(ApiResponse::ok(&RemovedCard { id, deleted: true }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Remove a saved card").answers::<RemovedCard>().problems(&[404, 503])
}
