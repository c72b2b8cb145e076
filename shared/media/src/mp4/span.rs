//! Which samples a span needs, and the small local file they make.
//!
//! Invariant: a presentation time in the local file, plus [`SpanFile::origin`], is the sample's presentation time
//! in the source, to the tick. The origin is a whole second, so it is exact on every track's clock.

use std::ops::Range;

use domain::{
    cut::{FrameRange, Pace, Span},
    time::MediaTime,
};

use super::{
    index::Index,
    ranges::{Ranges, adjoin, coalesce, coalesce_sparing},
    samples::Samples,
    track::Track,
    write::{LocalSample, LocalTrack, header},
};

/// How far before the first frame a sync sample without leading pictures is looked for.
const LOOK_BACK_SECONDS: i64 = 30;

/// Sound that is decoded before the span, so that the decoder has settled: AAC needs 1 packet, MP3 up to 10 for
/// its bit reservoir, Opus 80 ms.
const PRIMING_PACKETS: usize = 10;
pub(super) const PRIMING: MediaTime = MediaTime(100_000);

/// Which media of a span are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The picture.
    pub video: bool,
    /// The sound.
    pub audio: bool,
}

/// Why a span's bytes cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// The source has nothing of what is wanted within the span.
    #[error("there is nothing within the span")]
    Nothing,
    /// The source has a picture, but no frame of it starts within the span.
    #[error("no frame starts within the span")]
    NoFrame,
    /// The whole file has to be fetched instead.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
}

/// A small MP4 file: `header`, followed by the bytes of `ranges` of the source in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanFile {
    /// `ftyp`, `moov` and the `mdat`'s header.
    pub header: Vec<u8>,
    /// Byte ranges of the source, rising and apart from each other.
    pub ranges: Vec<Range<u64>>,
    /// The source's time at which the local file's clock shows zero: a whole number of seconds, which is negative
    /// when sound is decoded from before the movie's zero.
    pub origin: MediaTime,
    /// Length of the local file in bytes, header included.
    pub bytes_total: u64,
    /// The frames of the span on the source's timeline, in ticks of the video track's clock; `None` without
    /// video.
    pub frames: Option<FrameRange>,
    /// How the source's frames follow each other, which the few of a span do not tell; `None` without video.
    pub pace: Option<Pace>,
}

/// The samples taken of one track, by index in decoding order.
struct Taken<'a> {
    track: &'a Track,
    samples: &'a Samples,
    indices: Vec<usize>,
}

impl SpanFile {
    /// Plans the file for `span`. A track that the source does not have is left out.
    ///
    /// # Errors
    /// [`SpanError`].
    pub fn plan(index: &Index, span: Span, wanted: Wanted) -> Result<Self, SpanError> {
        Self::plan_by(coalesce, index, span, wanted)
    }

    /// As [`Self::plan`], for a source that is at hand: where a look costs nothing, not a byte is read along.
    ///
    /// # Errors
    /// [`SpanError`].
    pub fn plan_at_hand(index: &Index, span: Span, wanted: Wanted) -> Result<Self, SpanError> {
        Self::plan_by(adjoin, index, span, wanted)
    }

    /// As [`Self::plan`], with hardly a byte read along, however many reads that takes.
    ///
    /// # Errors
    /// [`SpanError`].
    pub fn plan_sparing(index: &Index, span: Span, wanted: Wanted) -> Result<Self, SpanError> {
        Self::plan_by(coalesce_sparing, index, span, wanted)
    }

