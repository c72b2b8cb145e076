//! `POST /v1/clips/{id}/pin`: keep a clip until it is unpinned or deleted. It counts against the storage.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use store::keys::Shelf;
use utoipa::ToSchema;

use super::{id_of, put_on};

/// The clip is pinned.
#[derive(Debug, Serialize, ToSchema)]
pub struct PinnedClip {
    /// Which one.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// `true`.
    pub pinned: bool,
}

/// Answers `POST /v1/clips/{id}/pin`. A repeat changes nothing.
///
/// # Errors
/// 401 without a key, 404 for a clip that is not the caller's or has expired, 409 if the storage is full.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let clip = put_on(&app, &caller, &id_of(&request)?, Shelf::Pinned).await?;
    Ok(ApiResponse::ok(&PinnedClip { id: clip.id.to_string(), pinned: true }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Keep a clip until it is unpinned or deleted")
        .answers::<PinnedClip>()
        .problems(&[404, 409, 503])
}
