//! `DELETE /v1/clips/{id}`: delete a clip and its files, for good.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use store::StoreError;
use tracing::info;
use utoipa::ToSchema;

use super::{TRIES, clear_up, id_of, owned};

/// The clip is gone.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedClip {
    /// Which one.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// `true`.
    pub deleted: bool,
    /// Length of its file in bytes.
    #[schema(example = 40509)]
    pub storage_freed: u64,
}

/// Answers `DELETE /v1/clips/{id}`.
///
/// # Errors
/// 401 without a key, 404 for a clip that is not the caller's, has expired or was deleted before.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = id_of(&request)?;
    for _ in 0..TRIES {
        let clip = owned(&app, &caller, &id).await?;
        let Some(chore) = app.table()?.discard_clip(&clip, app.now()).await? else { continue };
        clear_up(&app, &chore).await?;
        info!(account = %caller.account, clip_id = %id, "deleted a clip");
        let (id, storage_freed) = (id.to_string(), clip.output.size_bytes);
        return Ok(ApiResponse::ok(&DeletedClip { id, deleted: true, storage_freed }));
    }
    Err(StoreError::Busy.into())
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Delete a clip and its files").answers::<DeletedClip>().problems(&[404, 503])
}
