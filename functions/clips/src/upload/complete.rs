//! `POST /v1/upload/multipart/complete`: all parts are there.
//!
//! Putting 5 GB together may take S3 longer than a client can be made to wait, so `media.inspect` does it before it looks
//! at the file.

use std::sync::Arc;

use domain::{
    ids::FileId,
    upload::{Part, UploadStatus, assembled},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Deserialize;
use store::{keys, multipart};
use utoipa::ToSchema;

use super::{UploadView, order_look, owned};

/// Which upload is complete.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CompleteRequest {
    /// The upload.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: String,
    /// The value that `initiate` returned.
    pub upload_id: String,
    /// Every part with the `ETag` that its PUT returned. If left out, the parts that have arrived are used.
    pub parts: Option<Vec<PartView>>,
}

/// A part that was sent.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PartView {
    /// From 1, in the file's order.
    #[serde(alias = "PartNumber")]
    #[schema(example = 1)]
    pub part_number: u64,
    /// The `ETag` header that the part's PUT returned.
    #[serde(alias = "ETag")]
    pub etag: String,
}

impl From<PartView> for Part {
    fn from(PartView { part_number, etag }: PartView) -> Self {
        Self { part_number, etag }
    }
}

/// Answers `POST /v1/upload/multipart/complete`. A repeat finds it completed.
///
/// # Errors
/// 400 for parts that are missing or have another length, 401 without a key, 404 for an upload that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: CompleteRequest = request.json()?;
    let id = FileId::parse(&ask.file_id).ok_or_else(|| ApiError::not_found("file"))?;
    let mut upload = owned(&app, &caller.account, &id).await?;
    if upload.multipart.as_ref() != Some(&ask.upload_id) {
        return Err(ApiError::bad_request(
            "`upload_id` is not this upload's; send the one that `POST /v1/upload/multipart/initiate` returned",
        ));
    }
    if upload.status == UploadStatus::Awaiting {
        let key = keys::upload_object(&upload.account, &upload.id);
        let arrived = app.objects()?.arrived(multipart::Upload { key: &key, id: &ask.upload_id }).await?;
        let named: Option<Vec<Part>> = ask.parts.map(|parts| parts.into_iter().map(Part::from).collect());
        let parts = assembled(&upload.file, &arrived, named.as_deref())?;
        order_look(&app, &mut upload, parts).await?;
    }
    Ok(ApiResponse::ok(&UploadView::of(&upload)))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Say that all parts have been sent")
        .takes::<CompleteRequest>()
        .answers::<crate::upload::UploadView>()
        .problems(&[400, 404, 413, 415])
}
