//! What every stage of a job does: open the job, and tell how far it has come while it works.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use domain::{
    ids::JobId,
    job::{Job, Status},
};
use serde_json::Value;
use store::StoreError;
use tracing::warn;

use crate::{App, StageError};

/// How often progress is written: at most one write a second.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The job that `{job_id}` names, which must not have ended.
///
/// # Errors
/// [`StageError::Ended`], [`StageError::Passing`].
pub async fn open_job(app: &App, input: &Value) -> Result<Job, StageError> {
    let id = input.get("job_id").and_then(Value::as_str).and_then(JobId::parse);
    let id = id.ok_or_else(|| StageError::Passing("the input names no job".to_owned()))?;
    let job = app.table()?.job(&id).await?.ok_or(StoreError::NotFound)?;
    if job.status.is_final() { Err(StageError::Ended) } else { Ok(job) }
}

/// Does `work` and reports its progress, `fraction` from 0 to 1, once a second. The work is dropped when the job
/// ends meanwhile.
///
/// # Errors
/// [`StageError::Ended`], and what the work says.
pub async fn reporting<T>(
    app: &App,
    id: &JobId,
    status: Status,
    fraction: impl Fn() -> f64,
    work: impl Future<Output = Result<T, StageError>>,
) -> Result<T, StageError> {
    reporting_through(app, id, status, status, fraction, work).await
}

/// As [`reporting`], for work that is all there is to do up to the end of status `last`.
///
/// # Errors
/// As [`reporting`].
pub async fn reporting_through<T>(
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

/// A fraction that one task sets and another reads.
#[derive(Debug, Default)]
pub struct Fraction(AtomicU64);

impl Fraction {
    /// Sets it.
    pub fn set(&self, fraction: f64) {
        self.0.store(fraction.to_bits(), Ordering::Relaxed);
    }

    /// What it is now.
    #[must_use]
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_progress_that_cannot_be_written_stops_nobody() {
        let fails = || async { Err(StageError::Passing("the table does not answer".to_owned())) };
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
        let failed =
            watched(|| async { Ok(true) }, async { Err::<(), _>(StageError::Passing("broken".to_owned())) })
                .await;
        assert!(matches!(failed, Err(StageError::Passing(_))));
    }
}
