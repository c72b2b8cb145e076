//! The source of a smart cut: its samples, its parameter sets, and what of it can be copied.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, path::Path};

use super::{
    Reason,
    avc::{self, Config, kind, kind_of},
    plan::{Parts, Picture},
    sps::Sps,
};
use crate::{
    engine::VideoPlan,
    mp4::{Sample, Samples, Track},
};

/// How many NAL units may stand before the first slice of a picture: delimiter, sets, messages.
const UNITS_BEFORE_SLICE_MAX: u32 = 256;

/// Samples of an open file.
pub(super) struct Media {
    file: File,
    pub(super) samples: Vec<Sample>,
}

impl Media {
    pub(super) fn open(path: &Path, samples: Vec<Sample>) -> Result<Self, Reason> {
        Ok(Self { file: File::open(path)?, samples })
    }

    pub(super) fn read(&self, index: usize) -> Result<Vec<u8>, Reason> {
        let sample = self.samples.get(index).ok_or(Reason::Timeline)?;
        let mut bytes = vec![0; usize::try_from(sample.size).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, sample.offset)?;
        Ok(bytes)
    }

    /// Whether the first slice of a picture says that it is an IDR picture (H.264 table 7-1). Reads some bytes only.
    fn is_idr(&self, index: usize, length_size: usize) -> Result<bool, Reason> {
        let sample = self.samples.get(index).ok_or(Reason::Timeline)?;
        let (mut at, mut left) = (sample.offset, u64::from(sample.size));
        let mut field = [0; 5];
        for _ in 0..UNITS_BEFORE_SLICE_MAX {
            let front = field.get_mut(..length_size + 1).ok_or(Reason::ParameterSets)?;
            if left < front.len() as u64 {
                break;
            }
            self.file.read_exact_at(front, at)?;
            let (header, length) = front.split_last().ok_or(Reason::ParameterSets)?;
            match header & 31 {
                kind::IDR => return Ok(true),
                1..=4 => return Ok(false),
                _ => {}
            }
            let length = length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
            let step = length + length_size as u64;
            at += step;
            left = left.saturating_sub(step);
        }
        Ok(false)
    }
}

/// A source that can be cut so.
pub(super) struct Source {
    pub(super) media: Media,
    pub(super) track: Track,
    pub(super) description: u32,
    pub(super) config: Config,
    /// The set that the encoder has to match.
    pub(super) sps: Sps,
    /// All samples, in decoding order.
    pub(super) pictures: Vec<Picture>,
    pub(super) parts: Parts,
}

impl Source {
    /// Opens the source at `path`, whose video track is `track`, for the clip of `plan`.
    pub(super) fn open(path: &Path, mut track: Track, plan: &VideoPlan) -> Result<Self, Reason> {
        let samples = std::mem::replace(&mut track.samples, Err("moved")).map_err(Reason::Samples)?;
        if plan.time_base.num != 1 || plan.time_base.den != track.timescale {
            return Err(Reason::Timeline);
        }
        let config = avc::config(&track.stsd, samples.description)?;
        let sps = common_set(&config)?;
        let Samples { list, sync, description, .. } = samples;
        let media = Media::open(path, list)?;
        let pictures = pictures(&media, sync.as_deref(), config.length_size, plan.last)?;
        let parts = Parts::plan(&pictures, plan.first, plan.last)?;
        let source = Self { media, track, description, config, sps, pictures, parts };
        source.check_frames(plan)?;
        Ok(source)
    }

    /// Two readers must have seen the same frames: the sample tables here, and FFmpeg for the plan.
    fn check_frames(&self, plan: &VideoPlan) -> Result<(), Reason> {
        let copied = self.media.samples.get(self.parts.copy.clone()).unwrap_or_default();
        let ends = [&self.parts.head, &self.parts.tail].into_iter().flatten();
        let ends = ends.flat_map(|end| end.pts.iter().copied());
        let mut frames: Vec<i64> = copied.iter().map(Sample::pts).chain(ends).collect();
        frames.sort_unstable();
        // A hostile table can name the same bytes over and over.
        let bytes: u64 = copied.iter().map(|sample| u64::from(sample.size)).sum();
        let same = frames.iter().map(|pts| pts - plan.zero).eq(plan.frames.iter().copied());
        (same && bytes <= self.media.file.metadata()?.len()).then_some(()).ok_or(Reason::Timeline)
    }

    /// The places of a sample's NAL units without the parameter sets, which the track has once for all. Fails on
    /// sets that the track does not have, and on what is no plain H.264.
    pub(super) fn units(&self, sample: &[u8]) -> Result<Vec<Range<usize>>, Reason> {
        let mut units = avc::units(sample, self.config.length_size).ok_or(Reason::Units)?;
        let nal = |unit: &Range<usize>| sample.get(unit.clone()).unwrap_or_default();
        let mut slices = 0;
        for unit in &units {
            match kind_of(nal(unit)) {
                kind::SLICE | kind::IDR => slices += 1,
                kind::SPS | kind::PPS if !self.config.has(nal(unit)) => return Err(Reason::SetsChange),
                // Data partitions (A to C), and the prefixes, sets and slices of scalable and multi-view streams.
                2..=4 | 14 | 15 | 20 | 21 => return Err(Reason::Units),
                _ => {}
            }
        }
        if slices == 0 {
            return Err(Reason::Units);
        }
        units.retain(|unit| !matches!(kind_of(nal(unit)), kind::SPS | kind::PPS));
        Ok(units)
    }

    /// A sample as the clip has it: verbatim, unless its lengths are shorter than 4 bytes or it carries sets.
    pub(super) fn copied(&self, index: usize) -> Result<Vec<u8>, Reason> {
        let sample = self.media.read(index)?;
        let units = self.units(&sample)?;
        let kept: usize = units.iter().map(|unit| unit.len() + 4).sum();
        if self.config.length_size == 4 && kept == sample.len() {
            return Ok(sample);
        }
        let mut out = Vec::with_capacity(kept);
        units.into_iter().for_each(|unit| avc::push_unit(&mut out, sample.get(unit).unwrap_or_default()));
        Ok(out)
    }
}

/// The one kind of picture that all sets of the source describe.
pub(super) fn common_set(config: &Config) -> Result<Sps, Reason> {
    let sets: Option<Vec<Sps>> = config.sps.iter().map(|set| Sps::parse(set)).collect();
    let mut sets = sets.ok_or(Reason::ParameterSets)?;
    let first = sets.pop().ok_or(Reason::ParameterSets)?;
    if sets.iter().any(|other| !other.shows_like(&first)) {
        return Err(Reason::SetsChange);
    }
    if first.profile_name().is_none() || first.sampling != (1, 8, 8) {
        return Err(Reason::Profile(first.profile));
    }
    if !first.progressive {
        return Err(Reason::Interlaced);
    }
    Ok(first)
}

/// The pictures in decoding order; whether a sync sample is an IDR picture is looked up in the stream up to the one
/// shown at `last`.
fn pictures(
    media: &Media,
    sync: Option<&[u32]>,
    length_size: usize,
    last: i64,
) -> Result<Vec<Picture>, Reason> {
    let picture = |(index, sample): (usize, &Sample)| {
        let is_sync = sync
            .is_none_or(|sync| u32::try_from(index).is_ok_and(|index| sync.binary_search(&index).is_ok()));
        let idr = is_sync && sample.pts() <= last && media.is_idr(index, length_size)?;
        Ok(Picture { pts: sample.pts(), idr, sync: is_sync })
    };
    media.samples.iter().enumerate().map(picture).collect()
}
