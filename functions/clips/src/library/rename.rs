//! `PATCH /v1/clips/{id}`: give a clip another name. Its file is called so from the next link on.

use std::sync::Arc;

use domain::library;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::id_of;

/// The new name.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RenameRequest {
    /// 1 to 200 characters of any script, in one line.
    #[schema(example = "Final Intro Cut")]
    pub name: String,
}

/// The clip has the name.
#[derive(Debug, Serialize, ToSchema)]
pub struct RenamedClip {
    /// The clip.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// Its name.
    #[schema(example = "Final Intro Cut")]
    pub name: String,
}

/// Answers `PATCH /v1/clips/{id}`.
///
/// # Errors
/// 400 for a bad name, 401 without a key, 404 for a clip that is not the caller's or has expired.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = id_of(&request)?;
    let name = library::name(&request.json::<RenameRequest>()?.name)?;
    if !app.table()?.rename_clip(&caller.account, &id, &name, app.now()).await? {
        return Err(ApiError::not_found("clip"));
    }
    Ok(ApiResponse::ok(&RenamedClip { id: id.to_string(), name }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Give a clip another name")
        .takes::<RenameRequest>()
        .answers::<RenamedClip>()
        .problems(&[400, 404, 413, 415, 503])
}
