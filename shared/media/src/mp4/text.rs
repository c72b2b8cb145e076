//! Text tracks: 3GPP timed text (`tx3g`, 3GPP TS 26.245, also called `mov_text`) and WebVTT (`wvtt`, ISO/IEC 14496-30).
//!
//! Only the text's own bytes are read. Text in fragments is not looked for.

use std::ops::Range;

use bytes::Bytes;
use domain::time::MediaTime;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    boxes::{Children, find, need},
    index::{IndexError, moov},
    read::ReadAt,
    track::Track,
    walk::{Bounded, HEAD_LEN, Walk},
};

/// How many tracks of a file are looked at.
const TRACKS_MAX: usize = 64;
/// The most cues of one track. One more is read, so that whoever counts can tell that there are more.
const CUES_MAX: usize = 100_000;
/// Text is small: a larger sample is none.
const SAMPLE_BYTES_MAX: u32 = 64 << 10;
/// Samples this close, in bytes, are read together, and up to how many bytes.
const GAP_MAX: u64 = 32 << 10;
const READ_BYTES_MAX: u64 = 1 << 20;
/// Text lies between picture and sound, so its reads are many: how many are under way at once.
const READS: usize = 8;

/// A track of text.
#[derive(Debug)]
pub struct TextTrack {
    /// ISO 639-2 code; `und` if the file does not tell.
    pub language: String,
    is_webvtt: bool,
    track: Track,
}

/// What is shown between two times. The text may have several lines, and WebVTT's markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// When it begins.
    pub start: MediaTime,
    /// When it ends.
    pub end: MediaTime,
    /// The text.
    pub text: String,
}

/// The text tracks of a file; tracks of other formats are left out.
///
/// # Errors
/// [`IndexError`].
pub async fn text_tracks<S: ReadAt + Sync>(source: &S) -> Result<Vec<TextTrack>, IndexError<S::Error>> {
    let bounded = Bounded::new(source);
    let (_, moov) = moov(&bounded, &mut Walk::new(&bounded, 0, source.len(), HEAD_LEN)).await?;
    let mvhd = need(&moov, b"mvhd", "the moov has no mvhd")?;
    let timescale = mvhd.get(if mvhd.first() == Some(&1) { 20..24 } else { 12..16 });
    let timescale = timescale.and_then(|word| word.try_into().ok()).map_or(1000, u32::from_be_bytes);
    let traks = Children(&moov).filter_map(Result::ok).filter(|(kind, _)| kind == b"trak").take(TRACKS_MAX);
    let tracks = traks.enumerate().filter_map(|(number, (_, trak))| {
        let handler =
            Track::handler(trak).ok().filter(|kind| matches!(kind, b"text" | b"sbtl" | b"subt" | b"clcp"))?;
        let track =
            Track::read(trak, (u32::try_from(number).ok()?, handler), timescale, source.len()).ok()?;
        let is_webvtt = match &track.codec {
            b"tx3g" | b"text" => false,
            b"wvtt" => true,
            _ => return None,
        };
        (!track.is_empty()).then(|| TextTrack { language: language(track.language), is_webvtt, track })
    });
    Ok(tracks.collect())
}

