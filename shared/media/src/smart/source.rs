//! The source of a smart cut: its samples, its parameter sets, and what of it can be copied.

use std::{fs::File, ops::Range, os::unix::fs::FileExt, path::Path};

use super::{
    Reason,
    codec::{self, Codec, Role},
    plan::{Parts, Picture},
};
use crate::{
    engine::VideoPlan,
    mp4::{Sample, Samples, Track},
};

/// How many NAL units may stand before the first slice of a picture: delimiter, sets, messages.
const UNITS_BEFORE_SLICE_MAX: u32 = 256;

/// A NAL unit without zeros behind it, with which none ends (ITU-T H.264, 7.4.1): FFmpeg takes the first of a start code of
/// four bytes for a part of the last set of a transport stream.
fn whole(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    nal.get(..end).unwrap_or_default()
}

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

    /// Whether the first slice of a picture says that it is an IDR picture. Reads some bytes only.
    fn is_idr(&self, index: usize, codec: &dyn Codec) -> Result<bool, Reason> {
        let sample = self.samples.get(index).ok_or(Reason::Timeline)?;
        let (mut at, mut left) = (sample.offset, u64::from(sample.size));
        let mut field = [0; 6];
        let length_size = codec.length_size();
        for _ in 0..UNITS_BEFORE_SLICE_MAX {
            let front = field.get_mut(..length_size + 2).ok_or(Reason::ParameterSets)?;
            if left < front.len() as u64 {
                break;
            }
            self.file.read_exact_at(front, at)?;
            let (length, nal) = front.split_at(length_size);
            match codec.role(nal) {
                Role::Idr => return Ok(true),
                Role::Slice { .. } | Role::Alien => return Ok(false),
                Role::Set | Role::Extra => {}
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
    pub(super) codec: Box<dyn Codec>,
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
        let codec = codec::read(&track.stsd, samples.description)?;
        let Samples { list, sync, description, .. } = samples;
        let media = Media::open(path, list)?;
        let pictures = pictures(&media, sync.as_deref(), codec.as_ref(), plan.last)?;
        let parts = Parts::plan(&pictures, plan.first, plan.last)?;
        let source = Self { media, track, description, codec, pictures, parts };
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
        let same = frames.iter().map(|pts| (pts - plan.zero).max(0)).eq(plan.frames.iter().copied());
        (same && bytes <= self.media.file.metadata()?.len()).then_some(()).ok_or(Reason::Timeline)
    }

    /// The places of a sample's NAL units without the parameter sets, which the track has once for all. Fails on
    /// sets that the track does not have, and on what no plain stream has.
    pub(super) fn units(&self, sample: &[u8]) -> Result<Vec<Range<usize>>, Reason> {
        let mut units = codec::units(sample, self.codec.length_size()).ok_or(Reason::Units)?;
        let nal = |unit: &Range<usize>| sample.get(unit.clone()).unwrap_or_default();
        let sets = self.codec.sets();
        let mut slices = 0;
        for unit in &units {
            match self.codec.role(nal(unit)) {
                Role::Idr | Role::Slice { .. } => slices += 1,
                Role::Set if !sets.iter().any(|set| whole(set) == whole(nal(unit))) => {
                    return Err(Reason::SetsChange);
                }
                Role::Alien => return Err(Reason::Units),
                Role::Set | Role::Extra => {}
            }
        }
        if slices == 0 {
            return Err(Reason::Units);
        }
        units.retain(|unit| self.codec.role(nal(unit)) != Role::Set);
        Ok(units)
    }

    /// Whether other pictures may refer to this one.
    pub(super) fn is_reference(&self, index: usize) -> Result<bool, Reason> {
        let sample = self.media.read(index)?;
        let is_needed = |nal: &[u8]| match self.codec.role(nal) {
            Role::Slice { is_reference } => is_reference,
            Role::Idr => true,
            _ => false,
        };
        Ok(self.nals(&sample)?.into_iter().any(is_needed))
    }

    /// The NAL units of a sample without the parameter sets, as in [`Self::units`].
    pub(super) fn nals<'a>(&self, sample: &'a [u8]) -> Result<Vec<&'a [u8]>, Reason> {
        let nal = |unit: Range<usize>| sample.get(unit).unwrap_or_default();
        Ok(self.units(sample)?.into_iter().map(nal).collect())
    }

    /// A sample as the clip has it: verbatim, unless its lengths are shorter than 4 bytes or it carries sets.
    pub(super) fn copied(&self, index: usize) -> Result<Vec<u8>, Reason> {
        let sample = self.media.read(index)?;
        let units = self.units(&sample)?;
        let kept: usize = units.iter().map(|unit| unit.len() + 4).sum();
        if self.codec.length_size() == 4 && kept == sample.len() {
            return Ok(sample);
        }
        let mut out = Vec::with_capacity(kept);
        units.into_iter().for_each(|unit| codec::push_unit(&mut out, sample.get(unit).unwrap_or_default()));
        Ok(out)
    }
}

/// The pictures in decoding order; whether a sync sample is an IDR picture is looked up in the stream up to the one
/// shown at `last`.
fn pictures(
    media: &Media,
    sync: Option<&[u32]>,
    codec: &dyn Codec,
    last: i64,
) -> Result<Vec<Picture>, Reason> {
    let picture = |(index, sample): (usize, &Sample)| {
        let is_sync = sync
            .is_none_or(|sync| u32::try_from(index).is_ok_and(|index| sync.binary_search(&index).is_ok()));
        let idr = is_sync && sample.pts() <= last && media.is_idr(index, codec)?;
        Ok(Picture { pts: sample.pts(), idr, sync: is_sync })
    };
    media.samples.iter().enumerate().map(picture).collect()
}
