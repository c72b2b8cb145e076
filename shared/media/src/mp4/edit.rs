//! The edit list (`elst`, ISO/IEC 14496-12, 8.6.6): how a track's media lies on the movie's timeline.

use std::ops::Range;

use super::boxes::{Cursor, ParseError, find};

/// The largest edit that is taken seriously, in ticks or movie ticks: keeps all sums far below overflow.
pub(super) const EDIT_MAX: i64 = 1 << 52;

/// What the edit list (`elst`, 8.6.6) does: a delay, a first instant of the media, and a length.
#[derive(Clone, Copy)]
pub(super) struct Edit {
    /// Whether there is one at all.
    pub(super) exists: bool,
    /// Sum of the leading empty edits, in ticks.
    delay: i64,
    /// The media's instant that is shown first, in ticks.
    media_time: i64,
    /// How much of the media is shown, in ticks; `None` for all of it.
    length: Option<i64>,
}

impl Edit {
    const NONE: Self = Self { exists: false, delay: 0, media_time: 0, length: None };

    pub(super) const fn shift(&self) -> i64 {
        self.delay - self.media_time
    }

    pub(super) const fn shown(&self) -> Range<i64> {
        match self.length {
            Some(length) => self.delay..self.delay + length,
            None if self.exists => self.delay..i64::MAX,
            None => i64::MIN..i64::MAX,
        }
    }

    pub(super) fn read(trak: &[u8], timescale: u32, movie_timescale: u32) -> Result<Self, ParseError> {
        let Some(edts) = find(trak, b"edts")? else { return Ok(Self::NONE) };
        let Some(elst) = find(edts, b"elst")? else { return Ok(Self::NONE) };
        let mut cursor = Cursor(elst);
        let (version, _) = cursor.version_flags()?;
        let entries: Vec<(u64, i64, u32)> = if version == 1 {
            let parse = |entry: &[u8; 20]| {
                let mut entry = Cursor(entry);
                Ok((entry.u64()?, entry.u64()?.cast_signed(), entry.u32()?))
            };
            cursor.table::<20>()?.iter().map(parse).collect::<Result<_, _>>()?
        } else {
            let parse = |entry: &[u8; 12]| {
                let mut entry = Cursor(entry);
                Ok((entry.u32()?.into(), entry.i32()?.into(), entry.u32()?))
            };
            cursor.table::<12>()?.iter().map(parse).collect::<Result<_, _>>()?
        };
        Self::reduce(&entries, timescale, movie_timescale)
    }

    fn reduce(entries: &[(u64, i64, u32)], timescale: u32, movie_timescale: u32) -> Result<Self, ParseError> {
        let mut edit = Self::NONE;
        let mut entries = entries.iter().peekable();
        while let Some((duration, _, _)) = entries.next_if(|(_, media_time, _)| *media_time == -1) {
            edit.delay += ticks(*duration, timescale, movie_timescale)?;
            if edit.delay > EDIT_MAX {
                return Err(ParseError::Malformed("an edit list is absurdly long"));
            }
        }
        let Some((duration, media_time, rate)) = entries.next().copied() else {
            return if edit.delay == 0 {
                Ok(edit)
            } else {
                Err(ParseError::Unsupported("an empty edit list"))
            };
        };
        if entries.next().is_some() || rate != 0x1_0000 {
            return Err(ParseError::Unsupported("an edit list with several edits"));
        }
        if !(0..=EDIT_MAX).contains(&media_time) {
            return Err(ParseError::Malformed("an edit begins outside of the media"));
        }
        edit.exists = true;
        edit.media_time = media_time;
        edit.length = if duration == 0 { None } else { Some(ticks(duration, timescale, movie_timescale)?) };
        Ok(edit)
    }
}

/// Movie ticks as track ticks, rounded to the nearest as FFmpeg does (away from zero on a tie).
fn ticks(duration: u64, timescale: u32, movie_timescale: u32) -> Result<i64, ParseError> {
    let scale = u128::from(movie_timescale.max(1));
    let ticks = (u128::from(duration) * u128::from(timescale) + scale / 2) / scale;
    i64::try_from(ticks)
        .ok()
        .filter(|ticks| *ticks <= EDIT_MAX)
        .ok_or(ParseError::Malformed("an edit list is absurdly long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 0x1_0000;

    #[test]
    fn leading_empty_edits_are_summed() {
        let edit =
            Edit::reduce(&[(100, -1, RATE), (400, -1, RATE), (2000, 1024, RATE)], 48_000, 1000).unwrap();
        assert_eq!((edit.delay, edit.media_time, edit.length), (24_000, 1024, Some(96_000)));
        assert_eq!(edit.shift(), 22_976);
        assert_eq!(edit.shown(), 24_000..120_000);
    }

    #[test]
    fn an_edit_of_no_length_shows_all() {
        assert_eq!(Edit::reduce(&[(0, 512, RATE)], 12_800, 1000).unwrap().shown(), 0..i64::MAX);
    }

    #[test]
    fn what_is_beyond_one_edit_is_not_guessed_at() {
        for entries in [&[(1, 0, RATE), (1, 9, RATE)][..], &[(1, 0, 0)], &[(1, 0, RATE), (1, -1, RATE)]] {
            assert!(
                matches!(Edit::reduce(entries, 1000, 1000), Err(ParseError::Unsupported(_))),
                "{entries:?}"
            );
        }
        for entries in [&[(1, -2, RATE)][..], &[(u64::MAX, -1, RATE)], &[(1, i64::MAX, RATE)]] {
            assert!(matches!(Edit::reduce(entries, 1000, 1), Err(ParseError::Malformed(_))), "{entries:?}");
        }
    }
}
