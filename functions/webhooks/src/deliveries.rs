//! `GET /v1/webhooks/{id}/deliveries`: what a webhook was told in the last seven days, newest first. With `jobs` in place of
//! an id it is what the addresses were told that jobs named.

use std::sync::Arc;

use domain::{ids::EventId, webhook::Receiver};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{no_webhook, receiver, view::DeliveryView};

const LIMIT_MAX: usize = 100;
const LIMIT_DEFAULT: usize = 20;

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
    let from = cursor(request.query("cursor").as_deref())?;
    let limit = limit(request.query("limit").as_deref())?;
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

fn cursor(parameter: Option<&str>) -> Result<Option<EventId>, ApiError> {
    let read =
        |text| EventId::parse(text).ok_or_else(|| ApiError::bad_request("`cursor` is not one of ours"));
    parameter.map(read).transpose()
}

fn limit(parameter: Option<&str>) -> Result<usize, ApiError> {
    let Some(text) = parameter else { return Ok(LIMIT_DEFAULT) };
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit
        .ok_or_else(|| ApiError::bad_request(format!("`limit` must be a whole number from 1 to {LIMIT_MAX}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_1_to_100() {
        assert_eq!(
            (limit(None).unwrap(), limit(Some("1")).unwrap(), limit(Some("100")).unwrap()),
            (20, 1, 100)
        );
        for text in ["0", "101", "-1", "1.5", "", "x"] {
            assert!(limit(Some(text)).is_err(), "{text}");
        }
        assert!(cursor(Some("x")).is_err());
    }
}
