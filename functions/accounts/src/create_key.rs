//! `POST /v1/keys`: make an API key. The answer is the only time that anybody sees it.

use std::sync::Arc;

use domain::{
    account::{KEY_NAME_CHARS_MAX, KEYS_MAX, Scope, daily_cap, key_name},
    ids::ApiKey,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::{Deserialize, Serialize};
use store::{accounts::KeyRecord, api_keys::NewKey};
use tracing::info;
use utoipa::ToSchema;

use crate::{list_keys::KeyView, secrets::random};

/// Which key to make.
#[derive(Debug, Deserialize, ToSchema)]
pub struct KeyRequest {
    /// A name to tell it from others, 64 characters at most.
    #[schema(example = "laptop")]
    pub name: String,
    /// What it may do: `clips:read`, `clips:write`, `billing`, `webhooks`; everything if this is left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["clips:read"]))]
    pub scopes: Vec<Scope>,
    /// Dollars that may be spent with it in a day (UTC).
    #[schema(example = 2.5)]
    pub daily_cap: Option<f64>,
}

/// The new key.
#[derive(Serialize, ToSchema)]
pub struct MadeKey {
    /// The key itself. It is not stored: keep it now.
    #[schema(example = "sk_live_...")]
    pub key: String,
    /// How it is listed.
    #[serde(flatten)]
    pub listed: KeyView,
}

/// Answers `POST /v1/keys`.
///
/// # Errors
/// 400 for an invalid name, scope or cap, 401 without a session, 403 for a foreign page, 409 for an eleventh
/// key, 429 for too many in a day. A key that takes the place of one deleted in this minute works from the next on.
pub async fn handle(app: Arc<App>, session: Session, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let record = record(request.json()?, &session, &app)?;
    let key = ApiKey::from_random(random()?);
    match app.table()?.create_key(&key, &record).await? {
        NewKey::Made(listing) => {
            info!(account = %session.account, key_id = %listing.id, "made a key");
            let listed = KeyView::of(&listing, None);
            Ok(ApiResponse::ok(&MadeKey { key: key.reveal().to_owned(), listed }))
        }
        NewKey::TooMany => {
            let detail = format!("an account has {KEYS_MAX} API keys at most; delete one first");
            Err(ApiError::conflict("too_many_keys", detail))
        }
        NewKey::TooManyToday(limit) => Err(ApiError::rate_limited("new API keys", limit)),
        NewKey::Closed => Err(ApiError::no_session()),
    }
}

fn record(ask: KeyRequest, session: &Session, app: &App) -> Result<KeyRecord, ApiError> {
    let name = key_name(&ask.name).ok_or_else(|| {
        ApiError::bad_request(format!("`name` must be 1 to {KEY_NAME_CHARS_MAX} characters on one line"))
    })?;
    let cap = ask.daily_cap.map(|dollars| {
        let problem = "`daily_cap` must be dollars, above 0 and at most 1000000";
        daily_cap(dollars).ok_or_else(|| ApiError::bad_request(problem))
    });
    let mut scopes = ask.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    Ok(KeyRecord {
        account: session.account.clone(),
        name: name.to_owned(),
        created_at: app.now(),
        scopes,
        daily_cap: cap.transpose()?,
    })
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Make an API key; it is shown only now")
        .takes::<KeyRequest>()
        .answers::<MadeKey>()
        .problems(&[400, 403, 409, 413, 415])
}
