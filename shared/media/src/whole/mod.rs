//! A whole source as one file: copied where its codecs fit MP4, else encoded.
//!
//! The copy needs nothing but the source's index: a header of ours in front, then byte ranges of the source, so it
//! can be carried in parts by whoever can read the source. Invariant: it has every sample of the two tracks, bit by
//! bit, each at its own time.

mod check;
mod convert;

use std::ops::Range;

use domain::{
    quality::{PictureSize, Quality},
    time::MediaTime,
};
use serde::{Deserialize, Serialize};

pub use check::{Checked, check};
pub use convert::{convert, too_long_to_encode};

use crate::mp4::{
    Index, Ranges, Samples, SpanError, SpanFile, Track, Wanted, coalesce_within,
    movie::{Chunk, MovieSample, MovieTrack, header},
};

/// Sample entries (`stsd`) of pictures that play in MP4: H.264, H.265, AV1, VP9.
const PICTURES: [&[u8; 4]; 6] = [b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09"];
/// Sample entries of sound that plays in MP4: AAC and MP3, MP3 as QuickTime names it, Opus, AC-3, E-AC-3.
const SOUNDS: [&[u8; 4]; 5] = [b"mp4a", b".mp3", b"Opus", b"ac-3", b"ec-3"];

/// More requests than this for one file are not made; instead, what lies between is read along. At 50 ms each they
/// take 7 minutes.
const RANGES_MAX: usize = 8192;

/// QuickTime's brand: its sample entries mean other things than those of MP4. As long as the header's own `ftyp`.
const QUICKTIME: &[u8; 32] = b"\0\0\0\x20ftypqt  \0\0\x02\0qt  qt  qt  qt  ";

/// A file: `header`, followed by the bytes of `ranges` of the source in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// `ftyp`, `moov` and the `mdat`'s header.
    pub header: Vec<u8>,
    /// Byte ranges of the source, rising and apart from each other.
    pub ranges: Vec<Range<u64>>,
    /// Length of the file in bytes, header included.
    pub bytes_total: u64,
}

/// What a file must have in common with the source that it was copied from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// How many coded pictures there are.
    pub frames: usize,
    /// How many packets of sound there are.
    pub packets: usize,
    /// How many bytes they have together.
    pub bytes: u64,
    /// The picture as it is shown.
    pub picture: Option<PictureSize>,
    /// Length of the presentation.
    pub duration: MediaTime,
}

/// By how much a length may differ: clocks of movies are rounded to their own ticks.
const DURATION_TOLERANCE_US: u64 = 1000;

impl Facts {
    /// The facts of an indexed file.
    #[must_use]
    pub fn of(index: &Index) -> Self {
        let list = |track: &Option<Track>| {
            let samples = track.as_ref().and_then(|track| track.samples.as_ref().ok());
            let bytes =
                samples.map_or(0, |s| s.list.iter().map(|sample| u64::from(sample.size)).sum::<u64>());
            (samples.map_or(0, |samples| samples.list.len()), bytes)
        };
        let ((frames, seen), (packets, heard)) = (list(&index.video), list(&index.audio));
        let picture = index.video.as_ref().and_then(Track::picture);
        Self { frames, packets, bytes: seen + heard, picture, duration: index.duration() }
    }

    /// Whether these are the same, but for rounding.
    #[must_use]
    pub fn agree(&self, other: &Self) -> bool {
        let apart = self.duration.0.abs_diff(other.duration.0);
        apart <= DURATION_TOLERANCE_US && *self == Self { duration: self.duration, ..other.clone() }
    }
}

/// Whether the codecs fit MP4, and the picture `quality`.
#[must_use]
pub fn fits(index: &Index, quality: Quality) -> bool {
    let picture = index.video.as_ref().is_some_and(|track| {
        PICTURES.contains(&&track.codec) && track.picture().is_some_and(|picture| picture.fits(quality))
    });
    picture && index.audio.as_ref().is_none_or(|track| SOUNDS.contains(&&track.codec))
}

impl Whole {
    /// Plans the file. A track that the source does not have is left out.
    ///
    /// # Errors
    /// [`SpanError`]: `Unsupported` if the samples cannot be told apart or have no place in one plain MP4 file.
    pub fn plan(index: &Index, wanted: Wanted) -> Result<Self, SpanError> {
        let (video, audio) = (index.video.as_ref(), index.audio.as_ref());
        let tracks = [video.filter(|_| wanted.video), audio.filter(|_| wanted.audio)];
        let lanes = tracks.into_iter().flatten().map(|track| match &track.samples {
            Ok(samples) if samples.description == 1 => Ok((track, samples)),
            Ok(_) => Err(SpanError::Unsupported("several sample descriptions")),
            Err(why) => Err(SpanError::Unsupported(why)),
        });
        let lanes = lanes.collect::<Result<Vec<_>, _>>()?;
        if lanes.is_empty() {
            return Err(SpanError::Nothing);
        }
        let ranges =
            coalesce_within(lanes.iter().flat_map(|(_, samples)| runs(samples)).collect(), RANGES_MAX);
        let body_len: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let tracks = lanes.into_iter().map(|(track, samples)| lane(track, samples, &ranges));
        let mut header = header(&tracks.collect::<Result<Vec<_>, _>>()?, body_len);
        if index.ftyp.as_deref().is_some_and(|ftyp| ftyp.get(8..12) == Some(b"qt  "))
            && let Some(brand) = header.get_mut(..QUICKTIME.len())
        {
            brand.copy_from_slice(QUICKTIME);
        }
        let bytes_total = header.len() as u64 + body_len;
        Ok(Self { header, ranges: ranges.into_list(), bytes_total })
    }
}

