//! What the stages of a job share: the job itself, its progress, and room to work.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::{
    ids::JobId,
    job::{Failure, Job, Status},
};
use runtime::{App, StageError};
use serde_json::Value;
use store::StoreError;
use tempfile::TempDir;
use tracing::warn;

/// How often progress is written: at most one write a second.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The job that `{job_id}` names, which must not have ended.
pub(crate) async fn open_job(app: &App, input: &Value) -> Result<Job, StageError> {
    let id = input.get("job_id").and_then(Value::as_str).and_then(JobId::parse);
    let id = id.ok_or_else(|| StageError::Passing("the input names no job".to_owned()))?;
    let job = app.table()?.job(&id).await?.ok_or(StoreError::NotFound)?;
    if job.status.is_final() { Err(StageError::Ended) } else { Ok(job) }
}

/// Does `work` and reports its progress, `fraction` from 0 to 1, once a second. The work is dropped when the job
/// ends meanwhile.
pub(crate) async fn reporting<T>(
    app: &App,
    id: &JobId,
    status: Status,
    fraction: impl Fn() -> f64,
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<T, StageError> {
    reporting_through(app, id, status, status, fraction, work).await
}

/// As [`reporting`], for work that is all there is to do up to the end of status `last`.
pub(crate) async fn reporting_through<T>(
    app: &App,
    id: &JobId,
    status: Status,
    last: Status,
    fraction: impl Fn() -> f64,
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<T, StageError> {
    let fraction = &fraction;
    let advance = || async move {
        let progress = status.progress_through(last, fraction());
        app.table()?.advance(id, status, progress, app.now()).await.map_err(StageError::from)
    };
    watched(advance, work).await
}

/// Does `work` and calls `advance` once a second, which tells whether the job is still open. That it fails to tell is no
/// reason to throw away what is done: whoever writes the outcome learns whether the job is still open.
async fn watched<T, F: Future<Output = Result<bool, StageError>>>(
    advance: impl Fn() -> F,
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<T, StageError> {
    let report = async {
        loop {
            match advance().await {
                Ok(true) => {}
                Ok(false) => return Err(StageError::Ended),
                Err(problem) => warn!(%problem, "the progress was not written"),
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    };
    // The first report, which shows the new status, comes before any work.
    tokio::select! {
        biased;
        ended = report => ended,
        done = work => done,
    }
}

/// Counts bytes of the source that were read, and tells how many all of the job's stages have read. As with progress, it
/// is no reason to stop that they could not be written down; then that is `None`.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended.
pub(crate) async fn count_read(app: &App, id: &JobId, bytes: u64) -> Result<Option<u64>, StageError> {
    match app.table()?.add_bytes_read(id, bytes).await {
        Ok(Some(all)) => Ok(Some(all)),
        Ok(None) => Err(StageError::Ended),
        Err(problem) => {
            warn!(%problem, bytes, "what was read of the source was not written down");
            Ok(None)
        }
    }
}

/// A fraction that one task sets and another reads.
#[derive(Default)]
pub(crate) struct Fraction(AtomicU64);

impl Fraction {
    pub(crate) fn set(&self, fraction: f64) {
        self.0.store(fraction.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// A directory of this invocation's own. It goes with the invocation, so that nothing fills up an environment that
/// Lambda uses again.
pub(crate) fn scratch() -> Result<TempDir, StageError> {
    tempfile::Builder::new().prefix("clipwright-").tempdir().map_err(passing)
}

/// A fault that may pass.
pub(crate) fn passing(error: impl std::fmt::Display) -> StageError {
    StageError::Passing(error.to_string())
}

/// The source is the reason; the owner is told.
pub(crate) fn unsupported(message: impl Into<String>) -> StageError {
    StageError::Job(Failure { code: "source_unsupported".to_owned(), message: message.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_progress_that_cannot_be_written_stops_nobody() {
        let fails = || async { Err(passing("the table does not answer")) };
        let work = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(7)
        };
        assert_eq!(watched(fails, work).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_job_that_has_ended_stops_its_work() {
        let work = std::future::pending::<Result<(), StageError>>();
        assert!(matches!(watched(|| async { Ok(false) }, work).await, Err(StageError::Ended)));
        let failed = watched(|| async { Ok(true) }, async { Err::<(), _>(passing("broken")) }).await;
        assert!(matches!(failed, Err(StageError::Passing(_))));
    }
}
