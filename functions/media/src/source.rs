//! What a job's source turns out to be, once it is opened. Each kind is fetched by a module of its own in `download`.

use domain::{quality::Format, spec::Spec};
use runtime::{App, StageError};
use sources::{Container, Limits, RemoteFile, sniff};

use crate::stream::{self, Stream, Wish};

/// A source that answered.
#[allow(clippy::large_enum_variant)] // there is one at a time
pub(crate) enum Source {
    /// One file that holds all of it.
    File(RemoteFile),
    /// The picture in one file, the sound in another.
    Pair { video: RemoteFile, audio: RemoteFile },
    /// Segments that a playlist names.
    Stream(Box<Stream>),
}

impl Source {
    /// Opens the source of a job.
    ///
    /// # Errors
    /// [`StageError::Job`] if it cannot be had.
    pub(crate) async fn open(app: &App, spec: &Spec, limits: Limits) -> Result<Self, StageError> {
        let format = spec.format();
        let wish =
            Wish { quality: spec.quality(), video: format.has_picture(), audio: format != Format::Gif };
        Self::open_url(app, spec.url(), limits, wish).await
    }

    /// Opens the source at `url`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) async fn open_url(
        app: &App,
        url: &str,
        limits: Limits,
        wish: Wish,
    ) -> Result<Self, StageError> {
        let client = app.sources(limits)?;
        let file = client.open(url).await?;
        match sniff(file.head()) {
            Container::HlsPlaylist | Container::DashManifest => {
                Ok(stream::open((client, limits), file, wish).await?)
            }
            _ => Ok(Self::File(file)),
        }
    }

    /// Bytes read of it so far.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::File(file) => file.traffic().bytes(),
            Self::Pair { video, audio } => video.traffic().bytes() + audio.traffic().bytes(),
            Self::Stream(stream) => stream.bytes(),
        }
    }
}
