//! Copies within the bucket, without the bytes passing through here.
//!
//! One request copies 5 GB at most, at the pace of one connection; larger objects, and those that would take long, are
//! copied in parts, several at a time
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/CopyingObjectsMPUapi.html>).

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::{
    incoming::Stored,
    multipart::{Upload, UploadedPart},
    objects::Objects,
    shelves::{CopyInParts, Move},
    table::{StoreError, Table},
};

/// Objects up to this many bytes are copied by one request. S3 takes 5 GB, but such a request runs for longer than a
/// client waits.
const WHOLE_BYTES_MAX: u64 = 128 << 20;
/// Bytes of a part; S3 takes 5 MB to 5 GB, and 10,000 of them.
const PART_BYTES: u64 = 64 << 20;
/// Parts of an object, S3's own bound.
const PARTS_MAX: u64 = 10_000;
/// How many parts are copied at once.
const PARTS_AT_ONCE: usize = 32;

/// How objects are divided. Not the same for tests, which have no large ones.
#[derive(Clone, Copy, Debug)]
pub struct CopySizes {
    /// Objects up to this many bytes are copied by one request.
    pub whole_bytes_max: u64,
    /// Bytes of a part of others.
    pub part_bytes: u64,
}

impl Default for CopySizes {
    fn default() -> Self {
        Self { whole_bytes_max: WHOLE_BYTES_MAX, part_bytes: PART_BYTES }
    }
}

impl Objects {
    /// Makes all the copies of a move.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] if one of the objects is not there, or the move was given up.
    pub async fn copy_all(&self, table: &Table, begun: &Move, sizes: CopySizes) -> Result<(), StoreError> {
        for (from, to) in begun.copies() {
            let Stored { len, media_type, .. } = self.stored(from).await?.ok_or(StoreError::NotFound)?;
            if len <= sizes.whole_bytes_max {
                self.copy(from, to).await?;
                continue;
            }
            let id = self.begin_upload(to, &media_type).await?;
            let copy = CopyInParts { key: to.clone(), upload: id };
            if !table.note_copy(begun, &copy).await? {
                self.abort_upload(Upload { key: to, id: &copy.upload }).await?;
                return Err(StoreError::NotFound);
            }
            self.copy_parts(from, Upload { key: to, id: &copy.upload }, len, sizes.part_bytes).await?;
        }
        Ok(())
    }

    async fn copy_parts(
        &self,
        from: &str,
        upload: Upload<'_>,
        len: u64,
        part_bytes: u64,
    ) -> Result<(), StoreError> {
        let part_bytes = part_bytes.max(len.div_ceil(PARTS_MAX));
        let parts = (0..len.div_ceil(part_bytes)).map(|index| async move {
            let first = index * part_bytes;
            let last = len.min(first + part_bytes) - 1;
            let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
            self.copy_part(from, upload, number, (first, last)).await
        });
        let mut parts: Vec<UploadedPart> =
            stream::iter(parts).buffer_unordered(PARTS_AT_ONCE).try_collect().await?;
        parts.sort_by_key(|part| part.number);
        self.complete_upload(upload, parts, len).await
    }
}
