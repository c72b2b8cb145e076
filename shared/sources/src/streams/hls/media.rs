//! Media playlists: the segments of one rendition.

use std::{ops::Range, sync::Arc};

use domain::time::MediaTime;
use url::Url;

use super::{
    super::{DURATION_MAX, Key, Piece, Place, Rendition, SEGMENTS_MAX, Segment, damaged, unsupported},
    Attributes, address,
};
use crate::SourceError;

/// The key that is in force, and its vector if that is given.
#[derive(Clone)]
struct InForce {
    url: Url,
    iv: Option<[u8; 16]>,
}

/// A media playlist as it is read, line by line.
pub(super) struct Reader<'a> {
    base: &'a Url,
    segments: Vec<Segment>,
    key: Option<InForce>,
    init: Option<Arc<Piece>>,
    number: u64,
    run: u32,
    at: MediaTime,
    duration: Option<MediaTime>,
    range: Option<&'a str>,
    gap: bool,
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(base: &'a Url) -> Self {
        Self {
            base,
            segments: Vec::new(),
            key: None,
            init: None,
            number: 0,
            run: 0,
            at: MediaTime::ZERO,
            duration: None,
            range: None,
            gap: false,
            ended: false,
        }
    }

    pub(super) fn read(mut self, lines: impl Iterator<Item = &'a str>) -> Result<Rendition, SourceError> {
        for line in lines {
            match line.strip_prefix('#') {
                Some(tag) => self.tag(tag)?,
                None => self.segment(line)?,
            }
        }
        if !self.ended {
            return Err(unsupported(
                "it is a live stream, or one that has not ended; try again when it is over",
            ));
        }
        if self.segments.is_empty() {
            return Err(damaged("it names no segment"));
        }
        Ok(Rendition { segments: self.segments, zero: None })
    }

    fn tag(&mut self, tag: &'a str) -> Result<(), SourceError> {
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXTINF" => self.duration = Some(seconds(value.split(',').next().unwrap_or_default())?),
            "EXT-X-BYTERANGE" => self.range = Some(value),
            "EXT-X-DISCONTINUITY" => self.run = self.run.saturating_add(1),
            "EXT-X-GAP" => self.gap = true,
            "EXT-X-ENDLIST" => self.ended = true,
            "EXT-X-PLAYLIST-TYPE" => self.ended |= value.trim() == "VOD",
            "EXT-X-MEDIA-SEQUENCE" => {
                self.number = value.trim().parse().map_err(|_| damaged("a sequence number is none"))?;
            }
            "EXT-X-I-FRAMES-ONLY" => {
                return Err(unsupported("its playlist is one of still pictures; give that of the video"));
            }
            "EXT-X-KEY" => self.key = self.key(Attributes(value))?,
            "EXT-X-MAP" => self.init = Some(Arc::new(self.map(Attributes(value))?)),
            _ => {}
        }
        Ok(())
    }

    fn key(&self, told: Attributes<'_>) -> Result<Option<InForce>, SourceError> {
        match told.get("METHOD") {
            Some("NONE") => return Ok(None),
            Some("AES-128") if told.get("KEYFORMAT").is_none_or(|format| format == "identity") => {}
            _ => return Err(protected()),
        }
        let url = address(self.base, told.get("URI").ok_or_else(|| damaged("a key has no address"))?)?;
        let iv = match told.get("IV") {
            Some(digits) => Some(vector(digits).ok_or_else(|| damaged("an IV is none"))?),
            None => None,
        };
        Ok(Some(InForce { url, iv }))
    }

    /// The key for what is fetched now; without a vector of its own, the segment's number is it (section 5.2).
    fn key_now(&self) -> Option<Key> {
        let key = self.key.as_ref()?;
        let iv = key.iv.unwrap_or_else(|| u128::from(self.number).to_be_bytes());
        Some(Key { url: key.url.clone(), iv })
    }

    fn map(&self, told: Attributes<'_>) -> Result<Piece, SourceError> {
        let url = address(self.base, told.get("URI").ok_or_else(|| damaged("a map has no address"))?)?;
        let range = told.get("BYTERANGE").map(|text| byte_range(text, Some(0))).transpose()?;
        Ok(Piece { place: Place { url, range }, key: self.key_now() })
    }

    fn segment(&mut self, line: &str) -> Result<(), SourceError> {
        // An address that no EXTINF stands in front of is no segment.
        let Some(duration) = self.duration.take() else { return Ok(()) };
        if self.segments.len() >= SEGMENTS_MAX {
            return Err(unsupported(format!("it has more than {SEGMENTS_MAX} segments")));
        }
        let url = address(self.base, line)?;
        let before = self.segments.last().map(|segment| &segment.piece.place);
        let next = before.filter(|place| place.url == url).and_then(|place| Some(place.range.as_ref()?.end));
        let range = self.range.take().map(|text| byte_range(text, next)).transpose()?;
        let end = MediaTime(self.at.0.saturating_add(duration.0));
        if end.0 > DURATION_MAX {
            return Err(damaged("it is absurdly long"));
        }
        self.segments.push(Segment {
            piece: Piece { place: Place { url, range }, key: self.key_now() },
            init: self.init.clone(),
            start: self.at,
            end,
            run: self.run,
            gap: std::mem::take(&mut self.gap),
        });
        self.at = end;
        self.number = self.number.wrapping_add(1);
        Ok(())
    }
}

fn protected() -> SourceError {
    unsupported("it is protected (DRM); only streams without protection or with AES-128 can be cut")
}

/// A decimal number of seconds.
fn seconds(text: &str) -> Result<MediaTime, SourceError> {
    let seconds: f64 = text.trim().parse().map_err(|_| damaged("a duration is none"))?;
    let time = MediaTime::from_seconds(seconds).ok().filter(|time| (0..=DURATION_MAX).contains(&time.0));
    time.ok_or_else(|| damaged("a duration is none"))
}

/// `n[@o]` (section 4.3.2.2); without an offset it begins where the one before it ended.
fn byte_range(text: &str, next: Option<u64>) -> Result<Range<u64>, SourceError> {
    let wrong = || damaged("a byte range is none");
    let (len, start) = match text.trim().split_once('@') {
        Some((len, start)) => (len, Some(start.parse().map_err(|_| wrong())?)),
        None => (text.trim(), next),
    };
    let len: u64 = len.parse().map_err(|_| wrong())?;
    let start: u64 = start.ok_or_else(wrong)?;
    let end = start.checked_add(len).filter(|end| *end > start && *end < 1 << 62);
    Ok(start..end.ok_or_else(wrong)?)
}

/// `0x` and up to 32 hexadecimal digits.
fn vector(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    if digits.is_empty() || digits.starts_with('+') {
        return None;
    }
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}
