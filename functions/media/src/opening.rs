//! The beginning of a segment: of what kind it is, and when it begins by the media's own clock.

use bytes::Bytes;
use domain::time::MediaTime;
use media::{
    mp4::{Index, Part, ReadAt},
    ts,
};
use runtime::StageError;
use sources::streams::Segment;

use crate::{job::unsupported, stream::Stream};

/// The first look at a segment of which only the beginning matters, and the longest one, in bytes. The first is no
/// more than opening a file costs.
const LOOK_BYTES: u64 = 16 << 10;
const LOOK_BYTES_MAX: u64 = 4 << 20;

/// How segments hold their media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fragments,
    Transport,
    /// Sound alone, behind a tag that tells its time.
    Packed,
}

/// The beginning of a rendition.
pub(crate) struct Opening {
    pub(crate) begins: Begins,
    /// What has to stand in front of the first segment; empty where nothing has to.
    pub(crate) init: Bytes,
    /// The first segment, as far as it was looked at.
    pub(crate) bytes: Bytes,
}

impl Opening {
    /// Reads as much of a segment as tells when it begins.
    pub(crate) async fn look(stream: &Stream, segment: &Segment) -> Result<Self, StageError> {
        let mut front = stream.front(&segment.piece).await?;
        let mut len = LOOK_BYTES;
        loop {
            let (bytes, is_all) = front.read(len).await?;
            let is_last = is_all || len >= LOOK_BYTES_MAX;
            match Self::of(stream, segment, bytes, is_last).await {
                Err(StageError::Job(_)) if !is_last => len *= 4,
                told => return told,
            }
        }
    }

    /// As [`Self::look`], of a segment that begins with `bytes`. Where more bytes could tell more, that is an error
    /// unless `is_last`.
    pub(crate) async fn of(
        stream: &Stream,
        segment: &Segment,
        bytes: &[u8],
        is_last: bool,
    ) -> Result<Self, StageError> {
        let bytes = ts::behind_front(bytes).and_then(|at| bytes.get(at..)).unwrap_or(bytes);
        let kind = kind(segment, bytes)?;
        let init = match &segment.init {
            Some(piece) if kind == Kind::Fragments => stream.read_init(piece).await?,
            _ => Bytes::new(),
        };
        let begins = begins(kind, &init, bytes, is_last).await?;
        Ok(Self { begins, init, bytes: Bytes::copy_from_slice(bytes) })
    }
}

pub(crate) fn kind(segment: &Segment, bytes: &[u8]) -> Result<Kind, StageError> {
    const BOXES: [&[u8; 4]; 8] = [b"ftyp", b"styp", b"moov", b"moof", b"sidx", b"emsg", b"prft", b"free"];
    if ts::is_transport(bytes) || ts::behind_front(bytes).is_some() {
        return Ok(Kind::Transport);
    }
    if segment.init.is_some() || bytes.get(4..8).is_some_and(|kind| BOXES.iter().any(|known| *known == kind))
    {
        return Ok(Kind::Fragments);
    }
    if ts::packed(bytes).is_some() {
        return Ok(Kind::Packed);
    }
    Err(unsupported(
        "The stream's segments cannot be read: their format or their encryption is not supported.",
    ))
}

/// The most by which sound begins before the picture that it belongs to, because its encoder fills the first packets
/// with silence: up to 2112 samples of AAC, at 22.05 kHz.
const PRIMING_MAX: MediaTime = MediaTime(100_000);

/// When media begins, by its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begins {
    pub(crate) earliest: MediaTime,
    pub(crate) picture: Option<MediaTime>,
}

impl Begins {
    /// Of a transport stream that begins with `bytes`; `None` if none of its streams has begun.
    pub(crate) fn of_transport(bytes: &[u8]) -> Option<Self> {
        let opening = ts::opening(bytes)?;
        Some(Self { earliest: opening.earliest, picture: opening.picture })
    }

    /// The same on a clock that shows `by` less.
    pub(crate) fn since(self, by: MediaTime) -> Self {
        Self { earliest: self.earliest.since(by), picture: self.picture.map(|picture| picture.since(by)) }
    }

