//! `POST /v1/upload/multipart/initiate`: announce a large file that is sent in parts.

use std::sync::Arc;

use domain::upload::{PART_BYTES, Upload};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use store::{keys, multipart};
use tracing::warn;
use utoipa::ToSchema;

use super::{UploadRequest, announce, announced, new_id};

/// Where to send the parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Initiated {
    /// The upload, to be named in place of a `url` once it is ready.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: String,
    /// To be sent back with `complete`.
    pub upload_id: String,
    /// Length of every part but the last, in bytes.
    #[schema(example = 67_108_864)]
    pub part_size: u64,
    /// PUT each part to its own address, in the file's order and in any order of time, within six hours; no key. The
    /// answers' `ETag` may be named in `complete`.
    pub part_urls: Vec<String>,
    /// When the file is gone.
    pub expires_at: String,
}

/// Answers `POST /v1/upload/multipart/initiate`.
///
/// # Errors
/// 400 for a file that is not taken, 401 without a key, 429 past the limits.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let file = announced(&request.json::<UploadRequest>()?)?;
    let (id, objects) = (new_id()?, app.objects()?);
    let key = keys::upload_object(&caller.account, &id);
    let upload_id = objects.begin_parts(&key, &file.content_type).await?;
    let begun = multipart::Upload { key: &key, id: &upload_id };
    let mut part_urls = Vec::new();
    for number in 1..=file.parts() {
        part_urls.push(objects.part_link(begun, &file, number).await?);
    }
    let upload = Upload::announced(id, caller.account, file, Some(upload_id.clone()), app.now());
    if let Err(refusal) = announce(&app, &upload).await {
        if let Err(problem) = objects.abort_upload(begun).await {
            warn!(%problem, "the upload that was refused is left to the bucket's rules");
        }
        return Err(refusal);
    }
    let (file_id, expires_at) = (upload.id.to_string(), upload.expires_at.rfc3339());
    Ok(ApiResponse::ok(&Initiated { file_id, upload_id, part_size: PART_BYTES, part_urls, expires_at }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Announce a large file that is sent in parts")
        .takes::<crate::upload::UploadRequest>()
        .answers::<Initiated>()
        .problems(&[400, 413, 415])
}
