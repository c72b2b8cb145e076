//! Putting the parts of a clip into one MP4 file, its header in front.

use std::{
    fs::File,
    io::{BufWriter, Seek, SeekFrom, Write},
    path::Path,
    sync::Arc,
};

use super::{
    Reason,
    codec::Entry,
    ends::{Encoded, Ends},
    sound::Sound,
    source::{Media, Source},
};
use crate::{
    engine::VideoPlan,
    mp4::{
        Sample, Track,
        movie::{Chunk, MovieSample, MovieTrack, header},
    },
};

/// Picture and sound alternate this often a second: players read ahead less than that.
const CHUNKS_PER_SECOND: i128 = 2;

/// What a clip is made of.
pub(super) struct Clip {
    pub(super) source: Arc<Source>,
    pub(super) ends: Ends,
    pub(super) sound: Option<Sound>,
    pub(super) plan: VideoPlan,
}

/// Where a sample's bytes come from.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    /// A picture that is copied.
    Source(&'a Source, usize),
    /// A picture of an end.
    Encoded(&'a Encoded, usize),
    /// A sample as it is.
    Media(&'a Media, usize),
}

impl From<'_> {
    fn read(self) -> Result<Vec<u8>, Reason> {
        match self {
            Self::Source(source, index) => source.copied(index),
            Self::Encoded(encoded, index) => encoded.sample(index),
            Self::Media(media, index) => media.read(index),
        }
    }
}

/// A track and where its samples come from.
pub(super) struct Lane<'a> {
    track: MovieTrack,
    from: Vec<From<'a>>,
}

/// A picture: where it comes from, when it is shown in ticks, and whether it is a sync sample.
pub(super) type Shown<'a> = (From<'a>, i64, bool);

impl Clip {
    /// Writes the clip to `path`.
    pub(super) fn write(&self, path: &Path) -> Result<(), Reason> {
        self.write_of(self.frames(usize::MAX), self.sound.as_ref(), path)
    }

    /// Writes to `path` what has to be decoded to see that the parts fit: all that was encoded, and `behind` copied
    /// pictures behind the head. The tail begins with an IDR picture, like any place that a player jumps to. Answers how
    /// many pictures there are.
    pub(super) fn write_check(&self, behind: usize, path: &Path) -> Result<u64, Reason> {
        let frames = self.frames(behind);
        let count = frames.len() as u64;
        let sound = self.sound.as_ref().filter(|sound| sound.is_encoded);
        self.write_of(frames, sound, path).map(|()| count)
    }

    fn write_of(&self, frames: Vec<Shown<'_>>, sound: Option<&Sound>, path: &Path) -> Result<(), Reason> {
        let Source { track, description, codec, .. } = self.source.as_ref();
        let stsd = Entry::find(&track.stsd, *description)?.stsd(codec.as_ref(), self.ends.sets());
        let mut lanes = vec![picture_lane(track, stsd, frames, Times::of(&self.plan))?];
        lanes.extend(sound.map(sound_lane));
        write(&mut lanes, path)
    }

    /// The frames in decoding order, `copied` of those that are copied at most.
    fn frames(&self, copied: usize) -> Vec<Shown<'_>> {
        fn encoded(end: Option<&Encoded>) -> impl Iterator<Item = Shown<'_>> {
            let all = end.into_iter().flat_map(|end| end.pts.iter().enumerate().map(move |at| (end, at)));
            all.map(|(end, (index, pts))| (From::Encoded(end, index), *pts, index == 0))
        }
        let source = self.source.as_ref();
        let copied = source.parts.copy.clone().take(copied).filter_map(|index| {
            let picture = source.pictures.get(index)?;
            Some((From::Source(source, index), picture.pts, picture.idr))
        });
        let all = encoded(self.ends.head.as_ref()).chain(copied).chain(encoded(self.ends.tail.as_ref()));
        // A held picture is shown when the span starts.
        all.map(|(from, pts, is_sync)| (from, pts.max(self.plan.zero), is_sync)).collect()
    }
}

/// Writes pictures of the source, in decoding order, as a movie of their own, whose times are on a clock of `clock` ticks
/// a second.
pub(super) fn write_pictures(
    source: &Source,
    frames: Vec<Shown<'_>>,
    clock: u32,
    path: &Path,
) -> Result<(), Reason> {
    let Source { track, description, codec, .. } = source;
    let stsd = Entry::find(&track.stsd, *description)?.stsd(codec.as_ref(), None);
    let last = frames.iter().map(|(_, pts, _)| *pts).max().unwrap_or(0);
    let times = Times { first: 0, zero: 0, last, tail: 1 };
    let mut lane = picture_lane(track, stsd, frames, times)?;
    lane.track.timescale = clock;
    write(&mut [lane], path)
}

/// When a track of pictures is shown, on its own clock.
#[derive(Clone, Copy)]
pub(super) struct Times {
    /// The first picture.
    first: i64,
    /// The last one.
    last: i64,
    /// For how long.
    tail: i64,
    /// The clip's zero.
    zero: i64,
}

impl Times {
    pub(super) fn of(plan: &VideoPlan) -> Self {
        let (first, last) = (plan.first.max(plan.zero), plan.last.max(plan.zero));
        Self { first, last, tail: plan.tail, zero: plan.zero }
    }
}

