//! The header of a small MP4 file around samples that stay as they are.
//!
//! Every sample is a chunk of its own, so that chunks may lie anywhere in the `mdat`, gaps and other tracks'
//! bytes between them included.

use super::boxes::{put, write, write_full};

/// A sample of the file to be written.
pub(crate) struct LocalSample {
    /// Decoding time in ticks, only its differences count.
    pub(crate) dts: i64,
    /// Presentation time in ticks, not negative.
    pub(crate) pts: i64,
    pub(crate) size: u32,
    /// Place in the body of the `mdat`.
    pub(crate) position: u64,
    pub(crate) sync: bool,
}

/// A track of the file to be written.
pub(crate) struct LocalTrack<'a> {
    pub(crate) source: &'a super::Track,
    pub(crate) samples: Vec<LocalSample>,
    pub(crate) description: u32,
    /// Duration of the last sample in ticks.
    pub(crate) last_duration: u32,
    /// Presentation times to show, in ticks; `None` shows everything and writes no edit list.
    pub(crate) shown: Option<std::ops::Range<i64>>,
}

/// Everything in front of the `mdat`'s body of `body_len` bytes: `ftyp`, `moov` and the `mdat`'s own header.
/// `movie_timescale` must be a multiple of the timescale of every track that has an edit list. Fails when an
/// offset between two times does not fit its field.
pub(crate) fn header(
    ftyp: Option<&[u8]>,
    tracks: &[LocalTrack<'_>],
    movie_timescale: u32,
    body_len: u64,
) -> Result<Vec<u8>, &'static str> {
    let ftyp = ftyp.unwrap_or_default();
    let offsets = tracks.iter().map(composition_offsets).collect::<Result<Vec<_>, _>>()?;
    // `co64` has the same length for all offsets, so the first pass tells where the body begins.
    let len = moov(tracks, &offsets, movie_timescale, 0).len();
    let body_at = (ftyp.len() + len + 16) as u64;
    let mut out = ftyp.to_vec();
    out.extend(moov(tracks, &offsets, movie_timescale, body_at));
    put(&mut out, &[1]);
    out.extend_from_slice(b"mdat");
    out.extend_from_slice(&(body_len + 16).to_be_bytes());
    Ok(out)
}

/// `ctts` values that put each sample at its own time although decoding begins at zero. None for sound with an
/// edit list, which says the same: FFmpeg counts both for sound.
fn composition_offsets(track: &LocalTrack<'_>) -> Result<Vec<i32>, &'static str> {
    if track.shown.is_some() && track.is_sound() {
        return Ok(Vec::new());
    }
    let zero = track.samples.first().map_or(0, |sample| sample.dts);
    let offset = |sample: &LocalSample| i32::try_from(sample.pts - (sample.dts - zero));
    track.samples.iter().map(offset).collect::<Result<_, _>>().map_err(|_| "a track's clock is too fast")
}

impl LocalTrack<'_> {
    fn is_sound(&self) -> bool {
        self.source.handler == *b"soun"
    }

    /// The media's own time of the first shown instant, in ticks.
    fn media_time(&self, shown: &std::ops::Range<i64>) -> i64 {
        let late = if self.is_sound() { self.samples.first().map_or(0, |sample| sample.pts) } else { 0 };
        (shown.start - late).max(0)
    }
}

