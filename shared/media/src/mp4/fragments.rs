//! Movie fragments (`moof`, ISO/IEC 14496-12, 8.8): the samples of a file whose `moov` lists none, or only the first.
//!
//! The times are FFmpeg's, which is to say those that `ffprobe` prints: `tfdt` moved by the edit list, plus the
//! composition offset, plus the track's largest negative composition offset. An edit list hides nothing here.

use std::{collections::BTreeMap, ops::Range};

use bytes::Bytes;
use domain::time::MediaTime;

use super::{
    boxes::{Children, Cursor, ParseError, find, need},
    edit::EDIT_MAX,
    index::Index,
    samples::{SAMPLES_MAX, Sample, Samples},
    track::{Track, check_sound},
};

/// Flags of `tfhd` (8.8.7.1).
mod tfhd {
    pub(super) const BASE_DATA_OFFSET: u32 = 1;
    pub(super) const DESCRIPTION: u32 = 2;
    pub(super) const DURATION: u32 = 8;
    pub(super) const SIZE: u32 = 0x10;
    pub(super) const FLAGS: u32 = 0x20;
    pub(super) const BASE_IS_MOOF: u32 = 0x2_0000;
}

/// Flags of `trun` (8.8.8.1).
mod trun {
    pub(super) const DATA_OFFSET: u32 = 1;
    pub(super) const FIRST_FLAGS: u32 = 4;
    pub(super) const DURATION: u32 = 0x100;
    pub(super) const SIZE: u32 = 0x200;
    pub(super) const FLAGS: u32 = 0x400;
    pub(super) const CTS: u32 = 0x800;
}

/// A sample that is no sync sample, or that depends on others (8.8.3.1): FFmpeg takes either for no key frame.
const NOT_SYNC: u32 = 0x0101_0000;

/// A `moof` and where it begins in the source.
pub(super) type Moof = (u64, Bytes);

/// What a sample is unless a fragment says otherwise (`trex`, 8.8.3; `tfhd`, 8.8.7).
#[derive(Clone, Copy, Default)]
struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

/// What a `moov` says of all fragments.
pub(super) struct Movie {
    /// The `trex` boxes, by track.
    defaults: BTreeMap<u32, Defaults>,
    /// How long the movie says that it is (`mehd`, 8.8.2, else `mvhd`); zero if it does not.
    claimed: MediaTime,
}

impl Movie {
    /// Reads an `mvex` (8.8.1). `duration` is what the `mvhd` says, in ticks of `timescale`.
    pub(super) fn read(mvex: &[u8], duration: u64, timescale: u32) -> Result<Self, ParseError> {
        let mut claimed = duration;
        if let Some(mehd) = find(mvex, b"mehd")? {
            let mut cursor = Cursor(mehd);
            let (version, _) = cursor.version_flags()?;
            claimed = if version == 1 { cursor.u64()? } else { cursor.u32()?.into() };
        }
        // All ones mean that nobody knows.
        let known = i64::try_from(claimed).ok().filter(|ticks| *ticks < i64::from(u32::MAX));
        let claimed = known.map_or(MediaTime::ZERO, |ticks| MediaTime::from_ticks(ticks, timescale));
        let mut defaults = BTreeMap::new();
        for child in Children(mvex) {
            let (kind, body) = child?;
            if kind == *b"trex" {
                let mut cursor = Cursor(body);
                cursor.skip(4)?;
                let id = cursor.u32()?;
                let (description, duration) = (cursor.u32()?, cursor.u32()?);
                let trex = Defaults { description, duration, size: cursor.u32()?, flags: cursor.u32()? };
                defaults.insert(id, trex);
            }
        }
        Ok(Self { defaults, claimed })
    }

    /// How long the movie says that it is. A `moov` with samples speaks of these only.
    pub(super) fn duration(&self, index: &Index) -> Option<MediaTime> {
        let mut tracks = [&index.video, &index.audio].into_iter().flatten();
        (self.claimed > MediaTime::ZERO && tracks.all(Track::is_empty)).then_some(self.claimed)
    }

