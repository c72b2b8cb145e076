//! `GET /v1/webhooks`: the account's webhooks, without their secrets.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use utoipa::ToSchema;

use crate::view::WebhookView;

/// All webhooks, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookList {
    /// Five at most.
    pub webhooks: Vec<WebhookView>,
}

/// Answers `GET /v1/webhooks`.
///
/// # Errors
/// 401 without a key.
pub async fn handle(app: Arc<App>, caller: Caller, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let webhooks = app.table()?.webhooks(&caller.account).await?;
    let view = |endpoint| WebhookView::of(endpoint, app.now());
    Ok(ApiResponse::ok(&WebhookList { webhooks: webhooks.endpoints.iter().map(view).collect() }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("List the webhooks").answers::<WebhookList>()
}
