//! Bytes of a source that were read once and are kept, so that its index is not read again.
//!
//! A kept object is `CWPC`, a version byte, the source's length and how many pieces follow; for each piece its offset
//! and length (all numbers big-endian, 64 bits); then the pieces' bytes, one behind the other.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::read::ReadAt;

const MAGIC: &[u8; 5] = b"CWPC\x01";

/// The largest kept object in bytes. A film of three hours has an index of some 10 MiB.
const OBJECT_LEN_MAX: u64 = 32 << 20;

/// The most pieces of one: far more than one index is read in.
const PIECES_MAX: usize = 10_000;

/// Parts of a source, by where they begin. They do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Length of the source in bytes.
    source_len: u64,
    list: BTreeMap<u64, Bytes>,
}

impl Pieces {
    /// Nothing yet of a source of `source_len` bytes.
    #[must_use]
    pub const fn new(source_len: u64) -> Self {
        Self { source_len, list: BTreeMap::new() }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.list.values().map(|piece| piece.len() as u64).sum()
    }

    /// The piece that holds byte `at`.
    fn around(&self, at: u64) -> Option<(u64, &Bytes)> {
        let (start, piece) = self.list.range(..=at).next_back()?;
        (at - start < piece.len() as u64).then_some((*start, piece))
    }

    /// `len` bytes from `offset` on, if all of them are here.
    #[must_use]
    pub fn get(&self, offset: u64, len: u64) -> Option<Bytes> {
        let (mut at, end) = (offset, offset.checked_add(len)?);
        let mut joined = BytesMut::new();
        while at < end {
            let (start, piece) = self.around(at)?;
            let until = end.min(start + piece.len() as u64);
            let part = piece.slice(usize::try_from(at - start).ok()?..usize::try_from(until - start).ok()?);
            if at == offset && until == end {
                return Some(part);
            }
            joined.extend_from_slice(&part);
            at = until;
        }
        Some(joined.freeze())
    }

    /// Adds what is not here yet of `bytes`, which begin at `offset`.
    pub fn insert(&mut self, offset: u64, bytes: &Bytes) {
        let end = offset.saturating_add(bytes.len() as u64).min(self.source_len);
        let mut at = offset;
        while at < end {
            if let Some((start, piece)) = self.around(at) {
                at = start + piece.len() as u64;
                continue;
            }
            let until = self.list.range(at..).next().map_or(end, |(next, _)| end.min(*next));
            if let (Ok(from), Ok(to)) = (usize::try_from(at - offset), usize::try_from(until - offset)) {
                self.list.insert(at, bytes.slice(from..to));
            }
            at = until;
        }
    }

    /// As an object to keep. `None` if it would be empty or too large.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let len = self.bytes() + self.list.len() as u64 * 16 + MAGIC.len() as u64 + 16;
        if self.list.is_empty() || self.list.len() > PIECES_MAX || len > OBJECT_LEN_MAX {
            return None;
        }
        let mut out = Vec::with_capacity(usize::try_from(len).ok()?);
        out.put_slice(MAGIC);
        out.put_u64(self.source_len);
        out.put_u64(self.list.len() as u64);
        for (offset, piece) in &self.list {
            out.put_u64(*offset);
            out.put_u64(piece.len() as u64);
        }
        self.list.values().for_each(|piece| out.put_slice(piece));
        Some(out)
    }

    /// Reads a kept object of a source of `source_len` bytes. `None` if it is none: of another version or source, or
    /// damaged.
    #[must_use]
    pub fn decode(object: &Bytes, source_len: u64) -> Option<Self> {
        let mut rest = object.clone();
        if object.len() as u64 > OBJECT_LEN_MAX || !rest.starts_with(MAGIC) {
            return None;
        }
        rest.advance(MAGIC.len());
        let (len, count) = (rest.try_get_u64().ok()?, rest.try_get_u64().ok()?);
        let count = usize::try_from(count).ok().filter(|count| *count <= PIECES_MAX && len == source_len)?;
        let table_len = count * 16;
        let mut table = (rest.len() >= table_len).then(|| rest.split_to(table_len))?;
        let mut pieces = Self::new(source_len);
        let mut end = 0;
        for _ in 0..count {
            let (offset, len) = (table.try_get_u64().ok()?, table.try_get_u64().ok()?);
            let there = usize::try_from(len).ok().filter(|len| *len > 0 && *len <= rest.len())?;
            let piece_end = offset.checked_add(len)?;
            if offset < end || piece_end > source_len {
                return None;
            }
            pieces.list.insert(offset, rest.split_to(there));
            end = piece_end;
        }
        rest.is_empty().then_some(pieces)
    }
}

