//! Sweep: once a minute, look after jobs that should have moved on, tell of clips that expire soon and clear away those
//! that have, and delete files that a change of a clip has left behind.
//!
//! It proves that every job ends, every clip goes and no file stays: whatever crashed, what is left to do is in the
//! `open` index with a time at which the sweeper looks at it.
//!
//! Jobs that should have moved on are those that were accepted but never started, wait in vain, are overdue, or whose
//! execution is gone.

use std::sync::Arc;

use domain::{
    ids::JobId,
    job::{Failure, Job, Status},
    time::Timestamp,
};
use runtime::{App, Execution, Metric, StageError};
use tracing::{error, warn};

use crate::end::fail;

/// Jobs looked at in one run; the rest waits a minute.
const JOBS_MAX: i32 = 100;
/// Clips told of or cleared away in one run. Until it is their turn they are expired all the same.
const CLIPS_MAX: i32 = 200;
/// Chores carried out in one run.
const CHORES_MAX: i32 = 100;
/// How long a job that was set going again is left alone.
const LOOK_AGAIN_MS: i64 = 60_000;
/// A job that is due for this long, through several sweeps, is one that could not be looked after.
const OVERDUE_MS: i64 = 5 * 60_000;

/// Looks after what is overdue. One job, clip or chore that fails does not keep the others from being looked after.
///
/// # Errors
/// [`StageError::Passing`] if they cannot be listed.
pub async fn handle(app: Arc<App>) -> Result<(), StageError> {
    let mut waits_since = app.now();
    for id in app.table()?.due_jobs(app.now(), JOBS_MAX).await? {
        match look_after(&app, &id).await {
            Ok(waiting) => waits_since = waits_since.min(waiting.unwrap_or(waits_since)),
            Err(problem) => error!(job_id = %id, %problem, "could not be looked after"),
        }
    }
    let (table, objects) = (app.table()?, app.objects()?);
    for chore in table.due_chores(app.now(), CHORES_MAX).await? {
        match table.carry_out(&chore, objects).await {
            Ok(()) => warn!(chore, "carried out what a request left undone"),
            Err(problem) => error!(chore, %problem, "could not be carried out"),
        }
    }
    for id in table.due_clips(app.now(), CLIPS_MAX).await? {
        let done = match table.clear_clip(&id, objects, app.now()).await {
            // It is still there: then its end is near.
            Ok(false) => table.warn_of_expiry(&id, app.now()).await,
            done => done,
        };
        if let Err(problem) = done {
            error!(clip_id = %id, %problem, "could not be looked after");
        }
    }
    report(&app, waits_since).await
}

/// Counts what is open after all this, and at last that somebody has swept.
async fn report(app: &App, waits_since: Timestamp) -> Result<(), StageError> {
    let (metrics, table, now) = (app.metrics(), app.table()?, app.now());
    metrics.add_ms(Metric::QueueAge, now.0 - waits_since.0);
    metrics.add(Metric::OpenHolds, table.open_jobs(None).await?);
    metrics.add(Metric::OverdueHolds, table.open_jobs(Some(now.plus_ms(-OVERDUE_MS))).await?);
    metrics.add(Metric::Sweeps.of("stages"), 1);
    Ok(())
}

/// Returns when the job began waiting for a slot; `None` if it does not wait.
async fn look_after(app: &App, id: &JobId) -> Result<Option<Timestamp>, StageError> {
    // The index lags behind: only the job itself tells whether it is still open and due.
    let job = app.table()?.job(id).await?;
    let job = job.filter(|job| !job.status.is_final() && job.due_at < app.now());
    let Some(job) = job else { return Ok(None) };
    if !job.has_slot {
        app.wake_dispatch(&job.account).await?;
        put_off(app, &job).await?;
        return Ok(Some(job.created_at));
    }
    see_to_its_execution(app, &job).await?;
    Ok(None)
}

async fn see_to_its_execution(app: &App, job: &Job) -> Result<(), StageError> {
    let id = &job.id;
    match app.execution(id).await? {
        // Accepted, but the start got lost.
        Execution::Unknown if job.status == Status::Pending => {
            warn!(job_id = %id, "starting it again");
            app.start_execution(id).await?;
            put_off(app, job).await
        }
        // Started, its Reserve has not run yet; or it has, and has used up its time.
        Execution::Running if job.status == Status::Pending => put_off(app, job).await,
        Execution::Running => {
            warn!(job_id = %id, "overdue, stopping it");
            app.stop_execution(id, "Overdue").await?;
            fail(app, job, Failure::timeout(), true).await
        }
        // Its execution is gone, and nobody ended the job.
        Execution::Ended | Execution::Unknown => {
            warn!(job_id = %id, "its execution is gone, releasing it");
            fail(app, job, Failure::internal(), true).await
        }
    }
}

async fn put_off(app: &App, job: &Job) -> Result<(), StageError> {
    app.table()?.set_due(&job.id, app.now().plus_ms(LOOK_AGAIN_MS)).await?;
    Ok(())
}