    /// Puts the samples of `moofs`, which follow each other in a file of `present` bytes, into the tracks. `first` is
    /// the file's first fragment. When `from_start`, `moofs` begin with it, behind the samples of the `moov`.
    pub(super) fn fill(
        &self,
        index: &mut Index,
        first: &Moof,
        moofs: &[Moof],
        from_start: bool,
        present: u64,
    ) -> Result<(), ParseError> {
        let mut opening = Reading::new(self, index, true, present);
        opening.moof(first)?;
        let mut reading = Reading::new(self, index, from_start, present);
        for moof in moofs {
            reading.moof(moof)?;
        }
        for (mut filling, opening) in reading.tracks.into_iter().zip(opening.tracks) {
            // What FFmpeg adds to all times is the least offset of all fragments. Where only some are read, it has
            // to be in the first, and in no `moov`, whose samples FFmpeg leaves where they are.
            if opening.listed > 0 && filling.lowest.min(opening.lowest) < 0 {
                return Err(ParseError::Unsupported("negative composition offsets in a moov with fragments"));
            }
            if filling.lowest < opening.lowest && !from_start {
                return Err(ParseError::Unsupported("composition offsets grow"));
            }
            filling.lowest = filling.lowest.min(opening.lowest);
            if let Some(track) = index.track_mut(filling.id) {
                filling.finish(track)?;
            }
        }
        Ok(())
    }
}

/// A track whose samples are being read.
struct Filling {
    id: u32,
    handler: [u8; 4],
    /// What the edit list adds to each time, in ticks.
    shift: i64,
    list: Vec<Sample>,
    sync: Vec<u32>,
    last_duration: u32,
    description: Option<u32>,
    /// How many samples come from the `moov`.
    listed: usize,
    /// Sum of the samples' sizes.
    bytes: u64,
    /// Decoding time of the next sample on the media's own timeline; `None` behind what was not read.
    next: Option<i64>,
    /// The least composition offset, at most zero.
    lowest: i32,
}

