//! Streams that are described by a playlist (HLS, RFC 8216) or a manifest (DASH, ISO/IEC 23009-1): which bytes of which
//! files make up which seconds. Text in, values out: nothing here fetches anything.
//!
//! Invariants: every bound is checked before memory is taken for what it bounds; every address is resolved against
//! that of the text it stands in, and goes through the guard like any other before it is fetched.

mod choice;
pub mod dash;
pub mod hls;

use std::{ops::Range, sync::Arc};

use domain::{quality::PictureSize, time::MediaTime};
use url::Url;

pub use choice::{Candidate, choose};

use crate::SourceError;

/// The largest playlist or manifest, in bytes: three hours in segments of one second, each with a long address.
pub const TEXT_BYTES_MAX: u64 = 8 << 20;

/// The most segments of one rendition: three hours in segments of half a second.
pub const SEGMENTS_MAX: usize = 25_000;

/// The most renditions that one text may name.
pub const RENDITIONS_MAX: usize = 500;

/// The longest address, in bytes: together with [`SEGMENTS_MAX`] it bounds memory.
const ADDRESS_BYTES_MAX: usize = 4 << 10;

/// The longest segment and the longest sum of segments, in microseconds: a week.
pub(crate) const DURATION_MAX: i64 = 7 * 24 * 3600 * 1_000_000;

/// Bytes of a file on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the file is.
    pub url: Url,
    /// Which of its bytes; `None` for all.
    pub range: Option<Range<u64>>,
}

/// How bytes are encrypted: AES-128 in CBC mode with PKCS #7 padding (RFC 8216, section 4.3.2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where the 16 bytes of the key are.
    pub url: Url,
    /// The initialisation vector.
    pub iv: [u8; 16],
}

/// Bytes to fetch, and to decrypt where there is a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where they are.
    pub place: Place,
    /// The key.
    pub key: Option<Key>,
}

/// Some seconds of a rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its media.
    pub piece: Piece,
    /// What has to stand in front of it (`EXT-X-MAP`, `Initialization`).
    pub init: Option<Arc<Piece>>,
    /// About when it begins, as the text says.
    pub start: MediaTime,
    /// About when it ends.
    pub end: MediaTime,
    /// Segments of one run share a clock (`EXT-X-DISCONTINUITY` begins another).
    pub run: u32,
    /// The text says that there is nothing to fetch (`EXT-X-GAP`).
    pub gap: bool,
}

/// A picture, a sound or both, in segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendition {
    /// In order; not empty.
    pub segments: Vec<Segment>,
    /// What the media's clock shows at the presentation's zero, where the text says so. Else that is the earliest time
    /// of the first segment.
    pub zero: Option<MediaTime>,
}

impl Rendition {
    /// How long it is.
    #[must_use]
    pub fn duration(&self) -> MediaTime {
        self.segments.last().map_or(MediaTime::ZERO, |segment| segment.end)
    }

    /// The segments that overlap from `from` until before `until`, as the text has it; one at least.
    #[must_use]
    pub fn around(&self, from: MediaTime, until: MediaTime) -> Range<usize> {
        let last = self.segments.len().saturating_sub(1);
        let first = self.segments.partition_point(|segment| segment.end <= from).min(last);
        let behind = self.segments.partition_point(|segment| segment.start < until);
        first..behind.max(first + 1)
    }
}

/// Codecs of a rendition (RFC 6381), as far as they matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codecs {
    /// There is a picture.
    pub(crate) video: bool,
    /// There is sound.
    pub(crate) audio: bool,
    /// The picture is H.264 and the sound AAC, as far as there are any.
    pub(crate) plain: bool,
}

impl Codecs {
    pub(crate) fn parse(text: &str) -> Self {
        let mut codecs = Self { plain: true, ..Self::default() };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let kind = word.split('.').next().unwrap_or_default();
            match kind {
                "avc1" | "avc3" => codecs.video = true,
                "mp4a" => codecs.audio = true,
                "hvc1" | "hev1" | "dvh1" | "dvhe" | "av01" | "vp09" | "vp9" | "vp8" | "vp08" | "mp4v" => {
                    codecs.video = true;
                    codecs.plain = false;
                }
                "ac-3" | "ec-3" | "ac-4" | "opus" | "Opus" | "flac" | "fLaC" | "vorbis" | "mp3" | "alac" => {
                    codecs.audio = true;
                    codecs.plain = false;
                }
                // Subtitles and what nobody knows.
                _ => {}
            }
        }
        codecs
    }
}

/// A picture of this size, if it is one.
pub(crate) fn picture(width: u64, height: u64) -> Option<PictureSize> {
    let side = |side: u64| u32::try_from(side).ok().filter(|side| (1..=1 << 16).contains(side));
    Some(PictureSize { width: side(width)?, height: side(height)? })
}

/// The text is not what it claims to be.
pub(crate) fn damaged(why: impl std::fmt::Display) -> SourceError {
    SourceError::Unsupported(format!("its playlist is damaged ({why})"))
}

/// A kind of stream that is not cut.
pub(crate) fn unsupported(why: impl Into<String>) -> SourceError {
    SourceError::Unsupported(why.into())
}

/// Resolves an address that stands in the text at `base`.
pub(crate) fn resolve(base: &Url, address: &str) -> Result<Url, SourceError> {
    let wrong = || damaged("an address in it is none");
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(wrong());
    }
    let url = base.join(address.trim()).map_err(|_| wrong())?;
    if url.as_str().len() > 2 * ADDRESS_BYTES_MAX { Err(wrong()) } else { Ok(url) }
}
