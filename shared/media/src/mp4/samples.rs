//! The sample table (`stbl`, ISO/IEC 14496-12, 8.5 to 8.7) as one list: when each sample is decoded and shown,
//! and where its bytes are.

use super::boxes::{Cursor, ParseError, find, need, word};

/// The most samples that are read of one track: 3 hours at 120 frames a second are 1.3 million. Bounds memory to
/// 24 bytes × this.
pub(super) const SAMPLES_MAX: u32 = 4_000_000;

/// One sample: a picture or a packet of sound, in decoding order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Decoding time on the movie's timeline, in ticks of the track's clock (`stts`, moved by the edit list).
    pub dts: i64,
    /// Where the sample's bytes begin in the source (`stco`/`co64`, `stsc`, `stsz`).
    pub offset: u64,
    /// Presentation time minus decoding time, in ticks (`ctts`).
    pub cts: i32,
    /// Length in bytes (`stsz`).
    pub size: u32,
}

impl Sample {
    /// Presentation time on the movie's timeline, in ticks of the track's clock; what `ffprobe` prints as `pts`.
    #[must_use]
    pub const fn pts(&self) -> i64 {
        self.dts.saturating_add(self.cts as i64)
    }
}

/// All samples of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// In decoding order.
    pub list: Vec<Sample>,
    /// Indices of the sync samples (`stss`), ascending; `None` when every sample is one.
    pub sync: Option<Vec<u32>>,
    /// Duration of the last sample in ticks; the others last until the next one's `dts`.
    pub last_duration: u32,
    /// Which entry of `stsd` describes the samples, from 1.
    pub description: u32,
}

impl Samples {
    /// How long sample `index` lasts, in ticks.
    #[must_use]
    pub fn duration(&self, index: usize) -> i64 {
        match (self.list.get(index), self.list.get(index + 1)) {
            (Some(this), Some(next)) => next.dts - this.dts,
            _ => i64::from(self.last_duration),
        }
    }

    /// The first instant at or behind `start` at which one of these samples is shown or sounds, in ticks. A picture
    /// that began earlier does not count, a packet of sound does.
    pub(crate) fn first_at(&self, start: i64, is_sound: bool) -> Option<i64> {
        let at = |(n, sample): (usize, &Sample)| {
            let pts = sample.pts();
            let counts = pts >= start || (is_sound && pts + self.duration(n) > start);
            counts.then_some(pts.max(start))
        };
        self.list.iter().enumerate().filter_map(at).min()
    }

    /// Whether a picture that is shown before `end`, in ticks, may come behind the last of these in decoding order: one
    /// that leads the key picture of an open group. Its time is a gap then.
    pub(crate) fn may_lack_before(&self, end: i64) -> bool {
        let Some(last_key) = self.sync.as_ref().and_then(|sync| sync.last()) else { return false };
        let Some(group) = self.list.get(*last_key as usize..) else { return false };
        let mut times: Vec<i64> = group.iter().map(Sample::pts).collect();
        // What leads a key picture is decoded right behind it, and no picture is shown before it is decoded.
        let offset_min = group.iter().map(|sample| sample.cts).min().unwrap_or(0).min(0);
        let next = group.last().map_or(0, |last| last.dts) + i64::from(self.last_duration);
        if times.first().is_some_and(|key| *key >= end) || next + i64::from(offset_min) >= end {
            return false;
        }
        times.sort_unstable();
        let gaps =
            || times.windows(2).filter_map(|pair| if let [a, b] = pair { Some((*a, b - a)) } else { None });
        let Some(step) = gaps().map(|(_, gap)| gap).filter(|gap| *gap > 0).min() else { return false };
        // A tick more or less is rounding.
        gaps().any(|(at, gap)| at + step <= end && gap * 2 > step * 3)
    }

    /// Moves every time by `ticks`.
    pub(crate) fn delay(&mut self, ticks: i64) {
        self.list.iter_mut().for_each(|sample| sample.dts += ticks);
    }

    /// Reads a `stbl` of a file of `present` bytes. `shift` in ticks is added to every time: the effect of the edit
    /// list.
    pub(crate) fn read(stbl: &[u8], shift: i64, present: u64) -> Result<Self, ParseError> {
        let mut list = sizes(stbl, present)?;
        let last_duration = decode_times(stbl, &mut list, shift)?;
        composition_offsets(stbl, &mut list)?;
        let description = offsets(stbl, &mut list)?;
        let sync = sync_samples(stbl, list.len())?;
        Ok(Self { list, sync, last_duration, description })
    }
}

/// `stsz` (8.7.3.2).
fn sizes(stbl: &[u8], present: u64) -> Result<Vec<Sample>, ParseError> {
    let Some(stsz) = find(stbl, b"stsz")? else {
        return Err(ParseError::Unsupported("compact sample sizes (stz2)"));
    };
    let mut cursor = Cursor(stsz);
    cursor.skip(4)?;
    let uniform = cursor.u32()?;
    let count = cursor.u32()?;
    if count > SAMPLES_MAX {
        // Uncompressed sound has one "sample" per instant; its uniform table is tiny but stands for millions.
        return Err(ParseError::Unsupported("too many samples"));
    }
    let sample = |size| Sample { dts: 0, offset: 0, cts: 0, size };
    if uniform > 0 {
        // No table in the file is as long as this list, but its samples have to be there.
        if u64::from(uniform) * u64::from(count) > present {
            return Err(ParseError::Malformed("the samples are larger than the file"));
        }
        return Ok(vec![sample(uniform); count as usize]);
    }
    Ok(cursor.entries::<4>(count as usize)?.iter().map(|size| sample(u32::from_be_bytes(*size))).collect())
}

