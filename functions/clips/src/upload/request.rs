//! `POST /v1/upload/request`: announce a file that is sent in one piece.

use std::sync::Arc;

use domain::upload::Upload;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use store::keys;
use utoipa::ToSchema;

use super::{UploadRequest, announce, announced, new_id};

/// Where to send the file.
#[derive(Debug, Serialize, ToSchema)]
pub struct Requested {
    /// The upload, to be named in place of a `url` once it is ready.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: String,
    /// PUT the bytes here within an hour, with the announced `Content-Type` and `Content-Length`; no key.
    pub upload_url: String,
    /// When the file is gone.
    pub expires_at: String,
}

/// Answers `POST /v1/upload/request`.
///
/// # Errors
/// 400 for a file that is not taken, 401 without a key, 429 past the limits.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let file = announced(&request.json::<UploadRequest>()?)?;
    let upload = Upload::announced(new_id()?, caller.account, file, None, app.now());
    let key = keys::upload_object(&upload.account, &upload.id);
    let upload_url = app.objects()?.put_link(&key, &upload.file).await?;
    announce(&app, &upload).await?;
    let (file_id, expires_at) = (upload.id.to_string(), upload.expires_at.rfc3339());
    Ok(ApiResponse::ok(&Requested { file_id, upload_url, expires_at }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Announce a file that is sent in one piece")
        .takes::<crate::upload::UploadRequest>()
        .answers::<Requested>()
        .problems(&[400, 413, 415])
}
