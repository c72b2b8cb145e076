//! Download: fetch just the bytes that the cut needs, once, into the work prefix.
//!
//! Each kind of source is fetched by a module of its own. What they leave is the same: local files that Process reads,
//! and a [`Plan`] that says how.

mod file;
mod pair;
mod segments;
mod span;

use std::{path::Path, sync::Arc};

use domain::job::{Job, Status};
use runtime::{App, StageError, time_limits};
use serde_json::{Value, json};
use sources::{Limits, SourceError};
use store::keys;
use tracing::info;

use crate::{
    job::{count_read, open_job, passing, reporting, scratch},
    page,
    source::Source,
    work::{self, PLAN, Plan},
};

/// A source may pause for 20 s; S3 takes 5 GB in one PUT, and a function's disk has 10 GB.
const LIMITS: Limits = Limits { silence: time_limits::SILENCE_OF_A_JOB, bytes_max: 5_000_000_000 };

/// Fetches the span of job `{job_id}`; returns the segments to process, and whether they are shares of one clip.
///
/// # Errors
/// [`StageError::Job`] if the source cannot be fetched or has nothing in the span.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let mut job = open_job(&app, &input).await?;
    let folder = scratch()?;
    let source = open(&app, &mut job).await?;
    let expected = Expected::default();
    let room = Room { app: &app, job: &job, folder: folder.path(), expected: &expected };
    let fraction = || expected.fraction(source.bytes());
    let fetched = async {
        let in_time = tokio::time::timeout(time_limits::FETCH, room.fetch(&source)).await;
        in_time.unwrap_or_else(|_| Err(SourceError::TooSlow.into()))
    };
    let plan = reporting(&app, &job.id, Status::Downloading, fraction, fetched).await?;
    let bytes = source.bytes();
    info!(bytes, "fetched");
    count_read(&app, &job.id, bytes).await?;
    work::put(&app, &job.id, PLAN, &plan).await?;
    let (segments, shared) = match &plan {
        Plan::One { .. } => (1, false),
        Plan::Shared { origins, .. } => (origins.len(), true),
    };
    Ok(json!({ "job_id": job.id, "segments": (0..segments).collect::<Vec<_>>(), "shared": shared }))
}

/// Opens the source. Of a page, which has its picture in many sizes, the job knows from here on the one that is fetched.
async fn open(app: &App, job: &mut Job) -> Result<Source, StageError> {
    if !job.source.is_page {
        return Source::open(app, job, LIMITS).await;
    }
    let opened = page::open(app, &job.spec, LIMITS);
    let opened = reporting(app, &job.id, Status::Downloading, || 0.0, opened).await?;
    count_read(app, &job.id, opened.bytes).await?;
    job.source.picture = opened.picture.or(job.source.picture);
    Ok(opened.source)
}

/// How many bytes the whole fetch will take, once that is known.
#[derive(Default)]
struct Expected(std::sync::atomic::AtomicU64);

impl Expected {
    fn set(&self, bytes: u64) {
        self.0.store(bytes, std::sync::atomic::Ordering::Relaxed);
    }

    #[allow(clippy::cast_precision_loss)] // for a progress bar
    fn fraction(&self, bytes: u64) -> f64 {
        let expected = self.0.load(std::sync::atomic::Ordering::Relaxed);
        if expected == 0 { 0.0 } else { bytes as f64 / expected as f64 }
    }
}

/// Where a job's source is fetched to.
#[derive(Clone, Copy)]
struct Room<'a> {
    app: &'a App,
    job: &'a Job,
    folder: &'a Path,
    expected: &'a Expected,
}

impl Room<'_> {
    async fn fetch(self, source: &Source) -> Result<Plan, StageError> {
        match source {
            Source::File(file) => file::Fetch { room: self, file }.run().await,
            Source::Stream(stream) => segments::Fetch { room: self, stream }.run().await,
            Source::Pair { video, audio } => pair::Fetch { room: self, video, audio }.run().await,
        }
    }

    /// Leaves a local file for Process and makes room for the next one.
    async fn put(self, path: &Path, name: &str) -> Result<(), StageError> {
        let key = keys::work_object(&self.job.id, name);
        self.app.objects()?.put_file(&key, path, "application/octet-stream").await?;
        tokio::fs::remove_file(path).await.map_err(passing)
    }
}