impl Filling {
    fn new(track: &Track, from_start: bool) -> Option<Self> {
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

    /// The samples, lifted as FFmpeg does where composition offsets are negative.
    fn finish(mut self, track: &mut Track) -> Result<(), ParseError> {
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
        let samples = Samples {
            sync: (!every).then_some(self.sync),
            last_duration: self.last_duration,
            description: self.description.unwrap_or(1),
            list: self.list,
        };
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

/// The reading of fragments in the order of the file.
struct Reading<'a> {
    movie: &'a Movie,
    tracks: Vec<Filling>,
    present: u64,
}

impl<'a> Reading<'a> {
    fn new(movie: &'a Movie, index: &Index, from_start: bool, present: u64) -> Self {
        let tracks = [&index.video, &index.audio].into_iter().flatten();
        let tracks = tracks.filter_map(|track| Filling::new(track, from_start)).collect();
        Self { movie, tracks, present }
    }

    fn moof(&mut self, (at, body): &Moof) -> Result<(), ParseError> {
        // Where the data of a `traf` begins that does not say it: at the `moof`, then behind the last one's.
        let mut data = *at;
        let mut seen = Vec::new();
        for child in Children(body) {
            let (kind, traf) = child?;
            if kind == *b"traf" {
                data = self.traf(*at, data, traf, &mut seen)?;
            }
        }
        Ok(())
    }

    /// Reads a `traf` (8.8.6). Gives the end of its data.
    fn traf(&mut self, moof: u64, data: u64, traf: &[u8], seen: &mut Vec<u32>) -> Result<u64, ParseError> {
        let mut cursor = Cursor(need(traf, b"tfhd", "a traf has no tfhd")?);
        let (_, flags) = cursor.version_flags()?;
        let id = cursor.u32()?;
        let base = match flags {
            _ if flags & tfhd::BASE_DATA_OFFSET != 0 => cursor.u64()?,
            _ if flags & tfhd::BASE_IS_MOOF != 0 => moof,
            _ => data,
        };
        let mut defaults = self.movie.defaults.get(&id).copied().unwrap_or_default();
        let fields = [
            (tfhd::DESCRIPTION, &mut defaults.description),
            (tfhd::DURATION, &mut defaults.duration),
            (tfhd::SIZE, &mut defaults.size),
            (tfhd::FLAGS, &mut defaults.flags),
        ];
        for (flag, field) in fields {
            if flags & flag != 0 {
                *field = cursor.u32()?;
            }
        }
        let mut track = self.tracks.iter_mut().find(|track| track.id == id);
        if let Some(track) = &mut track {
            track.begin(decode_time(traf)?, seen.contains(&id))?;
            if !seen.contains(&id) {
                seen.push(id);
            }
            if *track.description.get_or_insert(defaults.description) != defaults.description {
                return Err(ParseError::Unsupported("the sample description changes"));
            }
        }
        let mut at = base;
        for child in Children(traf) {
            let (kind, body) = child?;
            if kind == *b"trun" {
                let run = Run::read(body, defaults)?;
                let offset = run.data_offset.map_or(Some(at), |by| base.checked_add_signed(by.into()));
                let place = offset.and_then(|at| Some(at..at.checked_add(run.bytes())?));
                let place = place.filter(|place| place.end <= self.present || run.count == 0);
                let place =
                    place.ok_or(ParseError::Malformed("a fragment's samples lie outside of the file"))?;
                if let Some(track) = &mut track {
                    track.add(&run, &place, self.present)?;
                }
                at = place.end;
            }
        }
        Ok(at)
    }
}

/// `tfdt` (8.8.12), in ticks.
fn decode_time(traf: &[u8]) -> Result<Option<i64>, ParseError> {
    let Some(tfdt) = find(traf, b"tfdt")? else { return Ok(None) };
    let mut cursor = Cursor(tfdt);
    let (version, _) = cursor.version_flags()?;
    let time = if version == 1 { cursor.u64()? } else { cursor.u32()?.into() };
    let time = i64::try_from(time).ok().filter(|time| *time <= EDIT_MAX);
    time.map(Some).ok_or(ParseError::Malformed("a decoding time is absurdly late"))
}

impl Filling {
    /// Begins a `traf` whose first sample is decoded at `tfdt`.
    fn begin(&mut self, tfdt: Option<i64>, again: bool) -> Result<(), ParseError> {
        if again && tfdt.is_some_and(|tfdt| self.next != Some(tfdt)) {
            // FFmpeg goes on where the fragment's first part ended.
            return Err(ParseError::Unsupported("a fragment with two clocks"));
        }
        self.next = tfdt.or(self.next);
        self.next.map(drop).ok_or(ParseError::Unsupported("a fragment does not say when it is"))
    }

    fn add(&mut self, run: &Run<'_>, place: &Range<u64>, present: u64) -> Result<(), ParseError> {
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
}

/// A `trun` (8.8.8).
struct Run<'a> {
    flags: u32,
    count: u32,
    data_offset: Option<i32>,
    first_flags: u32,
    defaults: Defaults,
    entries: &'a [u8],
}

struct Entry {
    duration: u32,
    size: u32,
    flags: u32,
    cts: i32,
}

impl<'a> Run<'a> {
    fn read(body: &'a [u8], defaults: Defaults) -> Result<Self, ParseError> {
        let mut cursor = Cursor(body);
        let (_, flags) = cursor.version_flags()?;
        let count = cursor.u32()?;
        let data_offset = if flags & trun::DATA_OFFSET != 0 { Some(cursor.i32()?) } else { None };
        let first_flags = if flags & trun::FIRST_FLAGS != 0 { cursor.u32()? } else { defaults.flags };
        let run = Self { flags, count, data_offset, first_flags, defaults, entries: cursor.0 };
        if run.entries.len() / run.width().max(1) < count as usize && run.width() > 0 {
            return Err(ParseError::Malformed("a table is larger than its box"));
        }
        if run.width() == 0 && run.defaults.size == 0 && count > 1 {
            return Err(ParseError::Malformed("samples without bytes"));
        }
        Ok(run)
    }

    /// Length of an entry in bytes.
    const fn width(&self) -> usize {
        let fields = trun::DURATION | trun::SIZE | trun::FLAGS | trun::CTS;
        4 * (self.flags & fields).count_ones() as usize
    }

    /// How many bytes the samples have together: at most 2^64, as there are 2^32 sizes of 32 bits.
    fn bytes(&self) -> u64 {
        if self.flags & trun::SIZE == 0 {
            return u64::from(self.defaults.size) * u64::from(self.count);
        }
        (0..self.count).map(|number| u64::from(self.entry(number).size)).sum()
    }

    fn entry(&self, number: u32) -> Entry {
        let at = number as usize * self.width();
        let mut fields = Cursor(self.entries.get(at..).unwrap_or_default());
        let mut field = |flag: u32, default: u32| {
            if self.flags & flag == 0 { default } else { fields.u32().unwrap_or(default) }
        };
        let flags = if number == 0 { self.first_flags } else { self.defaults.flags };
        Entry {
            duration: field(trun::DURATION, self.defaults.duration),
            size: field(trun::SIZE, self.defaults.size),
            flags: field(trun::FLAGS, flags),
            // Unsigned in version 0 by the standard, and read as signed by everyone.
            cts: field(trun::CTS, 0).cast_signed(),
        }
    }
}
