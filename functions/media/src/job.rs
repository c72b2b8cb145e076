//! What the stages of a job share: the job itself, its progress, and room to work.

use domain::{ids::JobId, job::Failure};
use runtime::{App, StageError};
use tempfile::TempDir;
use tracing::warn;

pub(crate) use runtime::progress::{Fraction, open_job, reporting, reporting_through};

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
