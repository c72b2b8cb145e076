//! Download: fetch just the bytes that the cut needs, once, into the work prefix.
//!
//! Each kind of source is fetched by a module of its own. What they leave is the same: local files that Process reads,
//! and a [`Plan`] that says how. The sound that is to be listened to ([`sound`]) stays here instead.

mod file;
mod pair;
mod segments;
mod span;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use domain::{
    job::{Job, Status},
    time::MediaTime,
};
use runtime::{App, StageError, time_limits};
use serde_json::{Value, json};
use sources::{Limits, SourceError};
use store::keys;
use tracing::info;

use crate::{
    job::{count_read, open_job, passing, reporting, scratch},
    page,
    source::Source,
    work::{self, PLAN, Plan, SOURCE},
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
    let source = open(&app, &mut job, Status::Downloading).await?;
    let expected = Expected::default();
    let room = Room { app: &app, job: &job, folder: folder.path(), expected: &expected, to: Place::Bucket };
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
async fn open(app: &App, job: &mut Job, status: Status) -> Result<Source, StageError> {
    if !job.source.is_page {
        return Source::open(app, job, LIMITS).await;
    }
    let opened = page::open(app, &job.spec, LIMITS);
    let opened = reporting(app, &job.id, status, || 0.0, opened).await?;
    count_read(app, &job.id, opened.bytes).await?;
    job.source.picture = opened.picture.or(job.source.picture);
    Ok(opened.source)
}

/// The sound of a source, fetched.
pub(crate) struct Sound {
    /// A local file with it.
    pub(crate) path: PathBuf,
    /// The source's time at the file's zero.
    pub(crate) origin: MediaTime,
    /// Which version of the source it is, if that can be told.
    pub(crate) version: Option<String>,
}

/// Fetches the sound that `job`, which is for a clip of it, wants, into `folder`. `fetched` is told how much of it is here,
/// from 0 to 1.
///
/// # Errors
/// As [`handle`].
pub(crate) async fn sound(
    app: &App,
    mut job: Job,
    folder: &Path,
    fetched: impl Fn(f64),
) -> Result<Sound, StageError> {
    let source = open(app, &mut job, Status::Analyzing).await?;
    let expected = Expected::default();
    let room = Room { app, job: &job, folder, expected: &expected, to: Place::Here };
    let mut fetch = pin!(tokio::time::timeout(time_limits::FETCH, room.fetch(&source)));
    let plan = loop {
        tokio::select! {
            plan = &mut fetch => break plan.unwrap_or_else(|_| Err(SourceError::TooSlow.into()))?,
            () = tokio::time::sleep(TOLD_EVERY) => fetched(expected.fraction(source.bytes())),
        }
    };
    let bytes = source.bytes();
    info!(bytes, "fetched the sound");
    count_read(app, &job.id, bytes).await?;
    let Plan::One { origin, .. } = plan else { return Err(passing("sound is not shared out")) };
    let version = match &source {
        Source::File(file) if !job.source.is_page => file.version(),
        _ => None,
    };
    Ok(Sound { path: folder.join(SOURCE), origin, version })
}

/// How often it is told how much is fetched.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Where what was fetched is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the work prefix, for Process.
    Bucket,
    /// In the folder, for whoever listens to it. Bytes are dear then: of an hour's picture nothing is needed.
    Here,
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
    to: Place,
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
        if self.to == Place::Here {
            return tokio::fs::rename(path, self.folder.join(name)).await.map_err(passing);
        }
        let key = keys::work_object(&self.job.id, name);
        self.app.objects()?.put_file(&key, path, "application/octet-stream").await?;
        tokio::fs::remove_file(path).await.map_err(passing)
    }
}
