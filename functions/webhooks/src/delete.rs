//! `DELETE /v1/webhooks/{id}`: stop sending events to an address. Pending ones are dropped.

use std::sync::Arc;

use domain::ids::WebhookId;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use crate::{change, no_webhook};

/// The webhook is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedWebhook {
    /// Which one.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// `true`.
    pub deleted: bool,
}

/// Answers `DELETE /v1/webhooks/{id}`.
///
/// # Errors
/// 401 without a key, 404 for a webhook that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = WebhookId::parse(&request.path("id")).ok_or_else(no_webhook)?;
    change(&app, &caller.account, no_webhook, |webhooks| webhooks.remove(&id).then_some(())).await?;
    info!(account = %caller.account, webhook = %id, "deleted a webhook");
    Ok(ApiResponse::ok(&DeletedWebhook { id: id.to_string(), deleted: true }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Delete a webhook").answers::<DeletedWebhook>().problems(&[404, 503])
}
