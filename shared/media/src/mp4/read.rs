//! Where the bytes of a source come from.

use std::{fs::File, future::Future, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use bytes::Bytes;

/// A source that is read at any place: a file, or an HTTP server that serves ranges.
pub trait ReadAt {
    /// Why a read failed.
    type Error;

    /// Length of the source in bytes.
    fn len(&self) -> u64;

    /// Whether the source has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many reads an index may cost: a request to a server is dear, a look into a local file is not.
    fn reads_max(&self) -> u32 {
        200
    }

    /// Exactly `len` bytes from `offset` on; the caller stays within [`ReadAt::len`].
    ///
    /// # Errors
    /// Whatever kept the bytes away, an early end included: a short answer is never returned as success.
    fn read_at(&self, offset: u64, len: u64) -> impl Future<Output = Result<Bytes, Self::Error>> + Send;
}

/// A local file as a [`ReadAt`].
#[derive(Clone, Debug)]
pub struct LocalFile {
    file: Arc<File>,
    len: u64,
}

impl LocalFile {
    /// Opens `path` for reading.
    ///
    /// # Errors
    /// The operating system's, when the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), len })
    }
}

impl ReadAt for LocalFile {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.len
    }

    fn reads_max(&self) -> u32 {
        100_000
    }

    async fn read_at(&self, offset: u64, len: u64) -> io::Result<Bytes> {
        let file = Arc::clone(&self.file);
        let read = move || {
            let mut buffer = vec![0; usize::try_from(len).map_err(io::Error::other)?];
            file.read_exact_at(&mut buffer, offset)?;
            Ok(Bytes::from(buffer))
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }
}
