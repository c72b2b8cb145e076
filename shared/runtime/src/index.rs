//! The index of a remote file.

use bytes::Bytes;
use media::mp4::{Index, IndexError, Part, ReadAt};
use sources::{Container, RemoteFile, SourceError, sniff};

/// A remote file as the index reader sees it.
struct Remote<'a> {
    file: &'a RemoteFile,
    len: u64,
}

impl<'a> Remote<'a> {
    /// `None` if the server does not tell the file's length.
    fn new(file: &'a RemoteFile) -> Option<Self> {
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

/// As much of the index of a remote file as `part` needs; `Ok(None)` if the file has to be fetched whole to be understood.
///
/// # Errors
/// [`SourceError`], also for a file that is damaged.
pub async fn read_index(file: &RemoteFile, part: Part) -> Result<Option<Index>, SourceError> {
    must_be_media(file)?;
    if sniff(file.head()) != Container::IsoBmff {
        return Ok(None);
    }
    let Some(remote) = Remote::new(file) else { return Ok(None) };
    match Index::read_part(&remote, part).await {
        Ok(index) => Ok(Some(index)),
        Err(IndexError::NotIsoBmff | IndexError::Unsupported(_)) => Ok(None),
        Err(IndexError::Read(error)) => Err(error),
        Err(IndexError::Truncated { .. }) => Err(SourceError::Incomplete),
        Err(error @ IndexError::Malformed(_)) => Err(SourceError::NotMedia(error.to_string())),
    }
}

fn must_be_media(file: &RemoteFile) -> Result<(), SourceError> {
    let problem = match sniff(file.head()) {
        Container::IsoBmff | Container::Other => return Ok(()),
        Container::HlsPlaylist => "it is an HLS playlist; give the address of a video file",
        Container::WebPage => "it is a web page; give the address of the video file itself",
        Container::Text => "it is a text file",
        Container::Empty => "the file is empty",
    };
    Err(SourceError::NotMedia(problem.to_owned()))
}
