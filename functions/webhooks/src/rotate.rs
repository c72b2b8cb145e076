//! `POST /v1/webhooks/{id}/rotate`: another secret, while the one before signs for another day. With `jobs` in place of an
//! id it is the secret for the addresses that jobs name.

use std::sync::Arc;

use domain::{time::Timestamp, webhook::Versions};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use crate::{change, no_webhook, receiver, root};

/// The new secret.
#[derive(Serialize, ToSchema)]
pub struct RotatedSecret {
    /// The webhook, or `jobs`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// What its requests are signed with from now on. It is not shown again: keep it now.
    #[schema(example = "whsec_...")]
    pub secret: String,
    /// How long the previous secret signs as well.
    pub former_secret_until: Option<String>,
}

/// Answers `POST /v1/webhooks/{id}/rotate`.
///
/// # Errors
/// 401 without a key, 404 for a webhook that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let (receiver, now) = (receiver(&request)?, app.now());
    // Before it counts: a secret that nobody has seen would be useless.
    let root = root::secret(&app).await?;
    let rotated = change(&app, &caller.account, no_webhook, |webhooks| {
        let version = webhooks.rotate(&receiver, now)?;
        Some((version, webhooks.versions(&receiver).and_then(Versions::former_until)))
    });
    let (version, former_until) = rotated.await?;
    info!(account = %caller.account, webhook = %receiver, version, "made another secret");
    Ok(ApiResponse::ok(&RotatedSecret {
        id: receiver.to_string(),
        secret: root.derive(&caller.account, &receiver, version).reveal(),
        former_secret_until: former_until.map(Timestamp::rfc3339),
    }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Make another secret, for a webhook or, with `jobs`, for the addresses that jobs name; the old one signs for another day")
        .answers::<RotatedSecret>()
        .problems(&[404, 503])
}
