//! Download: fetch just the bytes that the cut needs, once, into the work prefix.
//!
//! For an MP4 file these are the samples of the span, under a small `moov` of their own, so that ffmpeg later reads
//! an ordinary local file. A source that has to be fetched whole (another container, a server without ranges) is;
//! if it turns out to be an MP4 file, only its span goes on.

use std::{path::Path, sync::Arc, time::Duration};

use domain::{
    cut::Span,
    job::{Job, Status},
    quality::Format,
    time::MediaTime,
};
use media::mp4::{Index, LocalFile, Part, ReadAt, SpanError, SpanFile, Wanted};
use runtime::{App, StageError, read_index};
use serde_json::{Value, json};
use sources::{Container, Limits, RemoteFile, sniff};
use store::keys;
use tokio::{fs::File, io::AsyncWriteExt};
use tracing::info;

use crate::{
    job::{open_job, passing, reporting, scratch, unsupported},
    work::{self, PLAN, Plan, SOURCE},
};

/// A source may pause for 20 s; S3 takes 5 GB in one PUT, and a function's disk has 10 GB.
const LIMITS: Limits = Limits { silence: Duration::from_secs(20), bytes_max: 5_000_000_000 };
/// How much of a local file is copied at once.
const COPY_CHUNK: u64 = 4 << 20;

/// Fetches the span of job `{job_id}`; answers the segments to process.
///
/// # Errors
/// [`StageError::Job`] if the source cannot be fetched or has nothing in the span.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let folder = scratch()?;
    let path = folder.path().join("source");
    let file = app.sources(LIMITS)?.open(&job.spec.url).await?;
    let traffic = file.traffic().clone();
    let expected = Expected::default();
    let fraction = || expected.fraction(traffic.bytes());
    let plan =
        reporting(&app, &job.id, Status::Downloading, fraction, fetch(&app, &job, &file, &path, &expected))
            .await?;
    info!(bytes = traffic.bytes(), origin_us = plan.origin.0, "fetched");
    let table = app.table()?;
    table.set_bytes_read(&job.id, traffic.bytes()).await?;
    app.objects()?.put_file(&keys::work_object(&job.id, SOURCE), &path, "application/octet-stream").await?;
    work::put(&app, &job.id, PLAN, &plan).await?;
    Ok(json!({ "job_id": job.id, "segments": [0] }))
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

async fn fetch(
    app: &App,
    job: &Job,
    file: &RemoteFile,
    path: &Path,
    expected: &Expected,
) -> Result<Plan, StageError> {
    if file.serves_ranges()
        && let Some(index) = read_index(Some(app.objects()?), file, Part::Span(job.spec.span)).await?
        && let Some(small) = plan_span(&index, job.spec.span, job.spec.format)?
    {
        expected.set(file.traffic().bytes() + small.bytes_total);
        let mut sink = create(path).await?;
        sink.write_all(&small.header).await.map_err(passing)?;
        for range in &small.ranges {
            file.copy(range.clone(), &mut sink).await?;
        }
        sink.flush().await.map_err(passing)?;
        return Ok(Plan { origin: small.origin });
    }
    expected.set(file.len().unwrap_or_default());
    fetch_whole(job, file, path).await
}

async fn fetch_whole(job: &Job, file: &RemoteFile, path: &Path) -> Result<Plan, StageError> {
    let whole = path.with_extension("whole");
    let mut sink = create(&whole).await?;
    file.copy_all(&mut sink).await?;
    sink.flush().await.map_err(passing)?;
    drop(sink);
    if sniff(file.head()) == Container::IsoBmff {
        let local = LocalFile::open(&whole).map_err(passing)?;
        if let Ok(index) = Index::read(&local).await
            && let Some(small) = plan_span(&index, job.spec.span, job.spec.format)?
        {
            assemble(&local, &small, path).await.map_err(passing)?;
            return Ok(Plan { origin: small.origin });
        }
    }
    tokio::fs::rename(&whole, path).await.map_err(passing)?;
    Ok(Plan { origin: MediaTime::ZERO })
}

/// The bytes that the clip needs; `None` if the file has to be taken whole.
fn plan_span(index: &Index, span: Span, format: Format) -> Result<Option<SpanFile>, StageError> {
    let wanted = Wanted { video: format.has_picture(), audio: format != Format::Gif };
    match SpanFile::plan(index, span, wanted) {
        Ok(plan) => Ok(Some(plan)),
        Err(SpanError::Unsupported(_)) => Ok(None),
        Err(SpanError::NoFrame) => Err(unsupported(format!(
            "The source shows no new picture between {} and {}; choose a longer span.",
            span.start, span.end
        ))),
        Err(SpanError::Nothing) => {
            Err(unsupported(format!("The source has nothing between {} and {}.", span.start, span.end)))
        }
    }
}

async fn assemble(local: &LocalFile, small: &SpanFile, path: &Path) -> std::io::Result<()> {
    let mut sink = File::create(path).await?;
    sink.write_all(&small.header).await?;
    for range in &small.ranges {
        let mut at = range.start;
        while at < range.end {
            let len = COPY_CHUNK.min(range.end - at);
            sink.write_all(&local.read_at(at, len).await?).await?;
            at += len;
        }
    }
    sink.flush().await
}

async fn create(path: &Path) -> Result<File, StageError> {
    File::create(path).await.map_err(passing)
}
