//! The index of a remote file, and the copy that is kept of it.
//!
//! What was read of an index is kept for a day under the file's URL, validator and length, so that neither the job nor
//! the next clip of the same video reads it again. The copy only saves reads: without it, or without S3, everything
//! works the same. Nobody gets at it who cannot open the file, and who opens it is told its version by its server.

use bytes::Bytes;
use domain::tracks::AudioWish;
use media::mp4::{Index, IndexError, Part, Pieces, ReadAt, Remembering, TextTrack, text_tracks};
use runtime::time_limits;
use sources::{Container, RemoteFile, SourceError, sniff};
use store::{StoreError, keys, objects::Objects};
use tracing::{info, warn};

/// A remote file as the index reader sees it.
pub struct Remote<'a> {
    file: &'a RemoteFile,
    len: u64,
}

impl<'a> Remote<'a> {
    /// `None` if the server does not tell the file's length.
    #[must_use]
    pub fn new(file: &'a RemoteFile) -> Option<Self> {
        file.len().map(|len| Self { file, len })
    }
}

impl ReadAt for Remote<'_> {
    type Error = SourceError;

    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, SourceError> {
        self.file.read(offset..offset.saturating_add(len)).await
    }
}

/// As much of the index of a remote file as `part` needs, from the copy in `objects` where it is kept; `Ok(None)` if the file has to be fetched whole to be understood.
///
/// # Errors
/// [`SourceError`], also for a file that is damaged.
pub async fn read_index(
    objects: Option<&Objects>,
    file: &RemoteFile,
    part: Part,
) -> Result<Option<Index>, SourceError> {
    read_index_for(objects, file, part, None).await
}

/// As [`read_index`], with the sound that `wish` names.
///
/// # Errors
/// As [`read_index`].
pub async fn read_index_for(
    objects: Option<&Objects>,
    file: &RemoteFile,
    part: Part,
    wish: Option<&AudioWish>,
) -> Result<Option<Index>, SourceError> {
    must_be_media(file)?;
    if sniff(file.head()) != Container::IsoBmff {
        return Ok(None);
    }
    let Some(remote) = Remote::new(file) else { return Ok(None) };
    let kept = objects.and_then(|objects| Kept::of(objects, file));
    let known = match &kept {
        Some(kept) => kept.load(remote.len()).await,
        None => Pieces::new(remote.len()),
    };
    let known_bytes = known.bytes();
    let source = Remembering::new(&remote, known);
    let read = Index::read_for(&source, part, wish).await;
    let pieces = source.into_pieces();
    info!(known = known_bytes, bytes = pieces.bytes(), "index read");
    match read {
        Ok(index) if index.is_protected() => Err(protected()),
        Ok(index) => {
            if let Some(kept) = kept.filter(|_| pieces.bytes() > known_bytes) {
                kept.store(&pieces).await;
            }
            Ok(Some(index))
        }
        Err(IndexError::NotIsoBmff | IndexError::Unsupported(_)) => Ok(None),
        Err(IndexError::Read(error)) => Err(error),
        Err(IndexError::Truncated { .. }) => Err(SourceError::Incomplete),
        Err(error @ IndexError::Malformed(_)) => Err(SourceError::NotMedia(error.to_string())),
    }
}

/// The text tracks of a remote MP4 file, as far as they can be read, from the kept copy of its index if there is one.
///
/// # Errors
/// [`SourceError`].
pub async fn read_text_tracks(
    objects: Option<&Objects>,
    file: &RemoteFile,
) -> Result<Vec<TextTrack>, SourceError> {
    let Some(remote) = Remote::new(file) else { return Ok(Vec::new()) };
    let kept = objects.and_then(|objects| Kept::of(objects, file));
    let known = match &kept {
        Some(kept) => kept.load(remote.len()).await,
        None => Pieces::new(remote.len()),
    };
    match text_tracks(&Remembering::new(&remote, known)).await {
        Ok(tracks) => Ok(tracks),
        Err(IndexError::Read(error)) => Err(error),
        Err(_) => Ok(Vec::new()),
    }
}

/// What is told of a file that only plays with a key.
#[must_use]
pub fn protected() -> SourceError {
    SourceError::Unsupported("it is protected (DRM); only files without protection can be cut".to_owned())
}

fn must_be_media(file: &RemoteFile) -> Result<(), SourceError> {
    let problem = match sniff(file.head()) {
        // What a playlist leads to is `media.probe`'s to tell.
        Container::IsoBmff | Container::Other | Container::HlsPlaylist | Container::DashManifest => {
            return Ok(());
        }
        Container::WebPage => "it is a web page; give the address of the video file itself",
        Container::Text => "it is a text file",
        Container::Empty => "the file is empty",
    };
    Err(SourceError::NotMedia(problem.to_owned()))
}

/// Where the copy of a file's index lies.
struct Kept<'a> {
    objects: &'a Objects,
    key: String,
}

impl<'a> Kept<'a> {
    /// `None` for a file whose versions cannot be told apart, or that is read from front to end anyway.
    fn of(objects: &'a Objects, file: &RemoteFile) -> Option<Self> {
        let version = file.version().filter(|_| file.serves_ranges())?;
        Some(Self { objects, key: keys::index_object(&version) })
    }

    async fn load(&self, source_len: u64) -> Pieces {
        let object =
            match tokio::time::timeout(time_limits::KEPT_INDEX, self.objects.get_bytes(&self.key)).await {
                Ok(Ok(object)) => Pieces::decode(&object.into(), source_len),
                Ok(Err(StoreError::NotFound)) => None,
                // S3 says "denied" instead of "not found" to those who may not list the bucket.
                Ok(Err(problem)) => {
                    info!(%problem, "no kept index");
                    None
                }
                Err(_) => {
                    warn!("the kept index did not come in time");
                    None
                }
            };
        object.unwrap_or_else(|| Pieces::new(source_len))
    }

    async fn store(&self, pieces: &Pieces) {
        let Some(object) = pieces.encode() else { return };
        let put = self.objects.put_bytes(&self.key, object, "application/octet-stream");
        match tokio::time::timeout(time_limits::KEPT_INDEX, put).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => warn!(%problem, "the index is not kept"),
            Err(_) => warn!("the index could not be kept in time"),
        }
    }
}
