//! `POST /v1/webhooks`: have an address told of what happens to the account.

use std::sync::Arc;

use domain::{
    ids::WebhookId,
    webhook::{self, ENDPOINTS_MAX, Endpoint, Receiver},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;

use crate::{change, root, topics, view::WebhookView};

/// Which address, and which events are sent to it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct WebhookRequest {
    /// An https URL, 2048 characters at most.
    #[schema(example = "https://example.com/hooks/clips")]
    pub url: String,
    /// `job.completed`, `job.failed`, `job.cancelled`, `clip.expiring`, `balance.low`; all of them, and those that are still
    /// to come, if this is left out or empty.
    #[serde(default)]
    #[schema(example = json!(["job.completed", "job.failed"]))]
    pub events: Vec<String>,
}

/// The new webhook.
#[derive(Serialize, ToSchema)]
pub struct MadeWebhook {
    /// What its requests are signed with. It is not shown again: keep it now.
    #[schema(example = "whsec_...")]
    pub secret: String,
    /// How it is listed.
    #[serde(flatten)]
    pub webhook: WebhookView,
}

/// Answers `POST /v1/webhooks`.
///
/// # Errors
/// 400 for an invalid address or event, 401 without a key, 409 for a sixth one.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: WebhookRequest = request.json()?;
    let url =
        webhook::address(&ask.url).map_err(|problem| ApiError::bad_request(format!("`url` {problem}")))?;
    let topics = topics(&ask.events)?;
    app.may_send_to(&url).await?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|problem| ApiError::internal(problem.to_string()))?;
    let (id, now) = (WebhookId::from_random(random), app.now());
    let endpoint = Endpoint::new(id.clone(), &url, topics, now);
    let receiver = Receiver::Endpoint(id);
    // Before it is stored: a webhook whose secret nobody has seen would be useless.
    let secret = root::secret(&app).await?.derive(&caller.account, &receiver, endpoint.secret.current);
    let too_many = || {
        let detail = format!("an account has {ENDPOINTS_MAX} webhooks at most; delete one first");
        ApiError::conflict("too_many_webhooks", detail)
    };
    change(&app, &caller.account, too_many, |webhooks| webhooks.add(endpoint.clone()).then_some(())).await?;
    info!(account = %caller.account, webhook = %receiver, "made a webhook");
    let webhook = WebhookView::of(&endpoint, now);
    Ok(ApiResponse::ok(&MadeWebhook { secret: secret.reveal(), webhook }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Add a webhook; its secret is shown only now")
        .takes::<WebhookRequest>()
        .answers::<MadeWebhook>()
        .problems(&[400, 409, 413, 415, 503])
}
