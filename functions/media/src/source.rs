//! What a job's source turns out to be, once it is opened. Each kind is fetched by a module of its own in `download`.

use domain::{
    ids::{AccountId, FileId},
    job::{Failure, Job},
    quality::Format,
    source::Location,
};
use runtime::{App, StageError};
use sources::{Container, Limits, RemoteFile, SourceError, sniff};
use store::keys;

use crate::{
    job::passing,
    stream::{self, Stream, Wish},
};

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
    pub(crate) async fn open(app: &App, job: &Job, limits: Limits) -> Result<Self, StageError> {
        let Location::Url(url) = job.spec.location() else {
            return Ok(Self::File(open_file(app, job, limits).await?));
        };
        let format = job.spec.format();
        let wish = Wish {
            quality: job.spec.quality(),
            video: format.has_picture(),
            audio: format != Format::Gif,
            sound: job.spec.audio().cloned(),
        };
        Self::open_url(app, url, limits, wish).await
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

/// Opens the one file that a job's location names.
///
/// # Errors
/// [`StageError::Job`] if it cannot be had.
pub(crate) async fn open_file(app: &App, job: &Job, limits: Limits) -> Result<RemoteFile, StageError> {
    match job.spec.location() {
        Location::Url(url) => Ok(app.sources(limits)?.open(url).await?),
        Location::Upload(id) => open_upload(app, &job.account, id, limits).await,
    }
}

/// Opens an upload, which must still be what was looked at.
pub(crate) async fn open_upload(
    app: &App,
    account: &AccountId,
    id: &FileId,
    limits: Limits,
) -> Result<RemoteFile, StageError> {
    let upload = app.table()?.upload(account, id).await?;
    let Some(upload) = upload else { return Err(lost("The upload has expired.")) };
    match open_stored(app, account, id, limits).await {
        Ok(file) if file.validator() == upload.version.as_deref() => Ok(file),
        Ok(_) => Err(lost("The upload was replaced after it had been checked.")),
        Err(StageError::Passing(_)) if upload.expires_at <= app.now() => Err(lost("The upload has expired.")),
        Err(error) => Err(error),
    }
}

/// Opens what is stored of an upload, by a link that is signed for the purpose. That our own bucket does not answer is
/// no fault of the file's.
pub(crate) async fn open_stored(
    app: &App,
    account: &AccountId,
    id: &FileId,
    limits: Limits,
) -> Result<RemoteFile, StageError> {
    let key = keys::upload_object(account, id);
    let link = app.objects()?.link(&key).await?;
    app.own_files(limits)?.open_as(&link, &format!("upload:{key}")).await.map_err(|error| match error {
        SourceError::Unavailable(_) | SourceError::Stalled | SourceError::Incomplete => passing(error),
        error => error.into(),
    })
}

fn lost(what: &str) -> StageError {
    let message = format!("{what} Upload the file again. You were not charged.");
    StageError::Job(Failure { code: "source_unavailable".to_owned(), message })
}