    fn plan_by(
        coalesce: fn(Vec<Range<u64>>) -> Ranges,
        index: &Index,
        span: Span,
        wanted: Wanted,
    ) -> Result<Self, SpanError> {
        let mut taken = Vec::new();
        let (mut frames, mut pace) = (None, None);
        if let Some(track) = index.video.as_ref().filter(|_| wanted.video) {
            let own = index.pace();
            let (video, range) = video(track, span, own)?;
            (frames, pace) = (Some(range), Some(own));
            taken.push(video);
        }
        if let Some(track) = index.audio.as_ref().filter(|_| wanted.audio) {
            taken.extend(audio(track, span)?);
        }
        let starts = taken.iter().filter_map(Taken::start_seconds);
        let origin = starts.min().ok_or(SpanError::Nothing)?;
        let spans = taken.iter().flat_map(Taken::bytes).collect();
        let ranges = coalesce(spans);
        if ranges.is_empty() {
            return Err(SpanError::Nothing);
        }
        let body_len = ranges.iter().map(|range| range.end - range.start).sum();
        let tracks: Vec<_> = taken.iter().map(|taken| taken.localise(origin, span, &ranges)).collect();
        let edited = tracks.iter().filter(|track| track.shown.is_some());
        let timescale = edited
            .map(|track| track.source.timescale)
            .try_fold(1, |a, b| (a / gcd(a, b)).checked_mul(b))
            .ok_or(SpanError::Unsupported("edit lists on incommensurable clocks"))?;
        // A movie clock of 1 Hz would be valid, but shows a duration of 0 or 1 seconds to whoever looks.
        let timescale = if timescale == 1 { 1000 } else { timescale };
        let header =
            header(index.ftyp.as_deref(), &tracks, timescale, body_len).map_err(SpanError::Unsupported)?;
        let bytes_total = header.len() as u64 + body_len;
        Ok(Self {
            header,
            ranges: ranges.into_list(),
            origin: MediaTime(origin * 1_000_000),
            bytes_total,
            frames,
            pace,
        })
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Taken<'_> {
    /// The whole second at or before the earliest presentation.
    fn start_seconds(&self) -> Option<i64> {
        let first =
            self.indices.iter().filter_map(|n| self.samples.list.get(*n)).map(super::Sample::pts).min();
        first.map(|pts| pts.div_euclid(self.track.timescale.into()))
    }

    fn bytes(&self) -> impl Iterator<Item = Range<u64>> {
        let samples = self.indices.iter().filter_map(|n| self.samples.list.get(*n));
        let samples = samples.filter(|sample| sample.size > 0);
        samples.map(|sample| sample.offset..sample.offset + u64::from(sample.size))
    }

    fn localise(&self, origin: i64, span: Span, ranges: &Ranges) -> LocalTrack<'_> {
        let scale = i64::from(self.track.timescale);
        let shown = &self.track.shown;
        let is_sound = self.track.handler == *b"soun";
        let (mut hides, mut first, mut end) = (false, i64::MAX, i64::MIN);
        let mut samples = Vec::with_capacity(self.indices.len());
        for &n in &self.indices {
            let Some(sample) = self.samples.list.get(n) else { continue };
            let (pts, until) = (sample.pts(), sample.pts() + self.samples.duration(n));
            end = end.max(until);
            let within = MediaTime::from_ticks(until, self.track.timescale) > span.start
                && MediaTime::from_ticks(pts, self.track.timescale) < span.end;
            hides |= within && (pts < shown.start || pts >= shown.end);
            if pts >= shown.start || (is_sound && until > shown.start) {
                first = first.min(pts.max(shown.start));
            }
            samples.push(LocalSample {
                dts: sample.dts,
                pts: pts - origin * scale,
                size: sample.size,
                // What has no bytes may be anywhere.
                position: if sample.size > 0 { ranges.position(sample.offset) } else { 0 },
                sync: self
                    .samples
                    .sync
                    .as_ref()
                    .is_none_or(|sync| u32::try_from(n).is_ok_and(|n| sync.binary_search(&n).is_ok())),
            });
        }
        // FFmpeg moves a track whose edit begins before its first shown sample, so it begins with that.
        let local = |ticks: i64| ticks.saturating_sub(origin * scale).max(0);
        let until = local(shown.end.min(end));
        let last = self.indices.last().copied().unwrap_or(0);
        LocalTrack {
            source: self.track,
            samples,
            description: self.samples.description,
            last_duration: u32::try_from(self.samples.duration(last)).unwrap_or(0),
            shown: hides.then(|| local(first).min(until)..until),
        }
    }
}

