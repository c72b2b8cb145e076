//! A walk over the top-level boxes of a source with as few reads as possible.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};

use super::{
    boxes::{FourCc, Header},
    index::IndexError,
    read::ReadAt,
};

/// The first read, and the size of each look behind a big box. The `moov` of half a minute fits into it; a larger one
/// costs a second read, but its bytes only once.
pub(super) const HEAD_LEN: u64 = 16 << 10;

/// How many boxes one walk looks at.
const BOXES_MAX: u32 = 4096;

/// A source that allows so many reads and no more: whatever its boxes say, an index is read in bounded time.
pub(super) struct Bounded<'a, S> {
    source: &'a S,
    reads_left: AtomicU32,
}

impl<'a, S: ReadAt> Bounded<'a, S> {
    pub(super) fn new(source: &'a S) -> Self {
        Self { source, reads_left: AtomicU32::new(source.reads_max()) }
    }

    pub(super) fn len(&self) -> u64 {
        self.source.len()
    }

    pub(super) async fn read_at(&self, at: u64, len: u64) -> Result<Bytes, IndexError<S::Error>> {
        let take = |left: u32| left.checked_sub(1);
        if self.reads_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return Err(IndexError::Unsupported("the index lies in too many places"));
        }
        self.source.read_at(at, len).await.map_err(IndexError::Read)
    }
}

/// A top-level box.
pub(super) struct Place {
    pub(super) kind: FourCc,
    /// Where it begins.
    pub(super) at: u64,
    /// Where its body begins.
    pub(super) body: u64,
    /// The first byte behind it.
    pub(super) end: u64,
}

/// A walk with one window of the source in memory.
pub(super) struct Walk<'a, S> {
    source: &'a Bounded<'a, S>,
    window: Bytes,
    window_at: u64,
    /// Where the next box begins.
    at: u64,
    /// The walk ends here.
    end: u64,
    boxes_left: u32,
    /// How much is read at least.
    pub(super) ahead: u64,
}

impl<'a, S: ReadAt> Walk<'a, S> {
    /// A walk over the boxes between two places of the source.
    pub(super) const fn new(source: &'a Bounded<'a, S>, at: u64, end: u64, ahead: u64) -> Self {
        let window = Bytes::new();
        Self { source, window, window_at: 0, at, end, boxes_left: BOXES_MAX, ahead }
    }

    /// Length of the source in bytes.
    pub(super) fn present(&self) -> u64 {
        self.source.len()
    }

    /// The next box; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Place>, IndexError<S::Error>> {
        let (at, left) = (self.at, self.end.saturating_sub(self.at));
        if left < 8 {
            return Ok(None);
        }
        self.boxes_left =
            self.boxes_left.checked_sub(1).ok_or(IndexError::Unsupported("the file has too many boxes"))?;
        let header = Header::read(&self.bytes(at, left.min(16)).await?)?;
        let len = header.box_len.unwrap_or(left);
        let end = at.checked_add(len).ok_or(IndexError::Malformed("a box is absurdly long"))?;
        if end > self.source.len() {
            return Err(IndexError::Truncated { needed: end, present: self.source.len() });
        }
        self.at = end;
        Ok(Some(Place { kind: header.kind, at, body: at + header.header_len, end }))
    }

    /// The body of a box.
    pub(super) async fn body(&mut self, place: &Place) -> Result<Bytes, IndexError<S::Error>> {
        self.bytes(place.body, place.end.saturating_sub(place.body)).await
    }

    /// `len` bytes from `at` on, from the window if they are there.
    pub(super) async fn bytes(&mut self, at: u64, len: u64) -> Result<Bytes, IndexError<S::Error>> {
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at.saturating_add(len) > window_end {
            // The part of a large moov that is already here is not read again.
            let have = at.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
            let kept = have.filter(|skip| *skip < self.window.len()).map(|skip| self.window.slice(skip..));
            let kept = kept.unwrap_or_default();
            let from = at + kept.len() as u64;
            let want = (len - kept.len() as u64).max(self.ahead).min(self.source.len() - from);
            let read = self.source.read_at(from, want).await?;
            self.window = if kept.is_empty() {
                read
            } else {
                let mut joined = BytesMut::with_capacity(kept.len() + read.len());
                joined.extend_from_slice(&kept);
                joined.extend_from_slice(&read);
                joined.freeze()
            };
            self.window_at = at;
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len));
        end.filter(|end| *end <= self.window.len())
            .map(|end| self.window.slice(start..end))
            .ok_or(IndexError::Malformed("the source gave fewer bytes than it has"))
    }
}
