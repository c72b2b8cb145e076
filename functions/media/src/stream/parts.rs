//! Parts of files: byte ranges that a playlist names, and the beginnings of segments.

use std::{io::SeekFrom, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use sources::{RemoteFile, SourceError};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::Mutex,
};

/// A file of which parts are read, in any order.
pub(super) enum Parts {
    Ranges(RemoteFile),
    /// Its server gives it from front to end only.
    Forward(Mutex<Spool>),
}

impl Parts {
    pub(super) fn new(file: RemoteFile) -> Result<Self, SourceError> {
        if file.serves_ranges() {
            return Ok(Self::Ranges(file));
        }
        let kept = File::from_std(tempfile::tempfile().map_err(|error| lost(&error))?);
        Ok(Self::Forward(Mutex::new(Spool { file, kept, len: 0 })))
    }

    /// Length in bytes, where the server told it.
    async fn len(&self) -> Option<u64> {
        match self {
            Self::Ranges(file) => file.len(),
            Self::Forward(spool) => spool.lock().await.file.len(),
        }
    }

    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        match self {
            Self::Ranges(file) => file.read(range).await,
            Self::Forward(spool) => spool.lock().await.read(range).await,
        }
    }
}

/// A file that comes from front to end, and as much of it as has come: what is read twice is asked for once.
pub(super) struct Spool {
    file: RemoteFile,
    kept: File,
    len: u64,
}

impl Spool {
    async fn read(&mut self, range: Range<u64>) -> Result<Bytes, SourceError> {
        if range.end > self.len {
            self.kept.seek(SeekFrom::Start(self.len)).await.map_err(|error| lost(&error))?;
            self.file.copy(self.len..range.end, &mut self.kept).await?;
            self.len = range.end;
        }
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let mut bytes = BytesMut::zeroed(len);
        self.kept.seek(SeekFrom::Start(range.start)).await.map_err(|error| lost(&error))?;
        self.kept.read_exact(&mut bytes).await.map_err(|error| lost(&error))?;
        Ok(bytes.freeze())
    }
}

fn lost(error: &std::io::Error) -> SourceError {
    SourceError::Unavailable(format!("it could not be stored: {error}"))
}

/// The beginning of a segment, as much of it as was asked for so far.
pub(crate) struct Front {
    /// Where more of it is, from what is here on.
    rest: Option<(Arc<Parts>, Range<u64>)>,
    bytes: BytesMut,
}

impl Front {
    /// All of a segment that is here.
    pub(super) fn all(bytes: &[u8]) -> Self {
        Self { rest: None, bytes: bytes.into() }
    }

    /// The beginning of `range` of a file, or of the whole; `None` if its length is not known.
    pub(super) async fn of(file: Arc<Parts>, range: Option<Range<u64>>) -> Option<Self> {
        let range = match range {
            Some(range) => range,
            None => 0..file.len().await?,
        };
        Some(Self { rest: Some((file, range)), bytes: BytesMut::new() })
    }

    /// The first `len` bytes, or all if there are fewer; and whether these are all.
    pub(crate) async fn read(&mut self, len: u64) -> Result<(&[u8], bool), SourceError> {
        let wanted = len.saturating_sub(self.bytes.len() as u64);
        if let Some((file, rest)) = &mut self.rest {
            let until = rest.end.min(rest.start.saturating_add(wanted));
            if rest.start < until {
                self.bytes.extend_from_slice(&file.read(rest.start..until).await?);
                rest.start = until;
            }
        }
        let is_all = self.rest.as_ref().is_none_or(|(_, rest)| rest.is_empty());
        Ok((&self.bytes, is_all))
    }
}
