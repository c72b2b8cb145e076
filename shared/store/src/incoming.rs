//! Objects that a client puts into the bucket itself, by links that we sign.
//!
//! A link is for one object, one length and one media type: these are signed, so S3 refuses anything else.

use std::time::Duration;

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    presigning::{PresignedRequest, PresigningConfig},
    types::{CompletedMultipartUpload, CompletedPart},
};
use domain::upload::{Announced, Arrived, LINK_SECONDS, PART_LINK_SECONDS, Part};

use crate::{multipart::Upload, objects::Objects, table::StoreError};

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its length in bytes.
    pub len: u64,
    /// Its entity tag, as headers have it.
    pub etag: String,
    /// Its media type.
    pub media_type: String,
}

/// What S3 says of parts that do not make up an object.
const BAD_PARTS: [&str; 5] =
    ["EntityTooSmall", "InvalidPart", "InvalidPartOrder", "InvalidRequest", "NoSuchUpload"];

impl Objects {
    /// A link to which the whole of a file can be PUT.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_link(&self, key: &str, file: &Announced) -> Result<String, StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key);
        let put = put.content_type(&file.content_type).content_length(signed(file.file_size));
        signed_link(put.presigned(lifetime(LINK_SECONDS)?).await)
    }

    /// A link to which part `number` of a file can be PUT.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn part_link(
        &self,
        upload: Upload<'_>,
        file: &Announced,
        number: u64,
    ) -> Result<String, StoreError> {
        let put = self.client.upload_part().bucket(&self.bucket).key(upload.key).upload_id(upload.id);
        let part_number = i32::try_from(number).map_err(StoreError::aws("presign"))?;
        let put = put.part_number(part_number).content_length(signed(file.part_bytes(number)));
        signed_link(put.presigned(lifetime(PART_LINK_SECONDS)?).await)
    }

    /// Begins an upload in parts; returns its id. No checksum is asked for: who sends the parts knows S3 by links only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_parts(&self, key: &str, media_type: &str) -> Result<String, StoreError> {
        let begin = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        let begun = begin.content_type(media_type).send().await;
        let id = begun.map_err(StoreError::aws("CreateMultipartUpload"))?.upload_id;
        id.ok_or_else(|| StoreError::fault("CreateMultipartUpload", "no id"))
    }

    /// The parts that have arrived; none for an upload that does not exist. S3 lists 1000 at a time, more than any file
    /// has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn arrived(&self, upload: Upload<'_>) -> Result<Vec<Arrived>, StoreError> {
        let list = self.client.list_parts().bucket(&self.bucket).key(upload.key).upload_id(upload.id);
        let parts = match list.send().await {
            Ok(answer) => answer.parts.unwrap_or_default(),
            Err(error) if error.code() == Some("NoSuchUpload") => Vec::new(),
            Err(error) => return Err(StoreError::aws("ListParts")(error)),
        };
        let arrived = parts.into_iter().filter_map(|part| {
            let part_number = u64::try_from(part.part_number?).ok()?;
            let part_of = Part { part_number, etag: part.e_tag.unwrap_or_default() };
            Some(Arrived { part: part_of, len: u64::try_from(part.size?).ok()? })
        });
        Ok(arrived.collect())
    }

    /// Makes the object of its parts. A repeat finds it made; `None` if S3 says that the parts make up nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_together(
        &self,
        upload: Upload<'_>,
        parts: &[Part],
    ) -> Result<Option<Stored>, StoreError> {
        // The upload exists no longer once it is completed: S3 would say so for some minutes only.
        if let Some(stored) = self.stored(upload.key).await? {
            return Ok(Some(stored));
        }
        let mut list = CompletedMultipartUpload::builder();
        for part in parts {
            let number =
                i32::try_from(part.part_number).map_err(StoreError::aws("CompleteMultipartUpload"))?;
            list = list.parts(CompletedPart::builder().part_number(number).e_tag(&part.etag).build());
        }
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(upload.key);
        let completed = complete.upload_id(upload.id).multipart_upload(list.build()).send().await;
        match completed {
            Ok(_) => self.stored(upload.key).await,
            Err(error) if error.code().is_some_and(|code| BAD_PARTS.contains(&code)) => {
                // Another one may have completed it at the same time.
                self.stored(upload.key).await
            }
            Err(error) => Err(StoreError::aws("CompleteMultipartUpload")(error)),
        }
    }

    /// What is stored under a key, if anything. For who may list the bucket: others are denied to know.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stored(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let head = match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => head,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_not_found()) => return Ok(None),
            Err(error) => return Err(StoreError::aws("HeadObject")(error)),
        };
        let media_type = head.content_type().unwrap_or("application/octet-stream").to_owned();
        let len = head.content_length().and_then(|len| u64::try_from(len).ok());
        let len = len.ok_or_else(|| StoreError::fault("HeadObject", "no length"))?;
        Ok(Some(Stored { len, etag: head.e_tag.unwrap_or_default(), media_type }))
    }
}

fn lifetime(seconds: u64) -> Result<PresigningConfig, StoreError> {
    PresigningConfig::expires_in(Duration::from_secs(seconds)).map_err(StoreError::aws("presign"))
}

fn signed_link<E>(request: Result<PresignedRequest, SdkError<E>>) -> Result<String, StoreError>
where
    SdkError<E>: std::error::Error,
{
    Ok(request.map_err(StoreError::aws("presign"))?.uri().to_owned())
}

/// S3 counts in signed numbers. No file is longer than [`domain::upload::FILE_BYTES_MAX`].
fn signed(len: u64) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}
