//! The samples of one track of a fragmented file, as its fragments add them.

use std::ops::Range;

use super::{
    boxes::ParseError,
    run::Run,
    samples::{SAMPLES_MAX, Sample, Samples},
    track::{Track, check_sound},
};

/// A sample that is no sync sample, or that depends on others (8.8.3.1): FFmpeg takes either for no key frame.
const NOT_SYNC: u32 = 0x0101_0000;

/// A track whose samples are being read.
pub(super) struct Filling {
    pub(super) id: u32,
    handler: [u8; 4],
    /// What the edit list adds to each time, in ticks.
    shift: i64,
    list: Vec<Sample>,
    sync: Vec<u32>,
    last_duration: u32,
    pub(super) description: Option<u32>,
    /// How many samples come from the `moov`.
    pub(super) listed: usize,
    /// Sum of the samples' sizes.
    bytes: u64,
    /// Decoding time of the next sample on the media's own timeline; `None` behind what was not read.
    next: Option<i64>,
    /// The least composition offset, at most zero.
    pub(super) lowest: i32,
}

impl Filling {
    pub(super) fn new(track: &Track, from_start: bool) -> Option<Self> {
        let samples = track.samples.as_ref().ok()?;
        let (id, handler, shift) = (track.id, track.handler, track.shift);
        let mut filling = Self {
            id,
            handler,
            shift,
            list: Vec::new(),
            sync: Vec::new(),
            last_duration: 0,
            description: None,
            listed: 0,
            bytes: 0,
            next: from_start.then_some(0),
            lowest: 0,
        };
        if let (true, Some(last)) = (from_start, samples.list.last()) {
            filling.next = Some(last.dts - shift + i64::from(samples.last_duration));
            filling.listed = samples.list.len();
            filling.list.clone_from(&samples.list);
            filling.sync = samples.sync.clone().unwrap_or_else(|| (0..count(filling.listed)).collect());
            filling.description = Some(samples.description);
            filling.lowest = samples.list.iter().map(|sample| sample.cts).min().unwrap_or(0).min(0);
        }
        Some(filling)
    }

    /// Begins a `traf` whose first sample is decoded at `tfdt`.
    pub(super) fn begin(&mut self, tfdt: Option<i64>, again: bool) -> Result<(), ParseError> {
        if again && tfdt.is_some_and(|tfdt| self.next != Some(tfdt)) {
            // FFmpeg goes on where the fragment's first part ended.
            return Err(ParseError::Unsupported("a fragment with two clocks"));
        }
        self.next = tfdt.or(self.next);
        self.next.map(drop).ok_or(ParseError::Unsupported("a fragment does not say when it is"))
    }

    pub(super) fn add(&mut self, run: &Run<'_>, place: &Range<u64>, present: u64) -> Result<(), ParseError> {
        let (mut at, mut offset) = (self.next.unwrap_or(0), place.start);
        if (SAMPLES_MAX as usize).saturating_sub(self.list.len()) < run.count as usize {
            return Err(ParseError::Unsupported("too many samples"));
        }
        self.bytes += place.end - place.start;
        if self.bytes > present {
            return Err(ParseError::Malformed("fragments are larger than the file"));
        }
        self.list.reserve(run.count as usize);
        for number in 0..run.count {
            let entry = run.entry(number);
            let dts = at + self.shift;
            // FFmpeg throws overlapping samples away, and which these are depends on how it reads.
            if self.list.last().is_some_and(|last| last.dts >= dts) {
                return Err(ParseError::Unsupported("fragments overlap in time"));
            }
            if i32::try_from(entry.duration).is_err() {
                return Err(ParseError::Unsupported("a sample lasts longer than 2^31 ticks"));
            }
            if entry.flags & NOT_SYNC == 0 {
                self.sync.push(count(self.list.len()));
            }
            self.lowest = self.lowest.min(entry.cts);
            self.list.push(Sample { dts, offset, cts: entry.cts, size: entry.size });
            self.last_duration = entry.duration;
            at += i64::from(entry.duration);
            offset += u64::from(entry.size);
        }
        self.next = Some(at);
        Ok(())
    }

    /// The samples, lifted as FFmpeg does where composition offsets are negative.
    pub(super) fn finish(mut self, track: &mut Track) -> Result<(), ParseError> {
        track.lifted = -i64::from(self.lowest.min(0));
        if self.lowest < 0 {
            for sample in &mut self.list {
                let lifted = sample.cts.checked_sub(self.lowest);
                sample.cts = lifted.ok_or(ParseError::Malformed("a composition offset is absurdly long"))?;
            }
        }
        if self.listed == 0 {
            track.shown = i64::MIN..i64::MAX;
        } else if self.list.len() > self.listed {
            // The edit list of the `moov` hides samples of the `moov` only.
            let (listed, fragments) = self.list.split_at(self.listed);
            let hides_end = listed.iter().any(|sample| sample.pts() >= track.shown.end);
            let before = fragments.iter().any(|sample| sample.pts() < track.shown.start);
            if hides_end || before || track.late != 0 {
                return Err(ParseError::Unsupported("an edit list across fragments"));
            }
            track.shown.end = i64::MAX;
        }
        let every = self.handler == *b"soun" || self.sync.len() == self.list.len();
        let mut samples = Samples {
            sync: (!every).then_some(self.sync),
            last_duration: self.last_duration,
            description: self.description.unwrap_or(1),
            list: self.list,
        };
        if !every {
            samples.mend();
        }
        track.samples = match check_sound(self.handler, samples) {
            Ok(samples) => Ok(samples),
            Err(ParseError::Unsupported(why)) => Err(why),
            Err(error) => return Err(error),
        };
        Ok(())
    }
}

/// The table's place of a sample, which [`SAMPLES_MAX`] keeps far below 2^32.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
