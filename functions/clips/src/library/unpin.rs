//! `POST /v1/clips/{id}/unpin`: let a clip expire, 24 hours from now.

use std::sync::Arc;

use domain::time::Timestamp;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use store::keys::Shelf;
use utoipa::ToSchema;

use super::{id_of, put_on};

/// The clip expires.
#[derive(Debug, Serialize, ToSchema)]
pub struct UnpinnedClip {
    /// Which one.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// `false`.
    pub pinned: bool,
    /// When it is gone.
    #[schema(example = "2026-03-31T12:00:00Z")]
    pub expires_at: String,
}

/// Answers `POST /v1/clips/{id}/unpin`. A repeat changes nothing, the time neither.
///
/// # Errors
/// 401 without a key, 404 for a clip that is not the caller's or has expired.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let clip = put_on(&app, &caller, &id_of(&request)?, Shelf::Day).await?;
    let expires_at = clip.expires_at.map(Timestamp::rfc3339).unwrap_or_default();
    Ok(ApiResponse::ok(&UnpinnedClip { id: clip.id.to_string(), pinned: false, expires_at }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Let a clip expire in 24 hours").answers::<UnpinnedClip>().problems(&[404, 503])
}
