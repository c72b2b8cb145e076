//! The header of a clip as it is delivered: `ftyp`, `moov` and the `mdat`'s own header, in front of its media
//! (ISO/IEC 14496-12, 8.1 to 8.8).
//!
//! Invariant: how long a header is depends on its samples' number, times and chunks, not on their sizes, so that the
//! media can be written before all sizes are known.

use super::{
    boxes::{FourCc, put, write, write_full},
    write::{count, run_lengths},
};

/// The brands that FFmpeg writes too: what plays MP4 plays these (ISO/IEC 14496-12, annex E).
const FTYP: &[u8; 32] = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41";

/// The brands of a file of sound alone, as FFmpeg writes them: Apple's programs look for the first.
const FTYP_SOUND: &[u8; 28] = b"\0\0\0\x1cftypM4A \0\0\x02\0M4A isomiso2";

/// The largest clock of a movie: beyond it, an hour would no longer fit 32 bits in the tables of old players.
const TIMESCALE_MAX: u32 = 1_000_000;

/// Below this, players round visibly.
const TIMESCALE_MIN: u32 = 10_000;

/// A sample of a clip.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MovieSample {
    /// Decoding time in ticks; the first is 0.
    pub(crate) dts: i64,
    /// Presentation minus decoding time in ticks, not negative.
    pub(crate) cts: u32,
    /// Length in bytes.
    pub(crate) size: u32,
    pub(crate) sync: bool,
}

/// Samples that lie one behind the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    /// How many.
    pub(crate) samples: usize,
    /// Where the first begins in the body of the `mdat`, in bytes.
    pub(crate) position: u64,
}

/// A track of a clip. Its times are in ticks of `timescale`.
#[derive(Clone, Debug)]
pub(crate) struct MovieTrack {
    pub(crate) handler: FourCc,
    pub(crate) timescale: u32,
    /// As in [`super::Track`].
    pub(crate) language: u16,
    /// As in [`super::Track`].
    pub(crate) geometry: [u8; 44],
    /// Body of the `stsd`.
    pub(crate) stsd: Vec<u8>,
    /// In decoding order.
    pub(crate) samples: Vec<MovieSample>,
    /// Of the last sample.
    pub(crate) last_duration: u32,
    pub(crate) chunks: Vec<Chunk>,
    /// How long after the clip's zero the track begins.
    pub(crate) delay: i64,
    /// The media's own time at which it then begins.
    pub(crate) media_time: i64,
    /// How long it is presented from there.
    pub(crate) length: i64,
}

impl MovieTrack {
    fn is_sound(&self) -> bool {
        self.handler == *b"soun"
    }

    /// Sum of all durations (`mdhd`).
    fn media_duration(&self) -> u64 {
        let last = self.samples.last().map_or(0, |sample| sample.dts);
        u64::try_from(last).unwrap_or(0) + u64::from(self.last_duration)
    }

    /// `ticks` of this track on the movie's clock. Rounded up, which is exact when that is a multiple of the track's.
    fn movie_ticks(&self, ticks: i64, movie_timescale: u32) -> u64 {
        let ticks = i128::from(ticks.max(0)) * i128::from(movie_timescale);
        u64::try_from(-(-ticks).div_euclid(i128::from(self.timescale.max(1)))).unwrap_or(u64::MAX)
    }

    fn presented(&self, movie_timescale: u32) -> u64 {
        self.movie_ticks(self.delay, movie_timescale) + self.movie_ticks(self.length, movie_timescale)
    }
}

/// Everything in front of the `mdat`'s body of `body_len` bytes. The movie's clock is a multiple of the first track's,
/// and of the others' too if such a clock is not too fast.
pub(crate) fn header(tracks: &[MovieTrack], body_len: u64) -> Vec<u8> {
    let timescale = movie_timescale(tracks);
    let ftyp: &[u8] = if tracks.iter().all(MovieTrack::is_sound) { FTYP_SOUND } else { FTYP };
    let body_at = (ftyp.len() + moov(tracks, timescale, 0).len() + 16) as u64;
    let mut out = ftyp.to_vec();
    out.extend(moov(tracks, timescale, body_at));
    put(&mut out, &[1]);
    out.extend_from_slice(b"mdat");
    out.extend_from_slice(&(body_len + 16).to_be_bytes());
    out
}

