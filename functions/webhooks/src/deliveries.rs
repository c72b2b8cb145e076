//! `GET /v1/webhooks/{id}/deliveries`: what a webhook was told in the last seven days, newest first. With `jobs` in place of
//! an id it is what the addresses were told that jobs named.

use std::sync::Arc;

use domain::{ids::EventId, webhook::Receiver};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation, paging};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{no_webhook, receiver, view::DeliveryView};

/// Deliveries of a page, unless asked otherwise.
const LIMIT: usize = 20;
/// Deliveries of the largest page.
const LIMIT_MAX: usize = 100;

/// Some deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// The deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// The `cursor` of the next page; null if there is none.
    #[schema(example = "evt_0mz4k8q2xa1b2c3d4e5f6g7h8")]
    pub next_cursor: Option<String>,
}

/// Answers `GET /v1/webhooks/{id}/deliveries`.
///
/// # Errors
/// 400 for a bad `cursor` or `limit`, 401 without a key, 404 for a webhook that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let receiver = receiver(&request)?;
    let from = paging::cursor(request.query("cursor").as_deref(), EventId::parse)?;
    let limit = paging::count("limit", request.query("limit").as_deref(), LIMIT, LIMIT_MAX)?;
    let table = app.table()?;
    if let Receiver::Endpoint(id) = &receiver {
        table.webhooks(&caller.account).await?.endpoint(id).ok_or_else(no_webhook)?;
    }
    let page = table.delivery_page(&caller.account, &receiver, from, limit, app.now()).await?;
    Ok(ApiResponse::ok(&DeliveryList {
        deliveries: page.deliveries.into_iter().map(DeliveryView::of).collect(),
        next_cursor: page.next.map(|event| event.to_string()),
    }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new(
        "List what was sent in seven days to a webhook or, with `jobs`, to the addresses that jobs name; newest first",
    )
    .answers::<DeliveryList>()
    .query("cursor", "string", "`next_cursor` of the page before")
    .query("limit", "integer", "1 to 100; 20 if left out")
    .problems(&[400, 404, 503])
}
