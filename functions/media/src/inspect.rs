//! Inspect: look at an upload that has arrived, once, so that no request has to.
//!
//! One that came in parts is put together first. What the look tells is written down and never changes; a job compares
//! the version that it opens with the one that was looked at.
//!
//! A file that cannot be used is deleted, and the reason is written down. A job reads an upload by a link that is
//! signed for the purpose, past the egress guard, which is for users' URLs. Its kept index goes by the object's key and
//! entity tag. If the link was used once more, the entity tag is another one, and the job fails.

use std::sync::Arc;

use domain::{
    ids::{AccountId, FileId},
    job::Failure,
    source::SourceInfo,
    upload::{Upload, UploadStatus},
};
use look::read_index;
use media::mp4::Part;
use runtime::{App, StageError, time_limits};
use serde::Deserialize;
use sources::{RemoteFile, SourceError};
use store::{keys, multipart, uploads::Looked};
use tracing::info;

use crate::{
    job::{passing, scratch},
    probe::{self, look_at},
    source::open_stored,
};

/// The code of a source that could not be read.
const UNAVAILABLE: &str = "source_unavailable";

/// The order to look at an upload.
#[derive(Debug, Deserialize)]
struct Order {
    account: AccountId,
    file_id: FileId,
}

/// Looks at the upload in `{account, file_id}`. A repeat of an order that was carried out does nothing.
///
/// # Errors
/// [`StageError::Passing`]: the message comes again.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    let Order { account, file_id } = serde_json::from_str(&message).map_err(passing)?;
    let upload = app.table()?.upload(&account, &file_id).await?;
    let Some(upload) = upload.filter(|upload| upload.status == UploadStatus::Checking) else { return Ok(()) };
    let key = keys::upload_object(&account, &file_id);
    let looked = look(&app, &upload, &key).await?;
    let is_said = app.table()?.end_look((&account, &file_id), &looked).await?;
    if let Looked::Failed(failure) = &looked
        && is_said
    {
        info!(file_id = %file_id, code = failure.code, reason = failure.message, "the upload cannot be used");
        // After a crash before this, the bucket's rules do it.
        app.objects()?.delete(&[key]).await?;
    }
    Ok(())
}

async fn look(app: &App, upload: &Upload, key: &str) -> Result<Looked, StageError> {
    let objects = app.objects()?;
    let stored = match &upload.multipart {
        Some(id) => objects.put_together(multipart::Upload { key, id }, &upload.parts).await?,
        None => objects.stored(key).await?,
    };
    let Some(stored) = stored else {
        return Ok(failed(UNAVAILABLE, "The file's parts could not be put together. Upload it again."));
    };
    let announced = upload.file.file_size;
    if stored.len != announced {
        let message =
            format!("The file has {} bytes, {announced} were announced. Upload it again.", stored.len);
        return Ok(failed("source_unsupported", &message));
    }
    let file = open_stored(app, &upload.account, &upload.id, probe::LIMITS).await?;
    match tokio::time::timeout(time_limits::INSPECT, describe(app, &file)).await.map_err(passing)? {
        Ok(mut source) => {
            if source.title.trim().is_empty() {
                upload.file.title().clone_into(&mut source.title);
            }
            info!(file_id = %upload.id, duration_us = source.duration.0, "the upload is ready");
            let version = file.validator().ok_or_else(|| passing("S3 gave no entity tag"))?;
            Ok(Looked::Ready { source: source.bounded(), version: version.to_owned() })
        }
        Err(StageError::Job(failure)) => Ok(Looked::Failed(failure)),
        Err(error) => Err(error),
    }
}

/// That our own bucket does not answer is no fault of the file's: the look is repeated.
async fn describe(app: &App, file: &RemoteFile) -> Result<SourceInfo, StageError> {
    match read_index(Some(app.objects()?), file, Part::Description).await {
        Ok(Some(index)) => Ok(SourceInfo { plays: index.plays_in_browsers(), ..index.info() }),
        Ok(None) => look_at(file, scratch()?.path()).await.map_err(|error| match error {
            StageError::Job(failure) if failure.code == UNAVAILABLE => passing(failure.message),
            error => error,
        }),
        Err(SourceError::NotMedia(why)) => Err(no_video(&why)),
        Err(SourceError::Incomplete) => Err(no_video("it ends too early")),
        Err(error @ SourceError::TooLarge(_)) => Err(error.into()),
        Err(error) => Err(passing(error)),
    }
}

fn no_video(why: &str) -> StageError {
    let message = format!("The file is no video or sound that can be read: {why}.");
    StageError::Job(Failure { code: "source_unsupported".to_owned(), message })
}

fn failed(code: &str, message: &str) -> Looked {
    Looked::Failed(Failure { code: code.to_owned(), message: message.to_owned() })
}
