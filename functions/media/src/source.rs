//! What a job's source turns out to be, once it is opened. Each kind is fetched by a module of its own in `download`.

use domain::spec::Spec;
use runtime::{App, StageError};
use sources::{Limits, RemoteFile};

/// A source that answered.
pub(crate) enum Source {
    /// One file that holds all of it.
    File(RemoteFile),
}

impl Source {
    /// Opens the source of a job.
    ///
    /// # Errors
    /// [`StageError::Job`] if it cannot be had.
    pub(crate) async fn open(app: &App, spec: &Spec, limits: Limits) -> Result<Self, StageError> {
        Ok(Self::File(app.sources(limits)?.open(spec.url()).await?))
    }

    /// Bytes read of it so far.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.traffic().bytes(),
        }
    }
}
