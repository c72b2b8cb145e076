//! `GET /v1/webhooks/{id}`: one webhook, without its secret.

use std::sync::Arc;

use domain::ids::WebhookId;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};

use crate::{no_webhook, view::WebhookView};

/// Answers `GET /v1/webhooks/{id}`.
///
/// # Errors
/// 401 without a key, 404 for a webhook that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = WebhookId::parse(&request.path("id")).ok_or_else(no_webhook)?;
    let webhooks = app.table()?.webhooks(&caller.account).await?;
    let endpoint = webhooks.endpoint(&id).ok_or_else(no_webhook)?;
    Ok(ApiResponse::ok(&WebhookView::of(endpoint, app.now())))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Read a webhook").answers::<crate::view::WebhookView>().problems(&[404])
}
