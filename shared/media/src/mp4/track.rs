//! One track (`trak`, ISO/IEC 14496-12, 8.3): what it is, how it is shown, and its place on the movie's timeline.

use std::ops::Range;

use domain::{quality::PictureSize, time::MediaTime};

use super::{
    boxes::{Children, Cursor, FourCc, ParseError, find, need},
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
    /// Length of the `mdhd`, in ticks; for a track whose samples are not listed.
    media_duration: i64,
}

/// The largest edit that is taken seriously, in ticks or movie ticks: keeps all sums far below overflow.
const EDIT_MAX: i64 = 1 << 52;

impl Track {
    /// The kind of media in a `trak` (`hdlr`, 8.4.3).
    pub(crate) fn handler(trak: &[u8]) -> Result<FourCc, ParseError> {
        let mdia = need(trak, b"mdia", "a track has no mdia")?;
        let mut hdlr = Cursor(need(mdia, b"hdlr", "a track has no hdlr")?);
        hdlr.skip(8)?;
        hdlr.array()
    }

    /// Reads a `trak`, the file's `number`th, whose media is `handler`. `None` for a track without samples.
    pub(crate) fn read(
        trak: &[u8],
        (number, handler): (u32, FourCc),
        movie_timescale: u32,
    ) -> Result<Option<Self>, ParseError> {
        let mdia = need(trak, b"mdia", "a track has no mdia")?;
        let (timescale, media_duration, language) = mdhd(need(mdia, b"mdhd", "a track has no mdhd")?)?;
        let minf = need(mdia, b"minf", "a track has no minf")?;
        let stbl = need(minf, b"stbl", "a track has no stbl")?;
        let stsd = need(stbl, b"stsd", "a track has no stsd")?;
        let (codec, references) = sample_entries(stsd)?;
        let edit = Edit::read(trak, timescale, movie_timescale);
        let samples = match check_supported(codec, minf, &references).and(edit) {
            Ok(edit) => Samples::read(stbl, edit.shift()).and_then(|samples| check_sound(handler, samples)),
            Err(error) => Err(error),
        };
        let mut shown = edit.map_or(i64::MIN..i64::MAX, |edit| edit.shown());
        let samples = match samples {
            Ok(samples) if samples.list.is_empty() => return Ok(None),
            Ok(mut samples) => {
                // Like FFmpeg, and so like the times that `ffprobe` prints: when an edit begins between two
                // pictures, the first one that is shown moves to the edit's beginning, and the rest with it.
                if edit.is_ok_and(|edit| edit.exists) {
                    let first = samples.first_at(shown.start, handler == *b"soun");
                    let late = first.map_or(0, |first| first - shown.start);
                    samples.delay(-late);
                    shown.end = shown.end.saturating_sub(late);
                }
                Ok(samples)
            }
            Err(ParseError::Unsupported(why)) => Err(why),
            Err(error) => return Err(error),
        };
        let geometry = geometry(need(trak, b"tkhd", "a track has no tkhd")?)?;
        let stsd = stsd.to_vec();
        Ok(Some(Self {
            number,
            handler,
            timescale,
            codec,
            shown,
            samples,
            stsd,
            geometry,
            language,
            media_duration,
        }))
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

/// Matrix, width and height of a `tkhd` (8.3.2), its last 44 bytes.
fn geometry(body: &[u8]) -> Result<[u8; 44], ParseError> {
    let mut cursor = Cursor(body);
    let (version, _) = cursor.version_flags()?;
    cursor.skip(if version == 1 { 48 } else { 36 })?;
    cursor.array()
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

/// Media that is encrypted or lies in another file cannot be taken from this one.
fn check_supported(codec: FourCc, minf: &[u8], references: &[u16]) -> Result<(), ParseError> {
    if matches!(&codec, b"encv" | b"enca" | b"drmi" | b"drms") {
        return Err(ParseError::Unsupported("the media is encrypted"));
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
fn check_sound(handler: FourCc, samples: Samples) -> Result<Samples, ParseError> {
    let single = handler == *b"soun" && samples.list.len() > 1 && samples.duration(0) <= 1;
    if single { Err(ParseError::Unsupported("uncompressed sound")) } else { Ok(samples) }
}

/// What the edit list (`elst`, 8.6.6) does: a delay, a first instant of the media, and a length.
#[derive(Clone, Copy)]
struct Edit {
    /// Whether there is one at all.
    exists: bool,
    /// Sum of the leading empty edits, in ticks.
    delay: i64,
    /// The media's instant that is shown first, in ticks.
    media_time: i64,
    /// How much of the media is shown, in ticks; `None` for all of it.
    length: Option<i64>,
}

impl Edit {
    const NONE: Self = Self { exists: false, delay: 0, media_time: 0, length: None };

    const fn shift(&self) -> i64 {
        self.delay - self.media_time
    }

    const fn shown(&self) -> Range<i64> {
        match self.length {
            Some(length) => self.delay..self.delay + length,
            None if self.exists => self.delay..i64::MAX,
            None => i64::MIN..i64::MAX,
        }
    }

    fn read(trak: &[u8], timescale: u32, movie_timescale: u32) -> Result<Self, ParseError> {
        let Some(edts) = find(trak, b"edts")? else { return Ok(Self::NONE) };
        let Some(elst) = find(edts, b"elst")? else { return Ok(Self::NONE) };
        let mut cursor = Cursor(elst);
        let (version, _) = cursor.version_flags()?;
        let entries: Vec<(u64, i64, u32)> = if version == 1 {
            let parse = |entry: &[u8; 20]| {
                let mut entry = Cursor(entry);
                Ok((entry.u64()?, entry.u64()?.cast_signed(), entry.u32()?))
            };
            cursor.table::<20>()?.iter().map(parse).collect::<Result<_, _>>()?
        } else {
            let parse = |entry: &[u8; 12]| {
                let mut entry = Cursor(entry);
                Ok((entry.u32()?.into(), entry.i32()?.into(), entry.u32()?))
            };
            cursor.table::<12>()?.iter().map(parse).collect::<Result<_, _>>()?
        };
        Self::reduce(&entries, timescale, movie_timescale)
    }

    fn reduce(entries: &[(u64, i64, u32)], timescale: u32, movie_timescale: u32) -> Result<Self, ParseError> {
        let mut edit = Self::NONE;
        let mut entries = entries.iter().peekable();
        while let Some((duration, _, _)) = entries.next_if(|(_, media_time, _)| *media_time == -1) {
            edit.delay += ticks(*duration, timescale, movie_timescale)?;
            if edit.delay > EDIT_MAX {
                return Err(ParseError::Malformed("an edit list is absurdly long"));
            }
        }
        let Some((duration, media_time, rate)) = entries.next().copied() else {
            return if edit.delay == 0 {
                Ok(edit)
            } else {
                Err(ParseError::Unsupported("an empty edit list"))
            };
        };
        if entries.next().is_some() || rate != 0x1_0000 {
            return Err(ParseError::Unsupported("an edit list with several edits"));
        }
        if !(0..=EDIT_MAX).contains(&media_time) {
            return Err(ParseError::Malformed("an edit begins outside of the media"));
        }
        edit.exists = true;
        edit.media_time = media_time;
        edit.length = if duration == 0 { None } else { Some(ticks(duration, timescale, movie_timescale)?) };
        Ok(edit)
    }
}

/// Movie ticks as track ticks, rounded to the nearest as FFmpeg does (away from zero on a tie).
fn ticks(duration: u64, timescale: u32, movie_timescale: u32) -> Result<i64, ParseError> {
    let scale = u128::from(movie_timescale.max(1));
    let ticks = (u128::from(duration) * u128::from(timescale) + scale / 2) / scale;
    i64::try_from(ticks)
        .ok()
        .filter(|ticks| *ticks <= EDIT_MAX)
        .ok_or(ParseError::Malformed("an edit list is absurdly long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 0x1_0000;

    #[test]
    fn leading_empty_edits_are_summed() {
        let edit =
            Edit::reduce(&[(100, -1, RATE), (400, -1, RATE), (2000, 1024, RATE)], 48_000, 1000).unwrap();
        assert_eq!((edit.delay, edit.media_time, edit.length), (24_000, 1024, Some(96_000)));
        assert_eq!(edit.shift(), 22_976);
        assert_eq!(edit.shown(), 24_000..120_000);
    }

    #[test]
    fn an_edit_of_no_length_shows_all() {
        assert_eq!(Edit::reduce(&[(0, 512, RATE)], 12_800, 1000).unwrap().shown(), 0..i64::MAX);
    }

    #[test]
    fn what_is_beyond_one_edit_is_not_guessed_at() {
        for entries in [&[(1, 0, RATE), (1, 9, RATE)][..], &[(1, 0, 0)], &[(1, 0, RATE), (1, -1, RATE)]] {
            assert!(
                matches!(Edit::reduce(entries, 1000, 1000), Err(ParseError::Unsupported(_))),
                "{entries:?}"
            );
        }
        for entries in [&[(1, -2, RATE)][..], &[(u64::MAX, -1, RATE)], &[(1, i64::MAX, RATE)]] {
            assert!(matches!(Edit::reduce(entries, 1000, 1), Err(ParseError::Malformed(_))), "{entries:?}");
        }
    }
}
