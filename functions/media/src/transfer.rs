//! Transfer: carry one shard of a whole video from its source into the multipart upload. Nothing is written to disk,
//! and two parts at most are in memory: one that is being read, one that is being uploaded.
//!
//! The function opens the source and fails the job if it is not the version that was planned for. A repeat writes the
//! same parts again. The outcome lies in `work/{job}/parts-*.json`. A shard is up to 2 GB, which takes 7 minutes at 5
//! MB/s.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use domain::{
    job::{Job, Status},
    transfer::Division,
};
use media::whole::{Piece, pieces};
use runtime::{App, StageError, time_limits};
use serde_json::{Value, json};
use sources::{Limits, RemoteFile, SourceError};
use store::{
    keys,
    multipart::{Upload, UploadedPart},
};
use tokio::try_join;
use tracing::info;

use crate::{
    job::{Fraction, count_read, open_job, passing, reporting_through},
    source::open_file,
    work::{self, HEADER, TRANSFER, Transfer, Version},
};

/// Twice what a shard has, for transfers that break and are taken up again.
const LIMITS: Limits = Limits { silence: time_limits::SILENCE_OF_A_JOB, bytes_max: 4_000_000_000 };

/// Carries shard `{shard}` of job `{job_id}`. A repeat carries it again, part by part over what is there.
///
/// # Errors
/// [`StageError::Job`] if the source cannot be read or is another one than was planned for.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let shard = input.get("shard").and_then(Value::as_u64);
    let shard = shard.ok_or_else(|| StageError::Passing("the input names no shard".to_owned()))?;
    let plan: Transfer = work::get(&app, &job.id, TRANSFER).await?;
    let numbers = Division::of(plan.bytes_total).parts_of(shard);
    let file = open_file(&app, &job, LIMITS).await?;
    if !Version::of(&file).is(&plan.source) {
        return Err(SourceError::Changed.into());
    }
    let mut shard_of = Shard {
        app: &app,
        job: &job,
        header: Vec::new(),
        file,
        counted: AtomicU64::new(0),
        fraction: Fraction::default(),
        plan: &plan,
    };
    if Division::of(plan.bytes_total).bytes_of(numbers.start).start < plan.header_len {
        shard_of.header = app.objects()?.get_bytes(&keys::work_object(&job.id, HEADER)).await?;
    }
    let (this, last) = (&shard_of, Status::Processing);
    let fraction = || this.fraction.get();
    let carry = this.carry(numbers.clone());
    let parts = reporting_through(&app, &job.id, Status::Downloading, last, fraction, carry).await?;
    info!(shard, parts = parts.len(), bytes = this.file.traffic().bytes(), "carried");
    let (key, bytes) = (keys::parts_object(&job.id, shard), serde_json::to_vec(&parts).map_err(passing)?);
    app.objects()?.put_bytes(&key, bytes, "application/json").await?;
    Ok(json!({ "job_id": job.id }))
}

/// What one function carries.
struct Shard<'a> {
    app: &'a App,
    job: &'a Job,
    plan: &'a Transfer,
    /// Empty if none of it belongs to this shard.
    header: Vec<u8>,
    file: RemoteFile,
    /// Bytes of the source that were written down as read.
    counted: AtomicU64,
    fraction: Fraction,
}

impl Shard<'_> {
    /// Reads each part while the one before it is uploaded.
    async fn carry(&self, numbers: std::ops::Range<u64>) -> Result<Vec<UploadedPart>, StageError> {
        let (mut parts, mut ready) = (Vec::new(), None);
        for number in numbers {
            let (bytes, part) = try_join!(self.read(number), self.upload(ready.take()))?;
            parts.extend(part);
            ready = Some((number, bytes));
        }
        parts.extend(self.upload(ready).await?);
        Ok(parts)
    }

    async fn read(&self, number: u64) -> Result<Vec<u8>, StageError> {
        let part = Division::of(self.plan.bytes_total).bytes_of(number);
        let place = |at: u64| usize::try_from(at).map_err(passing);
        let mut bytes = Vec::with_capacity(place(part.end - part.start)?);
        for piece in pieces(self.plan.header_len, &self.plan.ranges, part) {
            match piece {
                Piece::Header(range) => {
                    let header = self.header.get(place(range.start)?..place(range.end)?);
                    bytes.extend_from_slice(header.ok_or_else(|| passing("the header is too short"))?);
                }
                Piece::Source(range) => self.file.copy(range, &mut bytes).await?,
            }
        }
        Ok(bytes)
    }

    async fn upload(&self, ready: Option<(u64, Vec<u8>)>) -> Result<Option<UploadedPart>, StageError> {
        let Some((number, bytes)) = ready else { return Ok(None) };
        let upload = Upload { key: &self.plan.object_key, id: &self.plan.upload };
        // S3 counts from 1.
        let number = i32::try_from(number + 1).map_err(passing)?;
        let part = self.app.objects()?.upload_part(upload, number, bytes).await?;
        self.count().await?;
        Ok(Some(part))
    }

    /// Writes down what was read since the last time. What all shards have read together tells how far the job is.
    #[allow(clippy::cast_precision_loss)] // for a progress bar
    async fn count(&self) -> Result<(), StageError> {
        let read = self.file.traffic().bytes();
        let new = read.saturating_sub(self.counted.swap(read, Ordering::Relaxed));
        if let Some(all) = count_read(self.app, &self.job.id, new).await? {
            self.fraction.set(all as f64 / self.plan.bytes_total.max(1) as f64);
        }
        Ok(())
    }
}
