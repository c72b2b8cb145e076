//! `PATCH /v1/webhooks/{id}`: change a webhook. What is left out stays as it is.

use std::sync::Arc;

use domain::{ids::WebhookId, webhook};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Deserialize;
use tracing::info;
use utoipa::ToSchema;

use crate::{change, no_webhook, topics, view::WebhookView};

/// What to change.
#[derive(Debug, Deserialize, ToSchema)]
pub struct WebhookChange {
    /// Another https URL. The secret stays.
    #[schema(example = "https://example.com/hooks/clips")]
    pub url: Option<String>,
    /// The events that are sent to it from now on; all of them if this is empty.
    #[schema(example = json!(["job.failed"]))]
    pub events: Option<Vec<String>>,
    /// Whether events are sent to it. Events that happen while it is off are never sent, and pending ones are dropped.
    pub enabled: Option<bool>,
}

/// Answers `PATCH /v1/webhooks/{id}`.
///
/// # Errors
/// 400 for an invalid change, 401 without a key, 404 for a webhook that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = WebhookId::parse(&request.path("id")).ok_or_else(no_webhook)?;
    let ask: WebhookChange = request.json()?;
    let read = |text: String| webhook::address(&text);
    let url = ask.url.map(read).transpose();
    let url = url.map_err(|problem| ApiError::bad_request(format!("`url` {problem}")))?;
    let topics = ask.events.as_deref().map(topics).transpose()?;
    if let Some(url) = &url {
        app.may_send_to(url).await?;
    }
    let changed = change(&app, &caller.account, no_webhook, |webhooks| {
        let endpoint = webhooks.endpoint_mut(&id)?;
        if let Some(url) = &url {
            endpoint.url = url.to_string();
        }
        if let Some(topics) = &topics {
            endpoint.listen_to(topics.clone());
        }
        if let Some(on) = ask.enabled {
            endpoint.switch(on);
        }
        Some(endpoint.clone())
    });
    let endpoint = changed.await?;
    info!(account = %caller.account, webhook = %id, "changed a webhook");
    Ok(ApiResponse::ok(&WebhookView::of(&endpoint, app.now())))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Change a webhook; what is left out stays")
        .takes::<WebhookChange>()
        .answers::<crate::view::WebhookView>()
        .problems(&[400, 404, 413, 415, 503])
}
