//! `/v1/upload`: files that a client brings itself.
//!
//! A file is announced and then sent to S3 directly, by links that take this one length only. Once it is there,
//! `media.inspect` looks at it; whoever asks for its status sees to that.
//!
//! The record lies under its account's partition, so nobody finds somebody else's `file_id`. The transaction that
//! writes it counts files and bytes of the account's day. Large files are sent in parts of 64 MiB, each by a link that
//! is signed for its length. `complete` compares the parts that S3 has with the announced length and the client's
//! entity tags, so a missing part is a 400 and can still be sent.
//!
//! The first `GET` that finds the object, or `complete`, notes that a look is ordered and puts the order into a queue.
//! A lost order is given again by a `GET` a minute later, five times at most. The record's `expires_at` says when the
//! upload is gone; the bucket's rules delete the file, and parts that were never put together.

use domain::{
    ids::{AccountId, FileId},
    sentence::sentence,
    source::SourceInfo,
    upload::{Announced, BYTES_A_DAY_MAX, Part, Upload, UploadStatus},
};
use runtime::{ApiError, App, Var};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::{error, info};
use utoipa::ToSchema;

pub mod complete;
pub mod get;
pub mod initiate;
pub mod request;

/// A file that is to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UploadRequest {
    /// Its name, in any script, of 255 bytes at most.
    #[schema(example = "holiday.mp4")]
    pub filename: String,
    /// Its media type. The bytes decide what it is.
    #[schema(example = "video/mp4")]
    pub content_type: String,
    /// Its length in bytes, 5,000,000,000 at most. No other length is taken.
    #[schema(example = 1_048_576)]
    pub file_size: u64,
}

/// An upload as its owner sees it. Fields that have no value yet are left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadView {
    /// The upload, to be named in place of a `url`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: String,
    /// `awaiting` its bytes, `checking` them, then `ready` or `failed`.
    #[schema(example = "ready")]
    pub status: &'static str,
    /// Its name.
    #[schema(example = "holiday.mp4")]
    pub filename: String,
    /// Its length in bytes.
    #[schema(example = 1_048_576)]
    pub file_size: u64,
    /// When it is gone.
    pub expires_at: String,
    /// Its title, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its length in seconds, once it is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3600.5)]
    pub duration: Option<f64>,
    /// The tallest quality that can be delivered, in pixels of the picture's short side; for a video that is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1080)]
    pub max_height: Option<u32>,
    /// Why it cannot be used, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// A stable word for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

impl UploadView {
    fn of(upload: &Upload) -> Self {
        let (source, failure) = (upload.source.as_ref(), upload.failure.as_ref());
        Self {
            file_id: upload.id.to_string(),
            status: upload.status.word(),
            filename: upload.file.filename.clone(),
            file_size: upload.file.file_size,
            expires_at: upload.expires_at.rfc3339(),
            title: source.map(|source| source.title.clone()),
            duration: source.map(|source| source.duration.seconds()),
            max_height: source.and_then(|source| Some(source.picture?.max_height())),
            error: failure.map(|failure| sentence(&failure.message)),
            error_code: failure.map(|failure| failure.code.clone()),
        }
    }
}

/// An upload of the account's that has not expired. Somebody else's gets the same 404 as an unknown one.
async fn owned(app: &App, account: &AccountId, id: &FileId) -> Result<Upload, ApiError> {
    let upload = app.table()?.upload(account, id).await?;
    upload.filter(|upload| app.now() < upload.expires_at).ok_or_else(|| ApiError::not_found("file"))
}

/// What an upload is that can be used.
///
/// # Errors
/// 404 for one that is not the account's or has expired, 409 for one that is not ready, 422 for one that failed.
pub(crate) async fn ready(app: &App, account: &AccountId, id: &FileId) -> Result<SourceInfo, ApiError> {
    let upload = owned(app, account, id).await?;
    match (upload.status, upload.source, upload.failure) {
        (UploadStatus::Ready, Some(source), _) => Ok(source),
        (UploadStatus::Failed, _, Some(failure)) => Err(failure.into()),
        (status, ..) => Err(ApiError::conflict(
            "upload_not_ready",
            format!(
                "the upload is not ready ({}); send its bytes, then poll `GET /v1/upload/{id}` until it is",
                status.word()
            ),
        )),
    }
}

/// Writes down an upload that is announced.
async fn announce(app: &App, upload: &Upload) -> Result<(), ApiError> {
    match app.table()?.announce_upload(upload).await? {
        None => {
            let bytes = upload.file.file_size;
            info!(file_id = %upload.id, account = %upload.account, bytes, "upload announced");
            Ok(())
        }
        Some(limit) => {
            let what = format!("uploads, {} GB in all,", BYTES_A_DAY_MAX / 1_000_000_000);
            Err(ApiError::rate_limited(&what, limit))
        }
    }
}

/// Sees to it that `media.inspect` looks at an upload, made of `parts` if it comes in parts. Of callers at the same time
/// one orders; an order that is lost is given again by a later read.
async fn order_look(app: &App, upload: &mut Upload, parts: Vec<Part>) -> Result<(), ApiError> {
    let now = app.now();
    if app.table()?.order_look(upload, &parts, now).await? {
        let order = json!({ "account": upload.account, "file_id": upload.id });
        if let Err(problem) = app.enqueue(Var::UploadsQueueUrl, &order).await {
            error!(file_id = %upload.id, %problem, "not ordered, left to a later read");
        }
    }
    upload.status = UploadStatus::Checking;
    Ok(())
}

fn announced(ask: &UploadRequest) -> Result<Announced, ApiError> {
    Ok(Announced::new(&ask.filename, &ask.content_type, ask.file_size)?)
}

fn new_id() -> Result<FileId, ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(FileId::from_random(bytes))
}
