//! `POST /v1/webhooks/{id}/test`: send a test event, to see whether it arrives. The event `webhook.test` passes every
//! filter and goes the way of all others, retries included.

use std::sync::Arc;

use domain::{
    ids::WebhookId,
    webhook::{Event, Receiver},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};

use crate::{is_off, no_webhook, view::DeliveryView};

/// Answers `POST /v1/webhooks/{id}/test`.
///
/// # Errors
/// 401 without a key, 404 for a webhook that is not the caller's, 409 for one that is off.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = WebhookId::parse(&request.path("id")).ok_or_else(no_webhook)?;
    let table = app.table()?;
    let webhooks = table.webhooks(&caller.account).await?;
    if webhooks.endpoint(&id).ok_or_else(no_webhook)?.off.is_some() {
        return Err(is_off());
    }
    let event = Event::test(&id, app.now());
    let delivery = table.tell_one(&caller.account, Receiver::Endpoint(id), &event).await?;
    app.deliver(std::slice::from_ref(&delivery.key)).await;
    Ok(ApiResponse::ok(&DeliveryView::of(delivery)))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Send a test event").answers::<crate::view::DeliveryView>().problems(&[404, 409, 503])
}
