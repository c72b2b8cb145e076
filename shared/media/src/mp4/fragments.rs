//! Movie fragments (`moof`, ISO/IEC 14496-12, 8.8): the samples of a file whose `moov` lists none, or only the first.
//!
//! The times are FFmpeg's, which is to say those that `ffprobe` prints: `tfdt` moved by the edit list, plus the
//! composition offset, plus the track's largest negative composition offset. An edit list hides nothing here.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::time::MediaTime;

use super::{
    boxes::{Children, Cursor, ParseError, find, need},
    edit::EDIT_MAX,
    filling::Filling,
    index::Index,
    run::{Defaults, Run},
    track::Track,
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

/// A `moof` and where it begins in the source.
pub(super) type Moof = (u64, Bytes);

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
