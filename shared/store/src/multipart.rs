//! Objects that are uploaded in parts, by several functions at once
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>).

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use serde::{Deserialize, Serialize};

use crate::{objects::Objects, table::StoreError};

/// An upload that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// The object that it becomes.
    pub key: &'a str,
    /// S3's id for it.
    pub id: &'a str,
}

/// A part that was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadedPart {
    /// From 1 to 10,000, in the object's order.
    pub number: i32,
    etag: Option<String>,
    /// S3 asks for it again when the upload is completed.
    crc32: Option<String>,
}

impl Objects {
    /// Begins an upload; returns its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_upload(&self, key: &str, media_type: &str) -> Result<String, StoreError> {
        let begin = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .content_type(media_type)
            .checksum_algorithm(ChecksumAlgorithm::Crc32);
        let begun = begin.send().await.map_err(StoreError::aws("CreateMultipartUpload"))?;
        begun.upload_id.ok_or_else(|| StoreError::fault("CreateMultipartUpload", "no id"))
    }

    /// Uploads a part. One that is there already is replaced.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upload_part(
        &self,
        upload: Upload<'_>,
        number: i32,
        bytes: Vec<u8>,
    ) -> Result<UploadedPart, StoreError> {
        let part = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(upload.key)
            .upload_id(upload.id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(bytes.into());
        let uploaded = part.send().await.map_err(StoreError::aws("UploadPart"))?;
        Ok(UploadedPart { number, etag: uploaded.e_tag, crc32: uploaded.checksum_crc32 })
    }

    /// Makes a part of the bytes `first` to `last` of the object `from`.
    pub(crate) async fn copy_part(
        &self,
        from: &str,
        upload: Upload<'_>,
        number: i32,
        (first, last): (u64, u64),
    ) -> Result<UploadedPart, StoreError> {
        let part = self
            .client
            .upload_part_copy()
            .bucket(&self.bucket)
            .copy_source(format!("{}/{from}", self.bucket))
            .copy_source_range(format!("bytes={first}-{last}"))
            .key(upload.key)
            .upload_id(upload.id)
            .part_number(number);
        let copied = part.send().await.map_err(StoreError::aws("UploadPartCopy"))?.copy_part_result;
        let copied = copied.ok_or_else(|| StoreError::fault("UploadPartCopy", "no result"))?;
        Ok(UploadedPart { number, etag: copied.e_tag, crc32: copied.checksum_crc32 })
    }

    /// Makes the object of `len` bytes from all its parts. A repeat finds it made.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn complete_upload(
        &self,
        upload: Upload<'_>,
        parts: Vec<UploadedPart>,
        len: u64,
    ) -> Result<(), StoreError> {
        let parts = parts.into_iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .set_e_tag(part.etag)
                .set_checksum_crc32(part.crc32)
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let complete = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(upload.key)
            .upload_id(upload.id)
            .multipart_upload(parts);
        match complete.send().await {
            Ok(_) => Ok(()),
            // An upload that is completed no longer exists; the object tells whether that is why.
            Err(_) if self.len(upload.key).await.is_ok_and(|found| found == len) => Ok(()),
            Err(error) => Err(StoreError::aws("CompleteMultipartUpload")(error)),
        }
    }

    /// Gives up an upload and its parts; one that is no more is fine.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn abort_upload(&self, upload: Upload<'_>) -> Result<(), StoreError> {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket);
        match abort.key(upload.key).upload_id(upload.id).send().await {
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_upload()) => Ok(()),
            other => other.map(drop).map_err(StoreError::aws("AbortMultipartUpload")),
        }
    }
}