/// The pictures of a clip, in decoding order, as a track like `like`. The times are on the clock of this track.
pub(super) fn picture_lane<'a>(
    like: &Track,
    stsd: Vec<u8>,
    frames: Vec<Shown<'a>>,
    times: Times,
) -> Result<Lane<'a>, Reason> {
    let first = times.first;
    let mut decoding: Vec<i64> = frames.iter().map(|(_, pts, _)| pts - first).collect();
    decoding.sort_unstable();
    // Decoding times are the presentation times in order; all are shown by as much later as the order demands.
    let early = |((_, pts, _), dts): (&Shown<'_>, &i64)| dts - (pts - first);
    let shift = frames.iter().zip(&decoding).map(early).max().unwrap_or(0).max(0);
    let sample = |((_, pts, sync), dts): (&Shown<'_>, &i64)| {
        let cts = u32::try_from(pts - first + shift - dts).map_err(|_| Reason::Timeline)?;
        Ok(MovieSample { dts: *dts, cts, size: 0, sync: *sync })
    };
    let samples = frames.iter().zip(&decoding).map(sample).collect::<Result<Vec<_>, Reason>>()?;
    let track = MovieTrack {
        handler: like.handler,
        timescale: like.timescale,
        language: like.language,
        geometry: like.geometry,
        stsd,
        samples,
        last_duration: u32::try_from(times.tail).map_err(|_| Reason::Timeline)?,
        chunks: Vec::new(),
        delay: first - times.zero,
        media_time: shift,
        length: times.last - first + times.tail,
    };
    Ok(Lane { track, from: frames.into_iter().map(|(from, ..)| from).collect() })
}

/// Writes a movie of these tracks.
pub(super) fn write(lanes: &mut [Lane<'_>], path: &Path) -> Result<(), Reason> {
    let order = interleave(lanes);
    let tracks = |lanes: &[Lane<'_>]| lanes.iter().map(|lane| lane.track.clone()).collect::<Vec<_>>();
    let body_at = header(&tracks(lanes), 0).len() as u64;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.seek(SeekFrom::Start(body_at))?;
    let body_len = write_body(lanes, &order, &mut out)?;
    let head = header(&tracks(lanes), body_len);
    if head.len() as u64 != body_at {
        return Err(Reason::Timeline);
    }
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&head)?;
    Ok(out.flush()?)
}

pub(super) fn sound_lane(sound: &Sound) -> Lane<'_> {
    let list = sound.media.samples.get(sound.packets.clone()).unwrap_or_default();
    let zero = list.first().map_or(0, Sample::pts);
    let sample = |s: &Sample| MovieSample { dts: s.pts() - zero, cts: 0, size: 0, sync: true };
    let track = MovieTrack {
        handler: sound.track.handler,
        timescale: sound.track.timescale,
        language: sound.track.language,
        geometry: sound.track.geometry,
        stsd: sound.stsd.clone(),
        samples: list.iter().map(sample).collect(),
        last_duration: sound.last_duration,
        chunks: Vec::new(),
        delay: 0,
        media_time: sound.media_time,
        length: sound.length,
    };
    Lane { track, from: sound.packets.clone().map(|index| From::Media(&sound.media, index)).collect() }
}

/// Groups the samples of each track into chunks. Gives the chunks of all tracks, as places in both lists, by time.
fn interleave(lanes: &mut [Lane<'_>]) -> Vec<(usize, usize)> {
    let mut order = Vec::new();
    for (number, lane) in lanes.iter_mut().enumerate() {
        let track = &mut lane.track;
        // What is decoded together lies together: pictures by their decoding time, sound by the time it is heard.
        let lead = if track.handler == *b"soun" { track.media_time } else { 0 };
        let slot = |sample: &MovieSample| {
            let at = i128::from(sample.dts + track.delay - lead) * CHUNKS_PER_SECOND;
            at.div_euclid(i128::from(track.timescale))
        };
        let mut last = None;
        for sample in &track.samples {
            let this = slot(sample);
            match track.chunks.last_mut() {
                Some(chunk) if last == Some(this) => chunk.samples += 1,
                _ => {
                    order.push((this, number, track.chunks.len()));
                    track.chunks.push(Chunk { samples: 1, position: 0 });
                }
            }
            last = Some(this);
        }
    }
    order.sort_unstable();
    order.into_iter().map(|(_, lane, chunk)| (lane, chunk)).collect()
}

/// Writes the samples and notes their places and sizes. Gives how many bytes they are.
fn write_body(lanes: &mut [Lane<'_>], order: &[(usize, usize)], out: &mut impl Write) -> Result<u64, Reason> {
    let mut done: Vec<usize> = vec![0; lanes.len()];
    let mut position = 0;
    for &(number, chunk) in order {
        let (Some(lane), Some(next)) = (lanes.get_mut(number), done.get_mut(number)) else { continue };
        let Some(chunk) = lane.track.chunks.get_mut(chunk) else { continue };
        chunk.position = position;
        for _ in 0..chunk.samples {
            let (Some(from), Some(sample)) = (lane.from.get(*next), lane.track.samples.get_mut(*next)) else {
                return Err(Reason::Timeline);
            };
            let bytes = from.read()?;
            out.write_all(&bytes)?;
            sample.size = u32::try_from(bytes.len()).map_err(|_| Reason::Units)?;
            position += bytes.len() as u64;
            *next += 1;
        }
    }
    Ok(position)
}
