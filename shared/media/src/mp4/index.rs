//! Finding and reading the `moov` of a source with as few reads as possible.

use bytes::{Bytes, BytesMut};
use domain::{source::SourceInfo, time::MediaTime};

use super::{
    boxes::{Children, Cursor, Header, ParseError, find, need},
    read::ReadAt,
    track::Track,
};

/// The first read, which holds the whole `moov` of a short video, and the size of each look behind a big box.
const HEAD_LEN: u64 = 64 << 10;

/// The largest `moov` that is read. 3 hours at 120 frames a second with sound need some 40 MiB.
const MOOV_LEN_MAX: u64 = 256 << 20;

/// How many top-level boxes are looked at before the `moov`, and how many of them may cost a read.
const BOXES_MAX: u32 = 1024;
const READS_MAX: u32 = 32;

/// Why a source has no usable index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError<E> {
    /// The file is not of the MP4 family.
    #[error("not an MP4 file")]
    NotIsoBmff,
    /// The `moov` describes no samples, they come in fragments (`mvex`, `moof`).
    #[error("a fragmented MP4 file")]
    Fragmented,
    /// A box or a sample reaches beyond the end of the file.
    #[error("the file is cut off: {needed} bytes are described, {present} are there")]
    Truncated {
        /// Length in bytes that the file should have at least.
        needed: u64,
        /// Length in bytes that it has.
        present: u64,
    },
    /// The boxes contradict each other.
    #[error("a damaged MP4 file: {0}")]
    Malformed(&'static str),
    /// A valid file that this reader does not take apart.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// The source could not be read.
    #[error("the source could not be read")]
    Read(E),
}

impl<E> From<ParseError> for IndexError<E> {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Malformed(why) => Self::Malformed(why),
            ParseError::Unsupported(why) => Self::Unsupported(why),
            ParseError::Fragmented => Self::Fragmented,
        }
    }
}

/// What a `moov` tells: the first video and the first audio track with their samples.
#[derive(Clone, Debug)]
pub struct Index {
    /// The first video track that has samples.
    pub video: Option<Track>,
    /// The first audio track that has samples.
    pub audio: Option<Track>,
    /// The title in the file's own metadata (`udta/meta/ilst/©nam`), if it has one.
    pub title: Option<String>,
    /// The `ftyp` box, verbatim. It decides how a QuickTime `stsd` is read.
    pub(crate) ftyp: Option<Bytes>,
}

impl Index {
    /// Reads the index of `source`: one read of 64 KiB when the `moov` is in front and small, else one or two more.
    ///
    /// # Errors
    /// [`IndexError`]; `Fragmented` and `Unsupported` mean that the whole file has to be fetched instead.
    pub async fn read<S: ReadAt>(source: &S) -> Result<Self, IndexError<S::Error>> {
        let (ftyp, moov) = Walk { source, window: Bytes::new(), window_at: 0, reads: 0 }.moov().await?;
        let index = Self::parse(ftyp, &moov)?;
        let needed =
            [&index.video, &index.audio].into_iter().flatten().filter_map(samples_end).max().unwrap_or(0);
        if needed > source.len() {
            return Err(IndexError::Truncated { needed, present: source.len() });
        }
        Ok(index)
    }

    /// Reads the body of a `moov` (8.2.1).
    fn parse(ftyp: Option<Bytes>, moov: &[u8]) -> Result<Self, ParseError> {
        if find(moov, b"mvex")?.is_some() {
            return Err(ParseError::Fragmented);
        }
        if find(moov, b"cmov")?.is_some() {
            return Err(ParseError::Unsupported("a compressed moov"));
        }
        let mut mvhd = Cursor(need(moov, b"mvhd", "the moov has no mvhd")?);
        let (version, _) = mvhd.version_flags()?;
        mvhd.skip(if version == 1 { 16 } else { 8 })?;
        let timescale = mvhd.u32()?;
        let mut index = Self { video: None, audio: None, title: title(moov), ftyp };
        let mut number = 0;
        for child in Children(moov) {
            let (kind, trak) = child?;
            if kind != *b"trak" {
                continue;
            }
            number += 1;
            let handler = Track::handler(trak)?;
            let slot = match &handler {
                b"vide" => &mut index.video,
                b"soun" => &mut index.audio,
                _ => continue,
            };
            if slot.is_none() {
                *slot = Track::read(trak, (number - 1, handler), timescale)?;
            }
        }
        Ok(index)
    }