/// A source that remembers what was read of it, and asks for nothing twice.
pub struct Remembering<'a, S> {
    source: &'a S,
    pieces: Mutex<Pieces>,
}

impl<'a, S> Remembering<'a, S> {
    /// `source`, of which `pieces` are here.
    #[must_use]
    pub const fn new(source: &'a S, pieces: Pieces) -> Self {
        Self { source, pieces: Mutex::new(pieces) }
    }

    /// What is here by now.
    #[must_use]
    pub fn into_pieces(self) -> Pieces {
        self.pieces.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: ReadAt + Sync> ReadAt for Remembering<'_, S> {
    type Error = S::Error;

    fn len(&self) -> u64 {
        self.source.len()
    }

    fn reads_max(&self) -> u32 {
        self.source.reads_max()
    }

    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, S::Error> {
        let known = self.pieces().get(offset, len);
        if let Some(bytes) = known {
            return Ok(bytes);
        }
        let bytes = self.source.read_at(offset, len).await?;
        self.pieces().insert(offset, &bytes);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source() -> Bytes {
        (0..=255).collect()
    }

    proptest! {
        #[test]
        fn what_was_read_comes_back_and_nothing_else(reads in prop::collection::vec((0u64..256, 0u64..64), 0..12)) {
            let mut pieces = Pieces::new(256);
            let mut known = [false; 256];
            for (offset, len) in reads {
                let range = offset as usize..(offset + len).min(256) as usize;
                known[range.clone()].fill(true);
                pieces.insert(offset, &source().slice(range));
            }
            prop_assert_eq!(pieces.bytes(), known.iter().filter(|known| **known).count() as u64);
            for (offset, len) in (0..256).flat_map(|offset| [1, 7, 64].map(|len| (offset, len))) {
                let range = offset as usize..(offset + len) as usize;
                let there = known.get(range.clone()).is_some_and(|part| part.iter().all(|known| *known));
                prop_assert_eq!(pieces.get(offset, len), there.then(|| source().slice(range)));
            }
            let object = pieces.encode();
            prop_assert_eq!(object.is_none(), pieces.bytes() == 0);
            if let Some(object) = object {
                prop_assert_eq!(Pieces::decode(&object.into(), 256), Some(pieces));
            }
        }
    }

    #[test]
    fn a_damaged_object_is_none() {
        let mut pieces = Pieces::new(256);
        pieces.insert(10, &source().slice(10..20));
        pieces.insert(30, &source().slice(30..40));
        let object = pieces.encode().unwrap();
        assert_eq!(Pieces::decode(&object.clone().into(), 255), None, "another source");
        for len in 0..object.len() {
            assert_eq!(Pieces::decode(&Bytes::copy_from_slice(&object[..len]), 256), None, "{len}");
        }
        // Magic, length and count; then the pieces' lengths. That the bytes are whole is S3's business.
        for at in (0..21).chain(29..37).chain(45..53) {
            let mut changed = object.clone();
            changed[at] ^= 0x80;
            assert_eq!(Pieces::decode(&changed.into(), 256), None, "{at}");
        }
    }
}
