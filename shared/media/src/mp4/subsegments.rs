//! Where a fragmented file's fragments are and when: the segment index in front (`sidx`, ISO/IEC 14496-12, 8.16.3),
//! or the random access index at the end (`mfra`, 8.8.9).

use std::ops::Range;

use domain::time::MediaTime;

use super::{
    boxes::{Children, Cursor, ParseError},
    track::Track,
};

/// A stretch of the file with one or more fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subsegment {
    /// About when its first sample is shown.
    pub(super) start: MediaTime,
    /// Where its boxes are.
    pub(super) bytes: Range<u64>,
}

/// All fragments of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subsegments {
    /// Not empty. One begins where the one before it ends.
    pub(super) list: Vec<Subsegment>,
    /// Where the presentation ends, if that is written down.
    pub(super) end: Option<MediaTime>,
}

impl Subsegments {
    /// Reads the body of a `sidx` of `track` that ends at byte `anchor`. `None` if it is another track's, or one that
    /// refers to other indexes.
    pub(super) fn from_sidx(body: &[u8], anchor: u64, track: &Track) -> Result<Option<Self>, ParseError> {
        let mut cursor = Cursor(body);
        let (version, _) = cursor.version_flags()?;
        let (id, timescale) = (cursor.u32()?, cursor.u32()?);
        let (earliest, offset) = match version {
            0 => (cursor.u32()?.into(), cursor.u32()?.into()),
            _ => (cursor.u64()?, cursor.u64()?),
        };
        if id != track.id || timescale == 0 {
            return Ok(None);
        }
        cursor.skip(2)?;
        let count = cursor.u16()?.into();
        let far = || ParseError::Malformed("a sidx reaches absurdly far");
        let mut at = anchor.checked_add(offset).ok_or_else(far)?;
        let mut ticks = i64::try_from(earliest).map_err(|_| far())?;
        let shift = MediaTime::from_ticks(track.shift, track.timescale);
        let time = |ticks| MediaTime(MediaTime::from_ticks(ticks, timescale).0.saturating_add(shift.0));
        let mut list = Vec::new();
        for entry in cursor.entries::<12>(count)? {
            let mut entry = Cursor(entry);
            let (reference, duration) = (entry.u32()?, entry.u32()?);
            if reference >> 31 == 1 {
                return Ok(None);
            }
            let end = at.checked_add(reference.into()).ok_or_else(far)?;
            list.push(Subsegment { start: time(ticks), bytes: at..end });
            at = end;
            ticks = ticks.checked_add(duration.into()).ok_or_else(far)?;
        }
        Ok((!list.is_empty()).then(|| Self { list, end: Some(time(ticks)) }))
    }

    /// Reads the body of an `mfra` that begins at byte `at`, in a file whose first fragment begins at `first`. `None`
    /// without a usable list for `track`.
    pub(super) fn from_mfra(
        body: &[u8],
        first: u64,
        at: u64,
        track: &Track,
    ) -> Result<Option<Self>, ParseError> {
        for child in Children(body) {
            let (kind, tfra) = child?;
            if kind == *b"tfra" {
                let mut cursor = Cursor(tfra);
                let (version, _) = cursor.version_flags()?;
                if cursor.u32()? == track.id {
                    return Self::from_tfra(cursor, version, first..at, track);
                }
            }
        }
        Ok(None)
    }

    fn from_tfra(
        mut cursor: Cursor<'_>,
        version: u8,
        within: Range<u64>,
        track: &Track,
    ) -> Result<Option<Self>, ParseError> {
        let lengths = cursor.u32()?;
        let numbers = [lengths >> 4, lengths >> 2, lengths].map(|bits| (bits & 3) as usize + 1);
        let (numbers, count) = (numbers.iter().sum(), cursor.u32()?);
        let mut list: Vec<Subsegment> = Vec::new();
        for _ in 0..count {
            let (ticks, at) = match version {
                1 => (cursor.u64()?, cursor.u64()?),
                _ => (cursor.u32()?.into(), cursor.u32()?.into()),
            };
            cursor.skip(numbers)?;
            let start = track.time(i64::try_from(ticks).unwrap_or(i64::MAX));
            match list.last_mut() {
                Some(last) if last.bytes.start == at => continue,
                Some(last) if last.bytes.start > at || last.start > start => return Ok(None),
                Some(last) => last.bytes.end = at,
                // A file may begin with fragments that have no sync sample.
                None if at > within.start => {
                    list.push(Subsegment { start: MediaTime(i64::MIN), bytes: within.start..at });
                }
                None => {}
            }
            list.push(Subsegment { start, bytes: at..within.end });
        }
        let sound = list.first().is_some_and(|first| first.bytes.start == within.start)
            && list.last().is_some_and(|last| last.bytes.start < within.end);
        Ok(sound.then_some(Self { list, end: None }))
    }

    /// Where the first one is, and where the last one ends.
    pub(super) fn ends(&self) -> Option<(Range<u64>, u64)> {
        Some((self.list.first()?.bytes.clone(), self.list.last()?.bytes.end))
    }

    /// Those that may have a sample of `from..until`: from the last one that begins before, to the first behind.
    pub(super) fn around(&self, from: MediaTime, until: MediaTime) -> Range<usize> {
        let first = self.list.partition_point(|subsegment| subsegment.start <= from).saturating_sub(1);
        let behind = self.list.partition_point(|subsegment| subsegment.start < until);
        first..(behind + 1).min(self.list.len())
    }
}