    /// Where the longest track's presentation ends.
    #[must_use]
    pub fn duration(&self) -> MediaTime {
        [&self.video, &self.audio].into_iter().flatten().map(Track::end).max().unwrap_or_default()
    }

    /// What a person wants to know of the source. The title is empty when the file has none.
    #[must_use]
    pub fn info(&self) -> SourceInfo {
        SourceInfo {
            title: self.title.clone().unwrap_or_default(),
            duration: self.duration(),
            picture: self.video.as_ref().and_then(Track::picture),
            has_audio: self.audio.is_some(),
        }
    }
}

/// The first byte behind a track's samples.
fn samples_end(track: &Track) -> Option<u64> {
    let samples = track.samples.as_ref().ok()?;
    samples.list.iter().map(|sample| sample.offset.saturating_add(sample.size.into())).max()
}

/// The title in iTunes-style metadata, which nobody has to have.
fn title(moov: &[u8]) -> Option<String> {
    let udta = find(moov, b"udta").ok()??;
    let meta = find(udta, b"meta").ok()??;
    // In ISO files `meta` is a full box, in QuickTime's it is not.
    let children = if meta.get(4..8) == Some(b"hdlr") { meta } else { meta.get(4..)? };
    let name = find(find(children, b"ilst").ok()??, b"\xa9nam").ok()??;
    let text = String::from_utf8_lossy(find(name, b"data").ok()??.get(8..)?).trim().to_owned();
    (!text.is_empty()).then(|| text.chars().take(300).collect())
}

/// A walk over the top-level boxes with one window of the source in memory.
struct Walk<'a, S> {
    source: &'a S,
    window: Bytes,
    window_at: u64,
    reads: u32,
}

impl<S: ReadAt> Walk<'_, S> {
    /// `len` bytes from `at` on, from the window if they are there.
    async fn bytes(&mut self, at: u64, len: u64) -> Result<Bytes, IndexError<S::Error>> {
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at.saturating_add(len) > window_end {
            if self.reads == READS_MAX {
                return Err(IndexError::Unsupported("the moov lies behind too many boxes"));
            }
            self.reads += 1;
            // The part of a large moov that is already here is not read again.
            let have = at.checked_sub(self.window_at).and_then(|skip| usize::try_from(skip).ok());
            let kept = have.filter(|skip| *skip < self.window.len()).map(|skip| self.window.slice(skip..));
            let kept = kept.unwrap_or_default();
            let from = at + kept.len() as u64;
            let want = (len - kept.len() as u64).max(HEAD_LEN).min(self.source.len() - from);
            let read = self.source.read_at(from, want).await.map_err(IndexError::Read)?;
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

    /// The `ftyp` box, if there is one in front, and the body of the `moov`.
    async fn moov(&mut self) -> Result<(Option<Bytes>, Bytes), IndexError<S::Error>> {
        let present = self.source.len();
        let (mut at, mut ftyp) = (0, None);
        for number in 0..BOXES_MAX {
            if present - at < 8 {
                break;
            }
            let header = Header::read(&self.bytes(at, (present - at).min(16)).await?);
            if number == 0 && !header.as_ref().is_ok_and(|header| is_first_box(header.kind)) {
                return Err(IndexError::NotIsoBmff);
            }
            let header = header?;
            let len = header.box_len.unwrap_or(present - at);
            let end = at.checked_add(len).ok_or(IndexError::Malformed("a box is absurdly long"))?;
            if end > present {
                return Err(IndexError::Truncated { needed: end, present });
            }
            match &header.kind {
                b"moof" | b"styp" | b"sidx" => return Err(IndexError::Fragmented),
                b"moov" if len > MOOV_LEN_MAX => return Err(IndexError::Unsupported("a very large moov")),
                b"moov" => {
                    let moov = self.bytes(at, len).await?;
                    return Ok((ftyp, moov.slice(usize::try_from(header.header_len).unwrap_or(8)..)));
                }
                b"ftyp" if len <= HEAD_LEN => ftyp = Some(self.bytes(at, len).await?),
                _ => {}
            }
            at = end;
        }
        Err(IndexError::Malformed("there is no moov"))
    }
}

/// Whether a file of the MP4 family can begin with this box.
const fn is_first_box(kind: [u8; 4]) -> bool {
    matches!(
        &kind,
        b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"styp" | b"moof" | b"sidx"
    )
}