impl TextTrack {
    /// Reads the text. Samples without any are gaps and no cues.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn cues<S: ReadAt + Sync>(&self, source: &S) -> Result<Vec<Cue>, S::Error> {
        let Ok(samples) = &self.track.samples else { return Ok(Vec::new()) };
        // An empty sample of 3GPP text is its length alone.
        let wanted: Vec<usize> = (0..samples.list.len())
            .filter(|&n| (3..=SAMPLE_BYTES_MAX).contains(&samples.list[n].size))
            .filter(|&n| samples.list[n].offset + u64::from(samples.list[n].size) <= source.len())
            .take(CUES_MAX + 1)
            .collect();
        let place =
            |n: usize| samples.list[n].offset..samples.list[n].offset + u64::from(samples.list[n].size);
        let reads = together(wanted.iter().map(|&n| place(n)));
        let read = |range: Range<u64>| async move {
            source.read_at(range.start, range.end - range.start).await.map(|bytes| (range.start, bytes))
        };
        let parts: Vec<(u64, Bytes)> = stream::iter(reads).map(read).buffered(READS).try_collect().await?;
        let cues = wanted.into_iter().filter_map(|n| {
            let place = place(n);
            let part = parts.partition_point(|(at, _)| *at <= place.start).checked_sub(1)?;
            let (at, bytes) = &parts[part];
            let inside = |offset: u64| usize::try_from(offset - at).ok();
            let sample = bytes.get(inside(place.start)?..inside(place.end)?)?;
            let text = if self.is_webvtt { webvtt(sample) } else { timed_text(sample)? };
            let start = samples.list[n].pts();
            let time = |ticks| MediaTime::from_ticks(ticks, self.track.timescale);
            let (start, end) = (time(start), time(start + samples.duration(n)));
            (!text.trim().is_empty()).then_some(Cue { start, end, text })
        });
        Ok(cues.collect())
    }
}

/// Ranges in the order of the file, those close to each other as one. Of samples that lie elsewhere than in order the
/// later ones begin a range of their own.
fn together(places: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut places: Vec<Range<u64>> = places.collect();
    places.sort_by_key(|place| place.start);
    let mut reads: Vec<Range<u64>> = Vec::new();
    for place in places {
        match reads.last_mut() {
            Some(last) if place.start <= last.end + GAP_MAX && place.end <= last.start + READ_BYTES_MAX => {
                last.end = last.end.max(place.end);
            }
            _ => reads.push(place),
        }
    }
    reads
}

/// The text of a `tx3g` sample: its length in two bytes, then UTF-8, or UTF-16 behind its byte-order mark.
fn timed_text(sample: &[u8]) -> Option<String> {
    let (len, rest) = sample.split_first_chunk::<2>()?;
    let text = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
    Some(match text {
        [0xfe, 0xff, wide @ ..] => {
            let units: Vec<u16> =
                wide.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        text => String::from_utf8_lossy(text).into_owned(),
    })
}

/// The text of a `wvtt` sample: a `payl` in each of its `vttc` boxes.
fn webvtt(sample: &[u8]) -> String {
    let cues = Children(sample).filter_map(Result::ok).filter(|(kind, _)| kind == b"vttc");
    let texts = cues.filter_map(|(_, cue)| find(cue, b"payl").ok()?).map(String::from_utf8_lossy);
    texts.collect::<Vec<_>>().join("\n")
}

/// Three letters of five bits each, counted from 0x60 (ISO/IEC 14496-12, 8.4.2).
fn language(packed: u16) -> String {
    let letters = [packed >> 10, packed >> 5, packed].map(|five| 0x60 + (five & 0x1f) as u8);
    let letters =
        letters.iter().all(u8::is_ascii_lowercase).then(|| letters.map(char::from).iter().collect());
    letters.unwrap_or_else(|| "und".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_both_kinds() {
        assert_eq!(timed_text(b"\0\x05Hello\0\0\0\x0cstyl\0\0\0\0").as_deref(), Some("Hello"));
        assert_eq!(timed_text(b"\0\x06\xfe\xff\x4f\x60\x59\x7d").as_deref(), Some("你好"));
        assert_eq!(timed_text(b"\0\xffshort"), None);
        assert_eq!(timed_text(b"\0"), None);
        assert_eq!(webvtt(b"\0\0\0\x15vttc\0\0\0\x0dpayl<i>Hi\0\0\0\x08vtte"), "<i>Hi");
        assert_eq!(webvtt(b"\xff\xff\xff\xffvttc"), "");
        assert_eq!(
            (language(0x15c7), language(0), language(0xffff)),
            ("eng".into(), "und".into(), "und".into())
        );
    }

    #[test]
    fn reads_what_lies_close_at_once() {
        let reads = together([900_000..900_010, 0..10, 20..30, 5000..5010].into_iter());
        assert_eq!(reads, [0..5010, 900_000..900_010]);
        assert_eq!(together((0..100).map(|n| n * 30_000..n * 30_000 + 9)).len(), 3);
    }
}