impl From<Whole> for SpanFile {
    fn from(Whole { header, ranges, bytes_total }: Whole) -> Self {
        Self { header, ranges, origin: MediaTime::ZERO, bytes_total, frames: None, pace: None }
    }
}

/// The bytes of the samples, those that lie one behind the other joined.
fn runs(samples: &Samples) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for sample in &samples.list {
        let end = sample.offset.saturating_add(sample.size.into());
        match runs.last_mut() {
            Some(run) if run.end == sample.offset => run.end = end,
            _ => runs.push(sample.offset..end),
        }
    }
    runs
}

/// The track with all its samples; what the source's edit list hides stays hidden.
fn lane(track: &Track, samples: &Samples, ranges: &Ranges) -> Result<MovieTrack, SpanError> {
    let list = &samples.list;
    let zero = list.first().map_or(0, |sample| sample.dts);
    // Nothing is shown before it is decoded: all is shown by as much later as that takes.
    let late = list.iter().map(|sample| -i64::from(sample.cts)).max().unwrap_or(0).max(0);
    let start = samples.first_at(track.shown.start, track.handler == *b"soun").ok_or(SpanError::Nothing)?;
    if start < 0 {
        return Err(SpanError::Unsupported("a track begins before the movie"));
    }
    let ends = list.iter().enumerate().map(|(n, sample)| sample.pts() + samples.duration(n));
    let end = ends.max().unwrap_or(start).min(track.shown.end);
    let is_sync = |n: usize| match &samples.sync {
        Some(sync) => u32::try_from(n).is_ok_and(|n| sync.binary_search(&n).is_ok()),
        None => true,
    };
    let sample = |(n, sample): (usize, &crate::mp4::Sample)| {
        let cts = u32::try_from(i64::from(sample.cts) + late);
        let cts =
            cts.map_err(|_| SpanError::Unsupported("a picture is shown much later than it is decoded"))?;
        Ok(MovieSample { dts: sample.dts - zero, cts, size: sample.size, sync: is_sync(n) })
    };
    Ok(MovieTrack {
        handler: track.handler,
        timescale: track.timescale,
        language: track.language,
        geometry: track.geometry,
        stsd: track.stsd.clone(),
        samples: list.iter().enumerate().map(sample).collect::<Result<_, _>>()?,
        last_duration: samples.last_duration,
        chunks: chunks(track, samples, ranges),
        delay: start,
        media_time: start - zero + late,
        length: (end - start).max(0),
    })
}

/// Samples that lie one behind the other, a second of them at most: players read a chunk at a time.
fn chunks(track: &Track, samples: &Samples, ranges: &Ranges) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let (mut next, mut until) = (None, i64::MIN);
    for sample in &samples.list {
        match chunks.last_mut() {
            Some(chunk) if next == Some(sample.offset) && sample.dts < until => chunk.samples += 1,
            _ => {
                chunks.push(Chunk { samples: 1, position: ranges.position(sample.offset) });
                until = sample.dts.saturating_add(track.timescale.into());
            }
        }
        next = sample.offset.checked_add(sample.size.into());
    }
    chunks
}

/// Where some bytes of a file come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// From the header.
    Header(Range<u64>),
    /// From the source.
    Source(Range<u64>),
}

/// Where the bytes `part` of a file come from that consists of a header of `header_len` bytes and `ranges` of the
/// source.
#[must_use]
pub fn pieces(header_len: u64, ranges: &[Range<u64>], part: Range<u64>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if part.start < header_len.min(part.end) {
        pieces.push(Piece::Header(part.start..part.end.min(header_len)));
    }
    let mut at = header_len;
    for range in ranges {
        let end = at + (range.end - range.start);
        let (from, to) = (part.start.max(at), part.end.min(end));
        if from < to {
            pieces.push(Piece::Source(range.start + (from - at)..range.start + (to - at)));
        }
        at = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pieces_of_all_parts_are_the_file(
            header in 0..50u64,
            steps in prop::collection::vec((1..20u64, 1..90u64), 0..20),
            part in 1..60u64,
        ) {
            let mut at = 0;
            let ranges: Vec<Range<u64>> = steps.iter().map(|(gap, len)| {
                let start = at + gap;
                at = start + len;
                start..at
            }).collect();
            let total = header + ranges.iter().map(|range| range.end - range.start).sum::<u64>();
            // Bytes of the header are numbered below zero here, those of the source from zero on.
            let whole: Vec<i64> = (0..header).map(|n| -1 - n.cast_signed())
                .chain(ranges.iter().cloned().flatten().map(u64::cast_signed)).collect();
            let found: Vec<i64> = (0..total.div_ceil(part))
                .flat_map(|n| pieces(header, &ranges, n * part..((n + 1) * part).min(total)))
                .flat_map(|piece| match piece {
                    Piece::Header(bytes) => bytes.map(|n| -1 - n.cast_signed()).collect::<Vec<_>>(),
                    Piece::Source(bytes) => bytes.map(u64::cast_signed).collect(),
                }).collect();
            prop_assert_eq!(found, whole);
        }
    }
}
