//! Sweep: once a minute, look after jobs that should have moved on, tell of clips that expire soon and clear away those
//! that have, and delete files that a change of a clip has left behind.
//!
//! It proves that every job ends, every clip goes and no file stays: whatever crashed, what is left to do is in the
//! `open` index with a time at which the sweeper looks at it.
//!
//! Jobs that should have moved on are those that were accepted but never started, wait in vain, are overdue, or whose
//! execution is gone.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use domain::{
    ids::{AccountId, JobId},
    job::{Failure, Job, Status},
    time::Timestamp,
};
use runtime::{
    App, Execution, Metric, StageError,
    sweep::{Budget, sweep, sweep_by},
};
use store::{Table, objects::Objects};
use tracing::{error, warn};

use crate::end::fail;

/// Each waiting job moves in the index, where all of them lie in one partition, which takes about 500 of these a second.
const WAITING_AT_ONCE: usize = 3;
/// How long a job that was set going again is left alone.
const LOOK_AGAIN_MS: i64 = 60_000;
/// A job that is due for this long, through several sweeps, is one that could not be looked after.
const OVERDUE_MS: i64 = 5 * 60_000;

/// Looks after what is overdue, each kind on its own, as long as there is time; reports in any case.
///
/// # Errors
/// [`StageError::Passing`] if a kind cannot be listed, or the report cannot be made.
pub async fn handle(app: Arc<App>) -> Result<(), StageError> {
    let (app, budget, now) = (&*app, Budget::of(&app), app.now());
    let (table, objects) = (app.table()?, app.objects()?);
    let waiting = &Waiting::since(now);
    let look = |id: JobId| async move {
        if let Err(problem) = look_after(app, waiting, &id).await {
            error!(job_id = %id, %problem, "could not be looked after");
        }
    };
    let look_at_waiting = |id: JobId| async move {
        match wake(app, waiting, &id).await {
            Ok(true) => {}
            // It has its slot by now.
            Ok(false) => look(id).await,
            Err(problem) => error!(job_id = %id, %problem, "could not be woken"),
        }
    };
    let swept: [Result<(), StageError>; 4] = tokio::join!(
        sweep("job", budget, |from| table.due_jobs(now, from), look),
        sweep_by(
            WAITING_AT_ONCE,
            "waiting job",
            budget,
            |from| table.due_waiting(now, from),
            look_at_waiting
        ),
        sweep("chore", budget, |from| table.due_chores(now, from), |chore| carry_out(table, objects, chore)),
        sweep(
            "clip",
            budget,
            |from| table.due_clips(now, from),
            |id| look_after_clip(app, table, objects, id)
        ),
    )
    .into();
    report(app, waiting.longest_since()).await?;
    swept.into_iter().collect()
}

/// What was found out about jobs that wait for a slot.
struct Waiting {
    /// Since when the one waits that waits longest.
    since: Mutex<Timestamp>,
    /// Whose jobs `dispatch` was woken for: once is enough for all that wait.
    woken: Mutex<HashSet<AccountId>>,
}

impl Waiting {
    fn since(now: Timestamp) -> Self {
        Self { since: Mutex::new(now), woken: Mutex::default() }
    }

    /// Notes a job. Whether its account's `dispatch` is still to be woken.
    fn note(&self, job: &Job) -> bool {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = job.created_at.min(*since);
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).insert(job.account.clone())
    }

    fn longest_since(&self) -> Timestamp {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn carry_out(table: &Table, objects: &Objects, chore: String) {
    match table.carry_out(&chore, objects).await {
        Ok(()) => warn!(chore, "carried out what a request left undone"),
        Err(problem) => error!(chore, %problem, "could not be carried out"),
    }
}

async fn look_after_clip(app: &App, table: &Table, objects: &Objects, id: JobId) {
    let done = match table.clear_clip(&id, objects, app.now()).await {
        // It is still there: then its end is near.
        Ok(false) => table.warn_of_expiry(&id, app.now()).await,
        done => done,
    };
    if let Err(problem) = done {
        error!(clip_id = %id, %problem, "could not be looked after");
    }
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

async fn look_after(app: &App, waiting: &Waiting, id: &JobId) -> Result<(), StageError> {
    // The index lags behind: only the job itself tells whether it is still open and due.
    let job = app.table()?.job(id).await?;
    let job = job.filter(|job| !job.status.is_final() && job.due_at < app.now());
    let Some(job) = job else { return Ok(()) };
    if job.has_slot { see_to_its_execution(app, &job).await } else { wake(app, waiting, id).await.map(drop) }
}

/// Has a waiting job started if there is a slot for it. `false` if it does not wait, or is not due.
async fn wake(app: &App, waiting: &Waiting, id: &JobId) -> Result<bool, StageError> {
    let now = app.now();
    let waits = app.table()?.put_off_waiting(id, now, now.plus_ms(LOOK_AGAIN_MS)).await?;
    let Some(job) = waits else { return Ok(false) };
    if waiting.note(&job) {
        app.wake_dispatch(&job.account).await?;
    }
    Ok(true)
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
