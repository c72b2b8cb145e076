//! What a job's source turns out to be, once it is opened. Each kind is fetched by a module of its own in `download`.

use domain::spec::Spec;
use runtime::{App, StageError};
use sources::{Limits, RemoteFile};

/// A source that answered.
#[allow(clippy::large_enum_variant)] // there is one at a time
pub(crate) enum Source {
    /// One file that holds all of it.
    File(RemoteFile),
    /// The picture in one file, the sound in another.
    Pair { video: RemoteFile, audio: RemoteFile },
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
            Self::Pair { video, audio } => video.traffic().bytes() + audio.traffic().bytes(),
        }
    }
}
