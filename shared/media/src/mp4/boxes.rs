//! Boxes (ISO/IEC 14496-12, 4.2): a bounded cursor, an iterator over children, and a writer.
//!
//! Invariant: nothing here allocates by a number that the file claims; every count is first checked against the
//! bytes that are really there.

/// Why a `moov` could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseError {
    #[error("{0}")]
    Malformed(&'static str),
    #[error("{0}")]
    Unsupported(&'static str),
}

/// A box's type.
pub(crate) type FourCc = [u8; 4];

/// Reads big-endian fields from a slice and fails at its end.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ParseError> {
        let (taken, rest) =
            self.0.split_at_checked(count).ok_or(ParseError::Malformed("a box ends before its fields do"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ParseError> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N)?);
        Ok(out)
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<(), ParseError> {
        self.bytes(count).map(|_| ())
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ParseError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ParseError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn i32(&mut self) -> Result<i32, ParseError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ParseError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Version and flags of a full box.
    pub(crate) fn version_flags(&mut self) -> Result<(u8, u32), ParseError> {
        let word = self.u32()?;
        Ok(((word >> 24) as u8, word & 0x00ff_ffff))
    }

    /// The entries of a table: a 32-bit count, then `count` entries of `N` bytes, all of which must be there.
    pub(crate) fn table<const N: usize>(&mut self) -> Result<&'a [[u8; N]], ParseError> {
        let count = self.u32()? as usize;
        self.entries(count)
    }

    /// `count` entries of `N` bytes, all of which must be there.
    pub(crate) fn entries<const N: usize>(&mut self, count: usize) -> Result<&'a [[u8; N]], ParseError> {
        let size = count.checked_mul(N).ok_or(ParseError::Malformed("a table is larger than its box"))?;
        let bytes = self.bytes(size).map_err(|_| ParseError::Malformed("a table is larger than its box"))?;
        Ok(bytes.as_chunks().0)
    }
}

/// The first 32-bit field of a table's entry.
pub(crate) fn word(entry: &[u8], position: usize) -> u32 {
    let at = position * 4;
    entry.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// A box's header: its type, how long the header is and how long the whole box is, in bytes. `None` as length
/// means "to the end of the file" (size 0).
pub(crate) struct Header {
    pub(crate) kind: FourCc,
    pub(crate) header_len: u64,
    pub(crate) box_len: Option<u64>,
}

impl Header {
    /// Reads 8 or 16 bytes.
    pub(crate) fn read(data: &[u8]) -> Result<Self, ParseError> {
        let mut cursor = Cursor(data);
        let size = cursor.u32()?;
        let kind = cursor.array()?;
        let (header_len, box_len) = match size {
            0 => (8, None),
            1 => (16, Some(cursor.u64()?)),
            size => (8, Some(u64::from(size))),
        };
        if box_len.is_some_and(|len| len < header_len) {
            return Err(ParseError::Malformed("a box is smaller than its own header"));
        }
        Ok(Self { kind, header_len, box_len })
    }
}

/// The boxes inside a box, each with its type and its body.
pub(crate) struct Children<'a>(pub(crate) &'a [u8]);

impl<'a> Children<'a> {
    fn take(&mut self) -> Result<(FourCc, &'a [u8]), ParseError> {
        let header = Header::read(self.0)?;
        let len = header.box_len.map_or(Ok(self.0.len()), usize::try_from);
        let whole = len
            .ok()
            .and_then(|len| self.0.split_at_checked(len))
            .ok_or(ParseError::Malformed("a box reaches beyond the box around it"))?;
        self.0 = whole.1;
        let body = whole.0.get(usize::try_from(header.header_len).unwrap_or(16)..).unwrap_or_default();
        Ok((header.kind, body))
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<(FourCc, &'a [u8]), ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        // QuickTime ends some lists of children with four zero bytes.
        if self.0.len() < 8 {
            return None;
        }
        let item = self.take();
        if item.is_err() {
            self.0 = &[];
        }
        Some(item)
    }
}

/// The body of the first child of type `kind`.
pub(crate) fn find<'a>(data: &'a [u8], kind: &FourCc) -> Result<Option<&'a [u8]>, ParseError> {
    for child in Children(data) {
        let (found, body) = child?;
        if found == *kind {
            return Ok(Some(body));
        }
    }
    Ok(None)
}

/// The body of the first child of type `kind`, which has to be there.
pub(crate) fn need<'a>(data: &'a [u8], kind: &FourCc, missing: &'static str) -> Result<&'a [u8], ParseError> {
    find(data, kind)?.ok_or(ParseError::Malformed(missing))
}

/// Appends a box to `out`: its header, then what `body` writes.
pub(crate) fn write(out: &mut Vec<u8>, kind: &FourCc, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    body(out);
    // A header of ours is at most some tens of megabytes (the sample count is bounded), far below 4 GiB.
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&size.to_be_bytes());
    }
}

/// Appends a full box (version and flags before the body).
pub(crate) fn write_full(
    out: &mut Vec<u8>,
    kind: &FourCc,
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    write(out, kind, |out| {
        put(out, &[(u32::from(version) << 24) | flags]);
        body(out);
    });
}

/// Appends 32-bit fields.
pub(crate) fn put(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut out = Vec::new();
        write(&mut out, b"moov", |out| write_full(out, b"mvhd", 1, 7, |out| put(out, &[42])));
        let moov = need(&out, b"moov", "").unwrap();
        let mut mvhd = Cursor(need(moov, b"mvhd", "").unwrap());
        assert_eq!(mvhd.version_flags(), Ok((1, 7)));
        assert_eq!(mvhd.u32(), Ok(42));
        assert_eq!(mvhd.u32(), Err(ParseError::Malformed("a box ends before its fields do")));
    }

    #[test]
    fn a_table_that_claims_more_than_is_there_is_refused() {
        let claimed = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1];
        assert!(Cursor(&claimed).table::<8>().is_err());
    }

    #[test]
    fn a_child_beyond_its_parent_is_refused_once() {
        let mut children = Children(&[0, 0, 0, 99, b'f', b'r', b'e', b'e']);
        assert!(children.next().unwrap().is_err());
        assert!(children.next().is_none());
        assert!(Header::read(&[0, 0, 0, 7, b'f', b'r', b'e', b'e']).is_err());
    }
}
