//! Media files in S3.

use std::{path::Path, time::Duration};

use aws_sdk_s3::{
    Client,
    operation::get_object::builders::GetObjectFluentBuilder,
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::{Delete, ObjectIdentifier},
};
use bytes::Bytes;
use domain::expiry::LINK_SECONDS_MAX;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::{fs::File, io::AsyncWriteExt, sync::oneshot};

use crate::table::StoreError;

/// How much of an object [`Objects::get_file_telling`] waits for: the header of a span file of some minutes.
const FRONT_LEN: u64 = 1 << 20;

/// How many objects one call deletes, S3's own bound.
const DELETE_KEYS_MAX: usize = 1000;
/// How often it is tried to delete an object that S3 says it could not delete for now.
const DELETE_ATTEMPTS_MAX: u32 = 3;
/// The pause before the second attempt; the next one is longer by as much.
const DELETE_PAUSE: Duration = Duration::from_millis(100);

/// The product's one bucket.
#[derive(Clone, Debug)]
pub struct Objects {
    pub(crate) client: Client,
    pub(crate) bucket: String,
}

impl Objects {
    /// The bucket `bucket` behind `client`.
    #[must_use]
    pub const fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Uploads a file. One PUT carries 5 GB, which is more than a clip or a span may have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_file(&self, key: &str, path: &Path, media_type: &str) -> Result<(), StoreError> {
        let body = ByteStream::from_path(path).await.map_err(StoreError::aws("PutObject"))?;
        self.put(key, body, media_type).await
    }