fn movie_timescale(tracks: &[MovieTrack]) -> u32 {
    let first = tracks.first().map_or(1, |track| track.timescale.max(1));
    let common = |a: u32, b: u32| (a / gcd(a, b.max(1))).checked_mul(b.max(1));
    let all = tracks.iter().map(|track| track.timescale).try_fold(1, common);
    let mut timescale = all.filter(|all| *all <= TIMESCALE_MAX).unwrap_or(first);
    while timescale < TIMESCALE_MIN {
        timescale *= 2;
    }
    timescale
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn moov(tracks: &[MovieTrack], timescale: u32, body_at: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let duration = tracks.iter().map(|track| track.presented(timescale)).max().unwrap_or(0);
    let next = (1..).zip(tracks).map(|(number, _)| number + 1).last().unwrap_or(1);
    write(&mut out, b"moov", |out| {
        write_times(out, b"mvhd", 0, &[timescale], duration, |out| {
            put(out, &[0x1_0000, 0x0100_0000, 0, 0, 0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
            put(out, &[0, 0, 0, 0, 0, 0, next]);
        });
        for (number, track) in (1..).zip(tracks) {
            write(out, b"trak", |out| trak(out, number, track, timescale, body_at));
        }
    });
    out
}

/// A full box that begins with two dates, which are left out, some 32-bit fields and a duration; of version 1 where
/// the duration needs it.
fn write_times(
    out: &mut Vec<u8>,
    kind: &FourCc,
    flags: u32,
    fields: &[u32],
    duration: u64,
    rest: impl FnOnce(&mut Vec<u8>),
) {
    let narrow = u32::try_from(duration).ok();
    write_full(out, kind, u8::from(narrow.is_none()), flags, |out| {
        put(out, if narrow.is_some() { &[0; 2] } else { &[0; 4] });
        put(out, fields);
        match narrow {
            Some(duration) => put(out, &[duration]),
            None => out.extend_from_slice(&duration.to_be_bytes()),
        }
        rest(out);
    });
}

fn trak(out: &mut Vec<u8>, number: u32, track: &MovieTrack, movie_timescale: u32, body_at: u64) {
    let presented = track.presented(movie_timescale);
    write_times(out, b"tkhd", 3, &[number, 0], presented, |out| {
        // Layer and group of alternatives, then volume.
        put(out, &[0, 0]);
        put(out, if track.is_sound() { &[1, 0x0100_0000] } else { &[0, 0] });
        out.extend_from_slice(&track.geometry);
    });
    write(out, b"edts", |out| edit_list(out, track, movie_timescale));
    write(out, b"mdia", |out| {
        write_times(out, b"mdhd", 0, &[track.timescale], track.media_duration(), |out| {
            put(out, &[u32::from(track.language) << 16]);
        });
        write_full(out, b"hdlr", 0, 0, |out| {
            put(out, &[0]);
            out.extend_from_slice(&track.handler);
            out.extend_from_slice(&[0; 12]);
            out.extend_from_slice(if track.is_sound() { b"SoundHandler\0" } else { b"VideoHandler\0" });
        });
        write(out, b"minf", |out| {
            if track.is_sound() {
                write_full(out, b"smhd", 0, 0, |out| put(out, &[0]));
            } else {
                write_full(out, b"vmhd", 0, 1, |out| put(out, &[0, 0]));
            }
            write(out, b"dinf", |out| {
                write_full(out, b"dref", 0, 0, |out| {
                    put(out, &[1]);
                    write_full(out, b"url ", 0, 1, |_| {});
                });
            });
            write(out, b"stbl", |out| sample_table(out, track, body_at));
        });
    });
}

/// `elst` (8.6.6): an empty edit for the delay, then the media.
fn edit_list(out: &mut Vec<u8>, track: &MovieTrack, movie_timescale: u32) {
    let length = track.movie_ticks(track.length, movie_timescale);
    let delay = track.movie_ticks(track.delay, movie_timescale);
    let mut edits = vec![(length, track.media_time)];
    if delay > 0 {
        edits.insert(0, (delay, -1));
    }
    let narrow = |(length, at): &(u64, i64)| Some((u32::try_from(*length).ok()?, i32::try_from(*at).ok()?));
    let narrow: Option<Vec<_>> = edits.iter().map(narrow).collect();
    write_full(out, b"elst", u8::from(narrow.is_none()), 0, |out| {
        put(out, &[count(edits.len())]);
        if let Some(edits) = narrow {
            edits.into_iter().for_each(|(length, at)| put(out, &[length, at.cast_unsigned(), 0x1_0000]));
            return;
        }
        for (length, at) in edits {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&at.to_be_bytes());
            put(out, &[0x1_0000]);
        }
    });
}

/// `stbl` (8.5).
fn sample_table(out: &mut Vec<u8>, track: &MovieTrack, body_at: u64) {
    let samples = &track.samples;
    write(out, b"stsd", |out| out.extend_from_slice(&track.stsd));
    let steps = samples.windows(2).map(|pair| match pair {
        [this, next] => u32::try_from(next.dts - this.dts).unwrap_or(0),
        _ => 0,
    });
    run_lengths(out, b"stts", 0, steps.chain([track.last_duration]));
    if samples.iter().any(|sample| sample.cts > 0) {
        run_lengths(out, b"ctts", 0, samples.iter().map(|sample| sample.cts));
    }
    if samples.iter().any(|sample| !sample.sync) {
        let numbers = (1..).zip(samples).filter(|(_, sample)| sample.sync);
        let numbers: Vec<u32> = numbers.map(|(number, _)| number).collect();
        write_full(out, b"stss", 0, 0, |out| {
            put(out, &[count(numbers.len())]);
            put(out, &numbers);
        });
    }
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (number, chunk) in (1..).zip(&track.chunks) {
        if runs.last().is_none_or(|(_, samples)| *samples != count(chunk.samples)) {
            runs.push((number, count(chunk.samples)));
        }
    }
    write_full(out, b"stsc", 0, 0, |out| {
        put(out, &[count(runs.len())]);
        runs.iter().for_each(|(first, samples)| put(out, &[*first, *samples, 1]));
    });
    write_full(out, b"stsz", 0, 0, |out| {
        put(out, &[0, count(samples.len())]);
        samples.iter().for_each(|sample| put(out, &[sample.size]));
    });
    write_full(out, b"co64", 0, 0, |out| {
        put(out, &[count(track.chunks.len())]);
        track
            .chunks
            .iter()
            .for_each(|chunk| out.extend_from_slice(&(body_at + chunk.position).to_be_bytes()));
    });
}