fn video(track: &Track, span: Span, pace: Pace) -> Result<(Taken<'_>, FrameRange), SpanError> {
    let samples = track.samples.as_ref().map_err(|why| SpanError::Unsupported(why))?;
    let shown = samples.list.iter().map(super::Sample::pts).filter(|pts| track.shown.contains(pts));
    let frames = FrameRange::select(span, shown, track.timescale, pace).ok_or(SpanError::NoFrame)?;
    let start = start_sample(samples, frames.first, track.timescale)?;
    let last = samples.list.iter().rposition(|s| (frames.first..=frames.last).contains(&s.pts()));
    let last = last.ok_or(SpanError::NoFrame)?;
    let pts = |n: usize| samples.list.get(n).map_or(0, super::Sample::pts);
    let leading_until = next_sync(samples, start);
    // Pictures before the start in presentation are not needed, and an open group's cannot be decoded.
    let indices = (start..=last).filter(|n| *n >= leading_until || pts(*n) >= pts(start)).collect();
    Ok((Taken { track, samples, indices }, frames))
}

/// The sample behind sync sample `start`'s group.
fn next_sync(samples: &Samples, start: usize) -> usize {
    match &samples.sync {
        None => start + 1,
        Some(sync) => {
            let next = sync.partition_point(|n| *n as usize <= start);
            sync.get(next).map_or(samples.list.len(), |n| *n as usize)
        }
    }
}

/// The last sync sample at or before `first` in presentation without leading pictures, or within
/// [`LOOK_BACK_SECONDS`] none has that, the last one with.
fn start_sample(samples: &Samples, first: i64, timescale: u32) -> Result<usize, SpanError> {
    let all: Vec<u32>;
    let sync = match &samples.sync {
        Some(sync) => sync,
        None => {
            all = (0..samples.list.len()).filter_map(|n| u32::try_from(n).ok()).collect();
            &all
        }
    };
    let earliest = first - LOOK_BACK_SECONDS * i64::from(timescale);
    let mut open = None;
    for n in sync.iter().rev().map(|n| *n as usize) {
        let Some(sample) = samples.list.get(n).filter(|sample| sample.pts() <= first) else { continue };
        if open.is_some() && sample.pts() < earliest {
            break;
        }
        let group = samples.list.get(n + 1..next_sync(samples, n)).unwrap_or_default();
        if group.iter().all(|other| other.pts() >= sample.pts()) {
            return Ok(n);
        }
        open.get_or_insert(n);
    }
    open.ok_or(SpanError::Unsupported("no sync sample before the span"))
}

fn audio(track: &Track, span: Span) -> Result<Option<Taken<'_>>, SpanError> {
    let samples = track.samples.as_ref().map_err(|why| SpanError::Unsupported(why))?;
    let time = |ticks| MediaTime::from_ticks(ticks, track.timescale);
    let overlaps = |n: usize| {
        samples.list.get(n).is_some_and(|sample| {
            let until = sample.pts() + samples.duration(n);
            time(until) > span.start
                && time(sample.pts()) < span.end
                && until > track.shown.start
                && sample.pts() < track.shown.end
        })
    };
    let count = samples.list.len();
    let Some(first) = (0..count).find(|n| overlaps(*n)) else { return Ok(None) };
    let last = (first..count).rfind(|n| overlaps(*n)).unwrap_or(first);
    let settled = time(samples.list.get(first).map_or(0, super::Sample::pts)).0 - PRIMING.0;
    let early_enough = |n: &usize| {
        n + PRIMING_PACKETS <= first && samples.list.get(*n).is_some_and(|s| time(s.pts()).0 <= settled)
    };
    let from = (0..first).rev().find(early_enough).unwrap_or(0);
    Ok(Some(Taken { track, samples, indices: (from..=last).collect() }))
}
