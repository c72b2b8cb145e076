//! `POST /v1/reload/approve`: the owner approves a reload by the secret of the mail's link. It works for 30 minutes, and once:
//! whoever comes again is told what came of it.

use std::sync::Arc;

use domain::{
    payment::{Payment, Purpose},
    reload::ApprovalToken,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};
use serde::Deserialize;
use store::payments::PaymentKey;
use tracing::info;
use utoipa::ToSchema;

use crate::{
    customer::saved_cards,
    deposit::begun,
    reload::{Reload, finish, no_card},
    secret::keys,
    till::Till,
};

/// What stands in the link.
#[derive(Deserialize, ToSchema)]
pub struct ApprovalRequest {
    /// The token of the link.
    pub token: String,
}

/// Answers `POST /v1/reload/approve`.
///
/// # Errors
/// 402 if the card is not charged or not there, 403 for a page of another site or if API reload was switched off, 404 for an
/// unknown link, 410 for one whose time is over, 503 if Stripe does not answer.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    request.must_not_be_foreign()?;
    let ask: ApprovalRequest = request.json()?;
    let (stripe, table, now) = (&keys(&app).await?.stripe, app.table()?, app.now());
    let till = Till { app: &app, table, stripe };
    let no_link = || ApiError::not_found("this approval");
    let token = ApprovalToken::parse(&ask.token).ok_or_else(no_link)?;
    let approval = table.approval(&token).await?.ok_or_else(no_link)?;
    let over = || {
        let detail = "This link has expired: nothing was charged. Ask for the reload again.";
        ApiError::gone("approval_expired", detail)
    };
    if now >= approval.expires_at {
        return Err(over());
    }
    let payment = match approval.payment {
        Some(payment) => payment,
        None => {
            let account = table.account(&approval.account).await?;
            let account = account.filter(|account| account.closed_at.is_none()).ok_or_else(no_link)?;
            if !account.settings.api_reload_enabled {
                return Err(ApiError::forbidden(
                    "reload_disabled",
                    "API reload was switched off. Nothing was charged.",
                ));
            }
            let customer = table.customer(&account.id).await?.ok_or_else(no_card)?;
            let card = saved_cards(stripe, &customer).await?.default.ok_or_else(no_card)?;
            let new = begun(&account.id, &customer, (Purpose::Reload, approval.cents), now)?;
            let payment = Payment { card: Some(card), ..new };
            info!(account = %account.id, payment = %payment.id, "a reload is approved");
            table.approve(&token, &payment, now).await?.ok_or_else(over)?
        }
    };
    let key = PaymentKey { account: approval.account, payment };
    let payment = table.payment(&key).await?.ok_or_else(no_link)?;
    finish(till, payment, &request).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Approve a reload, by the token of the mail's link")
        .takes::<ApprovalRequest>()
        .answers::<Reload>()
        .problems(&[400, 402, 403, 404, 410, 413, 415, 503])
}
