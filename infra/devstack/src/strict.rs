//! What S3 does about uploads in parts and s3s-fs does not: it tells the parts' entity tags, refuses to put together what
//! is not all there without losing what is, and knows no upload that has ended.
//!
//! s3s-fs keeps a part of upload `ID` as `.upload_id-ID.part-N` in its root, and deletes whatever begins like that when
//! the upload is given up. A part's entity tag lies beside it.

use std::path::{Path, PathBuf};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::fs;

/// S3's least length of every part but the last.
const PART_BYTES_MIN: u64 = 5 << 20;

/// s3s-fs, as strict as S3.
pub(crate) struct Strict {
    files: FileSystem,
    root: PathBuf,
}

/// Passes on what s3s-fs does well by itself.
macro_rules! strict {
    ($($name:ident: $input:ident => $output:ident),+; $($own:item)+) => {
        #[async_trait::async_trait]
        impl S3 for Strict {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.files.$name(request).await
            })+
            $($own)+
        }
    };
}

strict! {
    copy_object: CopyObjectInput => CopyObjectOutput,
    create_bucket: CreateBucketInput => CreateBucketOutput,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    delete_bucket: DeleteBucketInput => DeleteBucketOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput,
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput,
    get_object: GetObjectInput => GetObjectOutput,
    head_bucket: HeadBucketInput => HeadBucketOutput,
    head_object: HeadObjectInput => HeadObjectOutput,
    list_buckets: ListBucketsInput => ListBucketsOutput,
    list_objects: ListObjectsInput => ListObjectsOutput,
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
    put_object: PutObjectInput => PutObjectOutput;

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.must_exist(&request.input.upload_id).await?;
        let tag = self.beside(&request.input.upload_id, "etag", request.input.part_number);
        let answer = self.files.upload_part(request).await?;
        if let Some(etag) = &answer.output.e_tag {
            fs::write(tag, etag.value()).await.map_err(|error| s3_error!(error, InternalError))?;
        }
        Ok(answer)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.must_exist(&request.input.upload_id).await?;
        let tag = self.beside(&request.input.upload_id, "etag", request.input.part_number);
        let answer = self.files.upload_part_copy(request).await?;
        if let Some(etag) = answer.output.copy_part_result.as_ref().and_then(|copied| copied.e_tag.as_ref()) {
            fs::write(tag, etag.value()).await.map_err(|error| s3_error!(error, InternalError))?;
        }
        Ok(answer)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let id = request.input.upload_id.clone();
        self.must_exist(&id).await?;
        let mut answer = self.files.list_parts(request).await?;
        for part in answer.output.parts.iter_mut().flatten() {
            part.e_tag = self.etag(&id, part.part_number.unwrap_or_default()).await;
        }
        answer.output.parts.iter_mut().for_each(|parts| parts.sort_by_key(|part| part.part_number));
        Ok(answer)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let id = request.input.upload_id.clone();
        let named = request.input.multipart_upload.as_ref().and_then(|upload| upload.parts.clone());
        let numbers = self.must_be_whole(&id, &named.unwrap_or_default()).await?;
        let answer = self.files.complete_multipart_upload(request).await?;
        for number in numbers {
            // A tag that stays does no harm.
            let _ = fs::remove_file(self.beside(&id, "etag", number)).await;
        }
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.must_exist(&request.input.upload_id).await?;
        self.files.abort_multipart_upload(request).await
    }
}

impl Strict {
    pub(crate) fn new(files: FileSystem, root: &Path) -> Self {
        Self { files, root: root.to_owned() }
    }

    async fn must_exist(&self, id: &str) -> S3Result<()> {
        // The id becomes part of a path: s3s-fs gives UUIDs.
        let is_id = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let known = self.root.join(format!(".upload-{id}.json"));
        if is_id && fs::try_exists(known).await.unwrap_or(false) {
            return Ok(());
        }
        Err(s3_error!(NoSuchUpload))
    }

    /// The path of a `part` of an upload that exists, or of its `etag`.
    fn beside(&self, id: &str, kind: &str, number: i32) -> PathBuf {
        self.root.join(format!(".upload_id-{id}.{kind}-{number}"))
    }

    async fn etag(&self, id: &str, number: i32) -> Option<ETag> {
        fs::read_to_string(self.beside(id, "etag", number)).await.ok().map(ETag::Strong)
    }

    /// Every part that is named is there, is the one that is meant, and is long enough. Answers their numbers.
    async fn must_be_whole(&self, id: &str, named: &[CompletedPart]) -> S3Result<Vec<i32>> {
        self.must_exist(id).await?;
        let mut numbers = Vec::new();
        for (place, part) in named.iter().enumerate() {
            let number = part.part_number.unwrap_or_default();
            let len = fs::metadata(self.beside(id, "part", number))
                .await
                .map_err(|_| s3_error!(InvalidPart))?
                .len();
            let etag = self.etag(id, number).await;
            let is_meant =
                etag.as_ref().zip(part.e_tag.as_ref()).is_some_and(|(a, b)| a.value() == b.value());
            if !is_meant {
                return Err(s3_error!(InvalidPart));
            }
            if len < PART_BYTES_MIN && place + 1 < named.len() {
                return Err(s3_error!(EntityTooSmall));
            }
            numbers.push(number);
        }
        if numbers.is_sorted() { Ok(numbers) } else { Err(s3_error!(InvalidPartOrder)) }
    }
}
