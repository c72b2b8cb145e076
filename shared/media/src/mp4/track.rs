//! One track (`trak`, ISO/IEC 14496-12, 8.3): what it is, how it is shown, and its place on the movie's timeline.

use std::ops::Range;

use domain::{quality::PictureSize, time::MediaTime};

use super::{
    boxes::{Children, Cursor, FourCc, ParseError, find, need},
    edit::{EDIT_MAX, Edit},
    samples::Samples,
};

/// A video or audio track.
#[derive(Clone, Debug)]
pub struct Track {
    /// The track's place among all tracks of the file, from 0: FFmpeg's number of the stream.
    pub(crate) number: u32,
    /// `vide` or `soun` (`hdlr`).
    pub handler: FourCc,
    /// Ticks a second (`mdhd`).
    pub timescale: u32,
    /// The sample entry's type (`stsd`), for example `avc1`.
    pub codec: FourCc,
    /// Presentation times that are shown, in ticks on the movie's timeline: the part the edit list leaves.
    pub shown: Range<i64>,
    /// The samples, or why a part of this track cannot be taken out of the file.
    pub samples: Result<Samples, &'static str>,
    /// Body of the `stsd`, verbatim: what it holds is the decoder's business.
    pub(crate) stsd: Vec<u8>,
    /// The transformation matrix, width and height of the `tkhd`, verbatim.
    pub(crate) geometry: [u8; 44],
    /// Packed ISO 639-2 language code of the `mdhd`.
    pub(crate) language: u16,
    /// Whether the track is to be played (`tkhd`).
    pub(crate) is_enabled: bool,
    /// Length of the `mdhd`, in ticks; for a track whose samples are not listed.
    media_duration: i64,
    /// The track's number (`tkhd`), by which fragments name it.
    pub(super) id: u32,
    /// What the edit list adds to each time, in ticks.
    pub(super) shift: i64,
    /// By how much all times were lifted because composition offsets are negative, in ticks.
    pub(super) lifted: i64,
    /// By how much the first shown sample was moved forward to the edit's beginning, in ticks.
    pub(super) late: i64,
}

impl Track {
    /// The kind of media in a `trak` (`hdlr`, 8.4.3).
    pub(crate) fn handler(trak: &[u8]) -> Result<FourCc, ParseError> {
        let mdia = need(trak, b"mdia", "a track has no mdia")?;
        let mut hdlr = Cursor(need(mdia, b"hdlr", "a track has no hdlr")?);
        hdlr.skip(8)?;
        hdlr.array()
    }

    /// Reads a `trak`, the file's `number`th, whose media is `handler`, in a file of `present` bytes.
    pub(crate) fn read(
        trak: &[u8],
        (number, handler): (u32, FourCc),
        movie_timescale: u32,
        present: u64,
    ) -> Result<Self, ParseError> {
        let mdia = need(trak, b"mdia", "a track has no mdia")?;
        let (timescale, media_duration, language) = mdhd(need(mdia, b"mdhd", "a track has no mdhd")?)?;
        let minf = need(mdia, b"minf", "a track has no minf")?;
        let stbl = need(minf, b"stbl", "a track has no stbl")?;
        let stsd = need(stbl, b"stsd", "a track has no stsd")?;
        let (codec, references) = sample_entries(stsd)?;
        let edit = Edit::read(trak, timescale, movie_timescale);
        let samples = match check_supported(codec, minf, &references).and(edit) {
            Ok(edit) => {
                Samples::read(stbl, edit.shift(), present).and_then(|samples| check_sound(handler, samples))
            }
            Err(error) => Err(error),
        };
        let mut shown = edit.map_or(i64::MIN..i64::MAX, |edit| edit.shown());
        let mut late = 0;
        let samples = match samples {
            Ok(mut samples) => {
                // Like FFmpeg, and so like the times that `ffprobe` prints: when an edit begins between two
                // pictures, the first one that is shown moves to the edit's beginning, and the rest with it.
                if edit.is_ok_and(|edit| edit.exists) {
                    let first = samples.first_at(shown.start, handler == *b"soun");
                    late = first.map_or(0, |first| first - shown.start);
                    samples.delay(-late);
                    shown.end = shown.end.saturating_sub(late);
                }
                Ok(samples)
            }
            Err(ParseError::Unsupported(why)) => Err(why),
            Err(error) => return Err(error),
        };
        let (id, is_enabled, geometry) = header(need(trak, b"tkhd", "a track has no tkhd")?)?;
        let (stsd, shift) = (stsd.to_vec(), edit.map_or(0, |edit| edit.shift()));
        Ok(Self {
            number,
            handler,
            timescale,
            codec,
            shown,
            samples,
            stsd,
            geometry,
            language,
            is_enabled,
            media_duration,
            id,
            shift,
            lifted: 0,
            late,
        })
    }

