//! `GET /v1/keys`: the account's API keys, without the keys themselves.

use std::sync::Arc;

use domain::{account::Scope, money::Amount, time::Timestamp};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::Serialize;
use store::api_keys::KeyListing;
use utoipa::ToSchema;

/// A key, as its owner recognises it.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// Delete it with `DELETE /v1/keys/{id}`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// The name it was given.
    #[schema(example = "laptop")]
    pub name: String,
    /// Its first characters.
    #[schema(example = "sk_live_0a1b")]
    pub prefix: String,
    /// Its last characters.
    #[schema(example = "f9e8")]
    pub last_four: String,
    /// What it may do: `clips:read`, `clips:write`, `billing`, `webhooks`; everything if this is empty.
    pub scopes: Vec<&'static str>,
    /// Dollars that may be spent with it in a day (UTC); null without a cap.
    pub daily_cap: Option<f64>,
    /// When it was made.
    pub created: String,
    /// When it was last used; null if it never was.
    pub last_used: Option<String>,
}

/// All keys, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// Ten at most.
    pub keys: Vec<KeyView>,
}

impl KeyView {
    pub(crate) fn of(key: &KeyListing, last_used: Option<Timestamp>) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            prefix: key.beginning.clone(),
            last_four: key.last_four.clone(),
            scopes: key.scopes.iter().copied().map(Scope::word).collect(),
            daily_cap: key.daily_cap.map(Amount::dollars),
            created: key.created_at.rfc3339(),
            last_used: last_used.map(Timestamp::rfc3339),
        }
    }
}

/// Answers `GET /v1/keys`.
///
/// # Errors
/// 401 without a session.
pub async fn handle(app: Arc<App>, session: Session, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let keys = app.table()?.keys_of(&session.account).await?;
    let uses = app.table()?.last_uses(&keys).await?;
    let keys = keys.iter().zip(uses).map(|(key, last_used)| KeyView::of(key, last_used)).collect();
    Ok(ApiResponse::ok(&KeyList { keys }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("List the API keys").answers::<KeyList>()
}
