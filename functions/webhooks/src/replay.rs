//! `POST /v1/webhooks/{id}/deliveries/{delivery_id}/replay`: tell an address once more what it was told, under the same
//! `webhook-id`, by which the receiver knows what it has seen.

use std::sync::Arc;

use domain::{ids::EventId, webhook::Receiver};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use store::{StoreError, webhooks::DeliveryKey};
use tracing::info;

use crate::{is_off, no_webhook, receiver, view::DeliveryView};

/// How often a delivery that changes meanwhile is looked at anew.
const TRIES: usize = 5;

/// Answers `POST /v1/webhooks/{id}/deliveries/{delivery_id}/replay`.
///
/// # Errors
/// 401 without a key, 404 for a webhook or delivery that is not the caller's, 409 for a webhook that is off and while an
/// attempt is under way.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let receiver = receiver(&request)?;
    let no_delivery = || ApiError::not_found("delivery");
    let table = app.table()?;
    if let Receiver::Endpoint(id) = &receiver {
        let webhooks = table.webhooks(&caller.account).await?;
        if webhooks.endpoint(id).ok_or_else(no_webhook)?.off.is_some() {
            return Err(is_off());
        }
    }
    let event = EventId::parse(&request.path("delivery_id")).ok_or_else(no_delivery)?;
    let key = DeliveryKey { account: caller.account, receiver, event };
    for _ in 0..TRIES {
        let delivery = table.delivery(&key, app.now()).await?.ok_or_else(no_delivery)?;
        if delivery.is_taken(app.now()) {
            let detail =
                "An attempt of this delivery is under way. Replay it when that has ended, within a minute.";
            return Err(ApiError::conflict("attempt_under_way", detail));
        }
        let Some(replayed) = table.replay_delivery(&delivery, app.now()).await? else { continue };
        info!(account = %key.account, webhook = %key.receiver, event_id = %key.event, "replays a delivery");
        app.deliver(&[key]).await;
        return Ok(ApiResponse::ok(&DeliveryView::of(replayed)));
    }
    Err(StoreError::Busy.into())
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Send an event once more, under the same `webhook-id`")
        .answers::<crate::view::DeliveryView>()
        .problems(&[404, 409, 503])
}