    /// Whether this is a track of sound.
    pub(super) fn is_sound(&self) -> bool {
        self.handler == *b"soun"
    }

    /// Whether the track has no samples at all.
    pub(super) fn is_empty(&self) -> bool {
        self.samples.as_ref().is_ok_and(|samples| samples.list.is_empty())
    }

    /// `ticks` of the media's own timeline on the movie's timeline.
    pub(super) fn time(&self, ticks: i64) -> MediaTime {
        MediaTime::from_ticks(ticks.saturating_add(self.shift), self.timescale)
    }

    /// Where the track's presentation ends on the movie's timeline.
    #[must_use]
    pub fn end(&self) -> MediaTime {
        let end = match &self.samples {
            Ok(samples) => {
                let ends = samples.list.iter().enumerate().map(|(n, s)| s.pts() + samples.duration(n));
                ends.max().unwrap_or(0)
            }
            Err(_) => self.media_duration,
        };
        MediaTime::from_ticks(end.min(self.shown.end), self.timescale)
    }

    /// How long a sample is presented on average; `None` where they are not listed.
    pub(crate) fn frame(&self) -> Option<MediaTime> {
        let samples = self.samples.as_ref().ok()?;
        let count = i64::try_from(samples.list.len()).ok().filter(|count| *count > 0)?;
        let first = samples.list.iter().map(super::Sample::pts).min()?;
        let length = self.end().since(MediaTime::from_ticks(first.max(self.shown.start), self.timescale));
        Some(MediaTime((length.0 / count).max(0)))
    }

    /// The picture as it is shown: pixel aspect (`pasp`, else the ratio that `tkhd` asks for) and a rotation by
    /// 90 or 270 degrees (`tkhd`) applied. `None` for sound.
    #[must_use]
    pub fn picture(&self) -> Option<PictureSize> {
        if self.handler != *b"vide" {
            return None;
        }
        let (width, height, aspect) = visual_entry(&self.stsd).ok()?;
        if width == 0 || height == 0 {
            return None;
        }
        let (across, down) = aspect.or_else(|| self.aspect_by_header(width, height)).unwrap_or((1, 1));
        let square = (u64::from(width) * across + down / 2) / down;
        let width = u32::try_from(square.clamp(1, 1 << 16)).unwrap_or(width);
        Some(self.upright(PictureSize { width, height }))
    }

    /// `coded` upright, if the file too says that the picture has this size and square pixels.
    pub(crate) fn square_picture(&self, coded: PictureSize) -> Option<PictureSize> {
        let (width, height, aspect) = visual_entry(&self.stsd).ok()?;
        let header = [width << 16, height << 16].map(u32::to_be_bytes).concat();
        let square = aspect.map_or_else(|| self.geometry.ends_with(&header), |(across, down)| across == down);
        (square && PictureSize { width, height } == coded).then(|| self.upright(coded))
    }

    fn upright(&self, picture: PictureSize) -> PictureSize {
        let PictureSize { width, height } = picture;
        if self.is_turned() { PictureSize { width: height, height: width } } else { picture }
    }

    fn is_turned(&self) -> bool {
        self.matrix(1).unsigned_abs() > self.matrix(0).unsigned_abs()
    }

    /// The pixel aspect implied by a `tkhd` whose size has another shape than the coded picture.
    fn aspect_by_header(&self, width: u32, height: u32) -> Option<Aspect> {
        let mut size = Cursor(self.geometry.get(36..)?);
        let (shown_width, shown_height) = (size.u32().ok()? >> 16, size.u32().ok()? >> 16);
        let across = u64::from(height) * u64::from(shown_width);
        let down = u64::from(width) * u64::from(shown_height);
        // A header in whole pixels is off by a rounding error; under one per cent nothing is meant by it.
        (across > 0 && down > 0 && across.abs_diff(down) * 100 > down).then_some((across, down))
    }

    fn matrix(&self, position: usize) -> i32 {
        self.geometry
            .get(position * 4..position * 4 + 4)
            .and_then(|b| b.try_into().ok())
            .map_or(0, i32::from_be_bytes)
    }
}