fn moov(tracks: &[LocalTrack<'_>], offsets: &[Vec<i32>], timescale: u32, body_at: u64) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, b"moov", |out| {
        write_full(out, b"mvhd", 0, 0, |out| {
            put(out, &[0, 0, timescale, 0, 0x1_0000, 0x0100_0000, 0, 0]);
            put(out, &[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
            put(out, &[0, 0, 0, 0, 0, 0, 3]);
        });
        for (number, (track, offsets)) in (1..).zip(tracks.iter().zip(offsets)) {
            write(out, b"trak", |out| trak(out, number, track, offsets, timescale, body_at));
        }
    });
    out
}

fn trak(
    out: &mut Vec<u8>,
    number: u32,
    track: &LocalTrack<'_>,
    offsets: &[i32],
    movie_timescale: u32,
    body_at: u64,
) {
    let is_video = !track.is_sound();
    write_full(out, b"tkhd", 0, 3, |out| {
        put(out, &[0, 0, number, 0, 0, 0, 0, 0]);
        put(out, &[if is_video { 0 } else { 0x0100_0000 }]);
        out.extend_from_slice(&track.source.geometry);
    });
    if let Some(shown) = &track.shown {
        write(out, b"edts", |out| edit_list(out, shown, track, movie_timescale));
    }
    write(out, b"mdia", |out| {
        let ticks =
            track.samples.last().zip(track.samples.first()).map_or(0, |(last, first)| last.dts - first.dts);
        let ticks = u64::try_from(ticks).unwrap_or(0) + u64::from(track.last_duration);
        write_full(out, b"mdhd", 1, 0, |out| {
            out.extend_from_slice(&[0; 16]);
            put(out, &[track.source.timescale]);
            out.extend_from_slice(&ticks.to_be_bytes());
            put(out, &[u32::from(track.source.language) << 16]);
        });
        write_full(out, b"hdlr", 0, 0, |out| {
            put(out, &[0]);
            out.extend_from_slice(&track.source.handler);
            out.extend_from_slice(&[0; 13]);
        });
        write(out, b"minf", |out| {
            if is_video {
                write_full(out, b"vmhd", 0, 1, |out| put(out, &[0, 0]));
            } else {
                write_full(out, b"smhd", 0, 0, |out| put(out, &[0]));
            }
            write(out, b"dinf", |out| {
                write_full(out, b"dref", 0, 0, |out| {
                    put(out, &[1]);
                    write_full(out, b"url ", 0, 1, |_| {});
                });
            });
            write(out, b"stbl", |out| sample_table(out, track, offsets, body_at));
        });
    });
}

/// An empty edit up to the first shown instant, then the media from that instant on: it hides what is outside and
/// leaves the rest at its time.
fn edit_list(out: &mut Vec<u8>, shown: &std::ops::Range<i64>, track: &LocalTrack<'_>, movie_timescale: u32) {
    let factor = i64::from(movie_timescale / track.source.timescale.max(1));
    write_full(out, b"elst", 1, 0, |out| {
        put(out, &[1 + u32::from(shown.start > 0)]);
        if shown.start > 0 {
            out.extend_from_slice(&(shown.start * factor).to_be_bytes());
            out.extend_from_slice(&(-1i64).to_be_bytes());
            put(out, &[0x1_0000]);
        }
        out.extend_from_slice(&((shown.end - shown.start) * factor).to_be_bytes());
        out.extend_from_slice(&track.media_time(shown).to_be_bytes());
        put(out, &[0x1_0000]);
    });
}

fn sample_table(out: &mut Vec<u8>, track: &LocalTrack<'_>, offsets: &[i32], body_at: u64) {
    let samples = &track.samples;
    write(out, b"stsd", |out| out.extend_from_slice(&track.source.stsd));
    let steps = samples.windows(2).map(|pair| match pair {
        [this, next] => u32::try_from(next.dts - this.dts).unwrap_or(0),
        _ => 0,
    });
    run_lengths(out, b"stts", 0, steps.chain([track.last_duration]));
    if !offsets.is_empty() {
        run_lengths(out, b"ctts", 1, offsets.iter().map(|offset| offset.cast_unsigned()));
    }
    if samples.iter().any(|sample| !sample.sync) {
        let numbers: Vec<u32> =
            (1..).zip(samples).filter(|(_, sample)| sample.sync).map(|(n, _)| n).collect();
        write_full(out, b"stss", 0, 0, |out| {
            put(out, &[count(numbers.len())]);
            put(out, &numbers);
        });
    }
    write_full(out, b"stsc", 0, 0, |out| put(out, &[1, 1, 1, track.description]));
    write_full(out, b"stsz", 0, 0, |out| {
        put(out, &[0, count(samples.len())]);
        samples.iter().for_each(|sample| put(out, &[sample.size]));
    });
    write_full(out, b"co64", 0, 0, |out| {
        put(out, &[count(samples.len())]);
        samples.iter().for_each(|sample| out.extend_from_slice(&(body_at + sample.position).to_be_bytes()));
    });
}

/// `stts` and `ctts` are both lists of (how many samples, value).
pub(super) fn run_lengths(out: &mut Vec<u8>, kind: &[u8; 4], version: u8, values: impl Iterator<Item = u32>) {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => runs.push((1, value)),
        }
    }
    write_full(out, kind, version, 0, |out| {
        put(out, &[count(runs.len())]);
        runs.iter().for_each(|(count, value)| put(out, &[*count, *value]));
    });
}

/// A table's length; the reader's bound on samples keeps it far below 2^32.
pub(super) fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
