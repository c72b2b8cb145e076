//! The net below the state machine: executions that failed, timed out or were stopped without reaching Release.
//! EventBridge tells of each of them through a queue.

use std::sync::Arc;

use domain::{ids::JobId, job::Failure};
use runtime::{App, StageError};
use serde::Deserialize;
use tracing::warn;

use crate::end::fail;

/// An execution's change of status
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html>).
#[derive(Deserialize)]
struct StatusChange {
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    /// The execution's name, which is the job's id.
    name: String,
    status: String,
}

/// Releases the job of an execution that has ended badly. Most of them were released by the machine itself; then
/// nothing changes.
///
/// # Errors
/// [`StageError::Passing`] only: the message comes again, and in the end lies in the dead-letter queue.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    let change: StatusChange =
        serde_json::from_str(&message).map_err(|error| StageError::Passing(error.to_string()))?;
    let Detail { name, status } = change.detail;
    let Some(id) = JobId::parse(&name) else {
        warn!(name, status, "an execution that is no job's");
        return Ok(());
    };
    app.about(&id);
    match app.table()?.job(&id).await? {
        Some(job) => fail(&app, &job, Failure::internal(), false).await,
        None => Ok(()),
    }
}