/// `stts` (8.6.1.2). Returns the duration of the last sample.
fn decode_times(stbl: &[u8], list: &mut [Sample], shift: i64) -> Result<u32, ParseError> {
    let mut cursor = Cursor(need(stbl, b"stts", "a track has no stts")?);
    cursor.skip(4)?;
    let (mut at, mut delta, mut samples) = (shift, 0, list.iter_mut());
    for entry in cursor.table::<8>()? {
        let (count, duration) = (word(entry, 0), word(entry, 1));
        // Bounds the sum below 2^53 too: 4 million × 2^31.
        if i32::try_from(duration).is_err() {
            return Err(ParseError::Unsupported("a sample lasts longer than 2^31 ticks"));
        }
        for sample in samples.by_ref().take(count as usize) {
            sample.dts = at;
            delta = duration;
            at += i64::from(duration);
        }
    }
    if samples.next().is_some() {
        return Err(ParseError::Malformed("stts has fewer samples than stsz"));
    }
    Ok(delta)
}

/// `ctts` (8.6.1.3). Version 0 is unsigned by the standard, but QuickTime writes signed numbers into it.
fn composition_offsets(stbl: &[u8], list: &mut [Sample]) -> Result<(), ParseError> {
    let Some(ctts) = find(stbl, b"ctts")? else { return Ok(()) };
    let mut cursor = Cursor(ctts);
    cursor.skip(4)?;
    let mut samples = list.iter_mut();
    for entry in cursor.table::<8>()? {
        let offset = word(entry, 1).cast_signed();
        for sample in samples.by_ref().take(word(entry, 0) as usize) {
            sample.cts = offset;
        }
    }
    Ok(())
}

/// `stco`/`co64` (8.7.5) and `stsc` (8.7.4). Returns the one sample description in use.
fn offsets(stbl: &[u8], list: &mut [Sample]) -> Result<u32, ParseError> {
    let chunks: Vec<u64> = match find(stbl, b"stco")? {
        Some(stco) => {
            let mut cursor = Cursor(stco);
            cursor.skip(4)?;
            cursor.table::<4>()?.iter().map(|offset| u32::from_be_bytes(*offset).into()).collect()
        }
        None => {
            let mut cursor = Cursor(need(stbl, b"co64", "a track has no chunk offsets")?);
            cursor.skip(4)?;
            cursor.table::<8>()?.iter().map(|offset| u64::from_be_bytes(*offset)).collect()
        }
    };
    let mut cursor = Cursor(need(stbl, b"stsc", "a track has no stsc")?);
    cursor.skip(4)?;
    let runs = cursor.table::<12>()?;
    let description = runs.first().map_or(1, |run| word(run, 2));
    let mut samples = list.iter_mut();
    for (position, run) in runs.iter().enumerate() {
        if word(run, 2) != description {
            return Err(ParseError::Unsupported("the sample description changes"));
        }
        let end =
            runs.get(position + 1).map_or(chunks.len(), |next| word(next, 0).saturating_sub(1) as usize);
        let first = (word(run, 0) as usize).checked_sub(1);
        // Rising runs keep the work linear in the number of chunks; a last run of none is written by some.
        let run_chunks = first
            .filter(|first| *first < end || end == chunks.len())
            .and_then(|first| chunks.get(first..end.min(chunks.len()).max(first)))
            .ok_or(ParseError::Malformed("stsc names a chunk that does not exist"))?;
        for chunk in run_chunks {
            let mut at = *chunk;
            for sample in samples.by_ref().take(word(run, 1) as usize) {
                sample.offset = at;
                at =
                    at.checked_add(sample.size.into()).ok_or(ParseError::Malformed("an offset overflows"))?;
            }
        }
    }
    if samples.next().is_some() {
        return Err(ParseError::Malformed("the chunks hold fewer samples than stsz"));
    }
    Ok(description)
}

/// `stss` (8.6.2).
fn sync_samples(stbl: &[u8], count: usize) -> Result<Option<Vec<u32>>, ParseError> {
    let Some(stss) = find(stbl, b"stss")? else { return Ok(None) };
    let mut cursor = Cursor(stss);
    cursor.skip(4)?;
    let mut sync = Vec::new();
    for number in cursor.table::<4>()? {
        match u32::from_be_bytes(*number).checked_sub(1) {
            Some(index) if (index as usize) < count && sync.last().is_none_or(|last| *last < index) => {
                sync.push(index);
            }
            _ => return Err(ParseError::Malformed("stss is not a rising list of samples")),
        }
    }
    Ok(Some(sync))
}
