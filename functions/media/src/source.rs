//! What a job's source turns out to be, once it is opened. Each kind is fetched by a module of its own in `download`.

use domain::job::Job;
use runtime::{App, StageError};
use sources::{Limits, RemoteFile};

use crate::page;

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
    pub(crate) async fn open(app: &App, job: &Job, limits: Limits) -> Result<Self, StageError> {
        if job.source.is_page {
            let (source, bytes) = page::open(app, &job.spec, limits).await?;
            app.table()?.add_bytes_read(&job.id, bytes).await?.ok_or(StageError::Ended)?;
            return Ok(source);
        }
        Ok(Self::File(app.sources(limits)?.open(job.spec.url()).await?))
    }

    /// Bytes read of it so far.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.traffic().bytes(),
            Self::Pair { video, audio } => video.traffic().bytes() + audio.traffic().bytes(),
        }
    }
}
