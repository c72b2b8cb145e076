//! `DELETE /v1/keys/{id}`: end an API key. The very next request with it is refused.

use std::sync::Arc;

use domain::ids::KeyId;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

/// The key is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedKey {
    /// Which one.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// `true`.
    pub deleted: bool,
}

/// Answers `DELETE /v1/keys/{id}`.
///
/// # Errors
/// 401 without a session, 403 for a foreign page, 404 for a key that is not the caller's.
pub async fn handle(app: Arc<App>, session: Session, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = KeyId::parse(&request.path("id")).ok_or_else(|| ApiError::not_found("key"))?;
    if !app.table()?.delete_key(&session.account, &id, app.now()).await? {
        return Err(ApiError::not_found("key"));
    }
    info!(account = %session.account, key_id = %id, "deleted a key");
    Ok(ApiResponse::ok(&DeletedKey { id: id.to_string(), deleted: true }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("End an API key").answers::<DeletedKey>().problems(&[403, 404])
}
