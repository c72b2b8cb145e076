//! `POST /v1/cards/{payment_method_id}/default`: chooses the card that reloads charge.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use crate::{
    customer::{done, owner_of},
    secret::keys,
};

/// What was chosen.
#[derive(Debug, Serialize, ToSchema)]
pub struct DefaultCard {
    /// Stripe's id of the card.
    #[schema(example = "pm_1abc123")]
    pub id: String,
    /// `true`.
    pub is_default: bool,
}

/// Answers `POST /v1/cards/{payment_method_id}/default`.
///
/// # Errors
/// 401 without a key or a session, 404 for a card that is not the caller's, 503 if Stripe does not answer.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let stripe = &keys(&app).await?.stripe;
    let id = request.path("payment_method_id");
    let customer = owner_of(&app, stripe, &caller.account, &id).await?;
    let form = [("invoice_settings[default_payment_method]", id.clone())];
    done(stripe.post(&format!("customers/{customer}"), &form, None).await)?;
    info!(account = %caller.account, "chose a card");
    Ok(ApiResponse::ok(&DefaultCard { id, is_default: true }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Choose the card that reloads charge").answers::<DefaultCard>().problems(&[404, 503])
}
