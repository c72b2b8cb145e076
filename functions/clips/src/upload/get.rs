//! `GET /v1/upload/{file_id}`: where an upload stands. The first read after its bytes have arrived has them looked at.

use std::sync::Arc;

use domain::{ids::FileId, job::Failure, upload::UploadStatus};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use store::{keys, uploads::Looked};

use super::{UploadView, order_look, owned};

/// Answers `GET /v1/upload/{file_id}`.
///
/// # Errors
/// 401 without a key, 404 for an upload that is not the caller's or has expired.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let id = FileId::parse(&request.path("file_id")).ok_or_else(|| ApiError::not_found("file"))?;
    let mut upload = owned(&app, &caller.account, &id).await?;
    let has_come = upload.status == UploadStatus::Awaiting && upload.multipart.is_none() && {
        let key = keys::upload_object(&upload.account, &upload.id);
        app.objects()?.stored(&key).await?.is_some()
    };
    if upload.is_overlooked(app.now()) && upload.is_given_up() {
        let failed = Looked::Failed(Failure::internal());
        app.table()?.end_look((&upload.account, &upload.id), &failed).await?;
        upload = owned(&app, &caller.account, &id).await?;
    }
    if has_come || upload.is_overlooked(app.now()) {
        let parts = std::mem::take(&mut upload.parts);
        order_look(&app, &mut upload, parts).await?;
    }
    Ok(ApiResponse::ok(&UploadView::of(&upload)))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Follow an upload until it is ready")
        .answers::<crate::upload::UploadView>()
        .problems(&[404])
}