/// `mdhd` (8.4.2): timescale, duration in ticks, language.
fn mdhd(body: &[u8]) -> Result<(u32, i64, u16), ParseError> {
    let mut cursor = Cursor(body);
    let (version, _) = cursor.version_flags()?;
    cursor.skip(if version == 1 { 16 } else { 8 })?;
    let timescale = cursor.u32()?;
    let duration = if version == 1 { cursor.u64()? } else { cursor.u32()?.into() };
    if timescale == 0 {
        return Err(ParseError::Malformed("a track's clock stands still"));
    }
    Ok((timescale, i64::try_from(duration).unwrap_or(EDIT_MAX).min(EDIT_MAX), cursor.u16()?))
}

/// The track's number in a `tkhd` (8.3.2), whether it is enabled, and its last 44 bytes: matrix, width and height.
fn header(body: &[u8]) -> Result<(u32, bool, [u8; 44]), ParseError> {
    let mut cursor = Cursor(body);
    let (version, flags) = cursor.version_flags()?;
    cursor.skip(if version == 1 { 16 } else { 8 })?;
    let id = cursor.u32()?;
    cursor.skip(if version == 1 { 28 } else { 24 })?;
    Ok((id, flags & 1 != 0, cursor.array()?))
}

/// The first sample entry's type and every entry's data reference (`stsd`, 8.5.2).
fn sample_entries(stsd: &[u8]) -> Result<(FourCc, Vec<u16>), ParseError> {
    let mut cursor = Cursor(stsd);
    cursor.skip(8)?;
    let mut codec = None;
    let mut references = Vec::new();
    for entry in Children(cursor.0) {
        let (kind, body) = entry?;
        codec.get_or_insert(kind);
        let mut body = Cursor(body);
        body.skip(6)?;
        references.push(body.u16()?);
    }
    Ok((codec.ok_or(ParseError::Malformed("stsd is empty"))?, references))
}

/// A pixel's width and height.
type Aspect = (u64, u64);

/// Width, height and pixel aspect of the first visual sample entry (12.1.3, 12.1.4).
fn visual_entry(stsd: &[u8]) -> Result<(u32, u32, Option<Aspect>), ParseError> {
    let mut cursor = Cursor(stsd);
    cursor.skip(8)?;
    let Some(entry) = Children(cursor.0).next() else {
        return Err(ParseError::Malformed("stsd is empty"));
    };
    let mut entry = Cursor(entry?.1);
    entry.skip(24)?;
    let (width, height) = (entry.u16()?.into(), entry.u16()?.into());
    entry.skip(50)?;
    let aspect = match find(entry.0, b"pasp") {
        Ok(Some(pasp)) => {
            let mut pasp = Cursor(pasp);
            Some((u64::from(pasp.u32()?), u64::from(pasp.u32()?))).filter(|(a, b)| *a > 0 && *b > 0)
        }
        // Some writers leave bytes that are no boxes behind the fields; the picture does not depend on them.
        _ => None,
    };
    Ok((width, height, aspect))
}

/// Why the samples of a protected track (ISO/IEC 23001-7) cannot be told.
const ENCRYPTED: &str = "the media is encrypted";

impl Track {
    /// Whether it can only be played with a key.
    pub(super) fn is_protected(&self) -> bool {
        matches!(self.samples, Err(ENCRYPTED))
    }
}

/// Media that is encrypted or lies in another file cannot be taken from this one.
fn check_supported(codec: FourCc, minf: &[u8], references: &[u16]) -> Result<(), ParseError> {
    if matches!(&codec, b"encv" | b"enca" | b"drmi" | b"drms") {
        return Err(ParseError::Unsupported(ENCRYPTED));
    }
    let Some(dinf) = find(minf, b"dinf")? else { return Ok(()) };
    let Some(dref) = find(dinf, b"dref")? else { return Ok(()) };
    let mut cursor = Cursor(dref);
    cursor.skip(8)?;
    for (position, entry) in Children(cursor.0).enumerate() {
        let (_, flags) = Cursor(entry?.1).version_flags()?;
        if flags & 1 == 0 && references.iter().any(|index| usize::from(*index) == position + 1) {
            return Err(ParseError::Unsupported("the media lies in another file"));
        }
    }
    Ok(())
}

/// Sound with one tick per sample is uncompressed (or QuickTime's old packing), where a sample is not a packet
/// and `stsz` does not tell its size.
pub(super) fn check_sound(handler: FourCc, samples: Samples) -> Result<Samples, ParseError> {
    let single = handler == *b"soun" && samples.list.len() > 1 && samples.duration(0) <= 1;
    if single { Err(ParseError::Unsupported("uncompressed sound")) } else { Ok(samples) }
}