    /// Of two renditions. A transport stream's clock begins anew once a day.
    pub(crate) fn with(self, other: Self) -> Self {
        let by = other.earliest.since(ts::nearest(other.earliest, self.earliest));
        let other = other.since(by);
        Self { earliest: self.earliest.min(other.earliest), picture: self.picture.or(other.picture) }
    }

    /// What the clock shows at the zero of a presentation that begins so: the first picture, as in the same video's MP4
    /// file, where an edit list hides the silence in front. Sound that begins earlier than that is meant to.
    pub(crate) fn zero(self) -> MediaTime {
        self.picture.filter(|picture| picture.since(self.earliest) <= PRIMING_MAX).unwrap_or(self.earliest)
    }
}

/// When a segment begins whose first bytes are `bytes`, behind its `init`. Where more bytes could tell more, that is an
/// error unless `is_last`.
async fn begins(kind: Kind, init: &[u8], bytes: &[u8], is_last: bool) -> Result<Begins, StageError> {
    let none = || unsupported("The stream's first segment does not say when it begins.");
    match kind {
        Kind::Packed => Ok(Begins { earliest: ts::packed(bytes).ok_or_else(none)?.0, picture: None }),
        Kind::Transport => {
            let opening = ts::opening(bytes).filter(|opening| opening.is_complete || is_last);
            let opening = opening.ok_or_else(none)?;
            Ok(Begins { earliest: opening.earliest, picture: opening.picture })
        }
        Kind::Fragments => {
            let front = Beginning::new([init, bytes].concat()).ok_or_else(none)?;
            let index = Index::read_part(&front, Part::Opening).await;
            let (picture, sound) = index.map_err(|_| none())?.beginnings();
            let earliest = picture.into_iter().chain(sound).min().ok_or_else(none)?;
            Ok(Begins { earliest, picture })
        }
    }
}

/// The beginning of a file whose rest is not here: with all of its first fragment's header, or `None`.
struct Beginning(Bytes);

impl Beginning {
    fn new(bytes: Vec<u8>) -> Option<Self> {
        let mut at = 0_usize;
        loop {
            let [a, b, c, d, kind @ ..] = bytes.get(at..at + 8)? else { return None };
            let len = match u32::from_be_bytes([*a, *b, *c, *d]) {
                1 => u64::from_be_bytes(bytes.get(at + 8..at + 16)?.try_into().ok()?),
                len => len.into(),
            };
            let end = at.checked_add(usize::try_from(len).ok().filter(|len| *len >= 8)?)?;
            match kind {
                b"moof" => return (end <= bytes.len()).then(|| Self(bytes.into())),
                b"mdat" => return None,
                _ => at = end,
            }
        }
    }
}

impl ReadAt for Beginning {
    type Error = ();

    fn len(&self) -> u64 {
        1 << 60
    }

    /// A reader looks ahead by more than it needs: what is not here are zeros.
    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, ()> {
        let (start, len) = (usize::try_from(offset).map_err(drop)?, usize::try_from(len).map_err(drop)?);
        let here = self.0.get(start..).ok_or(())?;
        let mut bytes = here.get(..len.min(here.len())).unwrap_or_default().to_vec();
        bytes.resize(len, 0);
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_picture_is_zero_unless_sound_is_far_ahead() {
        let zero = |earliest, picture: Option<i64>| {
            Begins { earliest: MediaTime(earliest), picture: picture.map(MediaTime) }.zero().0
        };
        assert_eq!(zero(1_400_000, Some(1_421_333)), 1_421_333);
        assert_eq!(zero(1_400_000, Some(1_900_000)), 1_400_000);
        assert_eq!(zero(1_400_000, None), 1_400_000);
        let picture = Begins { earliest: MediaTime(20_000), picture: Some(MediaTime(20_000)) };
        let day = ts::nearest(MediaTime(0), MediaTime(90_000_000_000));
        let sound = Begins { earliest: MediaTime(day.0 - 1_000), picture: None };
        assert_eq!(picture.with(sound), Begins { earliest: MediaTime(-1_000), ..picture });
        assert_eq!(picture.with(sound).zero(), MediaTime(20_000));
    }
}