    /// Uploads bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_bytes(&self, key: &str, bytes: Vec<u8>, media_type: &str) -> Result<(), StoreError> {
        self.put(key, bytes.into(), media_type).await
    }

    async fn put(&self, key: &str, body: ByteStream, media_type: &str) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(body).content_type(media_type);
        put.send().await.map(drop).map_err(StoreError::aws("PutObject"))
    }

    /// Downloads an object into a file, streaming.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] if there is no such object.
    pub async fn get_file(&self, key: &str, path: &Path) -> Result<(), StoreError> {
        self.get_file_telling(key, path, oneshot::channel().0).await
    }

    /// As [`Self::get_file`]; `there` is told once the file has its final length and the object's first [`FRONT_LEN`]
    /// bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get_file_telling(
        &self,
        key: &str,
        path: &Path,
        there: oneshot::Sender<()>,
    ) -> Result<(), StoreError> {
        let mut body = self.get(key).await?;
        let failed = StoreError::aws::<std::io::Error>;
        let mut file = File::create(path).await.map_err(failed("GetObject"))?;
        let mut front = body.size_hint().1.map(|len| (len.min(FRONT_LEN), there));
        if let Some(len) = body.size_hint().1 {
            file.set_len(len).await.map_err(failed("GetObject"))?;
        }
        let mut written = 0;
        while let Some(chunk) = body.try_next().await.map_err(StoreError::aws("GetObject"))? {
            file.write_all(&chunk).await.map_err(failed("GetObject"))?;
            written += chunk.len() as u64;
            if let Some((_, there)) = front.take_if(|(len, _)| written >= *len) {
                file.flush().await.map_err(failed("GetObject"))?;
                // Nobody has to listen.
                let _ = there.send(());
            }
        }
        file.flush().await.map_err(failed("GetObject"))
    }

    /// Downloads a small object.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] if there is no such object.
    pub async fn get_bytes(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let body = self.get(key).await?;
        Ok(body.collect().await.map_err(StoreError::aws("GetObject"))?.into_bytes().to_vec())
    }

    /// Exactly `len` bytes of an object from `offset` on.
    ///
    /// # Errors
    /// [`StoreError`], also when the object ends before.
    pub async fn read_at(&self, key: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let range = format!("bytes={offset}-{}", offset.saturating_add(len - 1));
        let body = self.get_range(key, Some(range)).await?;
        let bytes = body.collect().await.map_err(StoreError::aws("GetObject"))?.into_bytes();
        if bytes.len() as u64 == len { Ok(bytes) } else { Err(StoreError::fault("GetObject", "too short")) }
    }

    /// Length of an object in bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn len(&self, key: &str) -> Result<u64, StoreError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key).send().await;
        let len = head.map_err(StoreError::aws("HeadObject"))?.content_length();
        len.and_then(|len| u64::try_from(len).ok())
            .ok_or_else(|| StoreError::fault("HeadObject", "no length"))
    }

    async fn get(&self, key: &str) -> Result<ByteStream, StoreError> {
        self.get_range(key, None).await
    }

    async fn get_range(&self, key: &str, range: Option<String>) -> Result<ByteStream, StoreError> {
        match self.request(key).set_range(range).send().await {
            Ok(answer) => Ok(answer.body),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                Err(StoreError::NotFound)
            }
            Err(error) => Err(StoreError::aws("GetObject")(error)),
        }
    }

    /// Copies an object within the bucket, without its bytes passing through here.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let copy = self
            .client
            .copy_object()
            .bucket(&self.bucket)
            .copy_source(format!("{}/{from}", self.bucket))
            .key(to);
        copy.send().await.map(drop).map_err(StoreError::aws("CopyObject"))
    }

    /// Deletes objects, there or not, 1000 in a call. S3 answers 200 all the same when it could not delete some of them,
    /// and says which: those are tried again.
    ///
    /// # Errors
    /// [`StoreError`] if a call failed, or some of the objects may still be there.
    pub async fn delete(&self, keys: &[String]) -> Result<(), StoreError> {
        let mut refused = Vec::new();
        for batch in keys.chunks(DELETE_KEYS_MAX) {
            refused.extend(self.delete_batch(batch.to_vec()).await?);
        }
        match refused.first() {
            None => Ok(()),
            Some(code) => {
                let message = format!("{} of {} objects stay: {code}", refused.len(), keys.len());
                Err(StoreError::fault("DeleteObjects", &message))
            }
        }
    }

    /// Answers the error of each object that could not be deleted.
    async fn delete_batch(&self, mut keys: Vec<String>) -> Result<Vec<String>, StoreError> {
        let mut refused = Vec::new();
        for attempt in 0..DELETE_ATTEMPTS_MAX {
            let identifiers: Result<Vec<_>, _> =
                keys.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
            let identifiers = identifiers.map_err(StoreError::aws("DeleteObjects"))?;
            let delete = Delete::builder().set_objects(Some(identifiers)).quiet(true).build();
            let delete = delete.map_err(StoreError::aws("DeleteObjects"))?;
            let request = self.client.delete_objects().bucket(&self.bucket).delete(delete);
            let errors = request.send().await.map_err(StoreError::aws("DeleteObjects"))?.errors;
            let errors = errors.unwrap_or_default();
            refused = errors.iter().map(|error| error.code.clone().unwrap_or_default()).collect();
            if refused.is_empty() {
                return Ok(refused);
            }
            // An error that names no object may be about any of them.
            if errors.iter().all(|error| error.key.is_some()) {
                keys = errors.into_iter().filter_map(|error| error.key).collect();
            }
            tokio::time::sleep(DELETE_PAUSE * (attempt + 1)).await;
        }
        Ok(refused)
    }

    /// A link that downloads the object under `file_name`, valid for so many seconds. Made anew on each read, never stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn download_link_for(
        &self,
        key: &str,
        file_name: &str,
        seconds: u64,
    ) -> Result<String, StoreError> {
        presigned(self.request(key).response_content_disposition(attachment(file_name)), seconds).await
    }

    /// A link that shows the object where it is used, valid for an hour. Made anew on each read, never stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link(&self, key: &str) -> Result<String, StoreError> {
        self.link_for(key, LINK_SECONDS_MAX).await
    }

    /// As [`Objects::link`], valid for so many seconds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_for(&self, key: &str, seconds: u64) -> Result<String, StoreError> {
        presigned(self.request(key), seconds).await
    }

    fn request(&self, key: &str) -> GetObjectFluentBuilder {
        self.client.get_object().bucket(&self.bucket).key(key)
    }
}

async fn presigned(request: GetObjectFluentBuilder, seconds: u64) -> Result<String, StoreError> {
    let lifetime = PresigningConfig::expires_in(Duration::from_secs(seconds));
    let link = request.presigned(lifetime.map_err(StoreError::aws("presign"))?).await;
    Ok(link.map_err(StoreError::aws("presign"))?.uri().to_owned())
}

/// Everything but the `attr-char`s of RFC 8187, section 3.2.1.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A `Content-Disposition` that saves a file under `name` (RFC 6266): spelled out in ASCII, and as it is for whoever
/// reads `filename*`.
fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if (' '..='~').contains(&c) && !matches!(c, '"' | '\\' | '%') { c } else { '_' })
        .collect();
    if plain == name {
        return format!("attachment; filename=\"{name}\"");
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", utf8_percent_encode(name, &ENCODED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_a_valid_header() {
        assert_eq!(attachment("clip_2-00-3-00.mp4"), "attachment; filename=\"clip_2-00-3-00.mp4\"");
        assert_eq!(
            attachment("Röll \"8\"\r\n.mp4"),
            "attachment; filename=\"R_ll _8___.mp4\"; filename*=UTF-8''R%C3%B6ll%20%228%22%0D%0A.mp4"
        );
    }
}
