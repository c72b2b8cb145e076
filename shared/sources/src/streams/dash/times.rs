//! When the segments of a representation are.

use std::sync::Arc;

use domain::time::MediaTime;
use roxmltree::Node;

use super::{
    super::{DURATION_MAX, Piece, Rendition, SEGMENTS_MAX, Segment, damaged, unsupported},
    scope::{Scope, elements},
};
use crate::SourceError;

/// When the segments begin and end, in ticks of the media's own clock.
pub(super) struct Times {
    timescale: u64,
    /// What that clock shows at the period's beginning (`presentationTimeOffset`).
    zero: u64,
    list: Vec<(u64, u64)>,
}

impl Times {
    /// `count` is how many segments there are, where the manifest lists them.
    pub(super) fn read(
        scope: &Scope<'_, '_>,
        end: Option<MediaTime>,
        count: Option<usize>,
    ) -> Result<Self, SourceError> {
        let timescale = scope.number("timescale", 1)?;
        if timescale == 0 || timescale > u64::from(u32::MAX) {
            return Err(damaged("a timescale is out of range"));
        }
        let zero = scope.number("presentationTimeOffset", 0)?;
        let mut times = Self { timescale, zero, list: Vec::new() };
        let end = end.map(|end| times.ticks(end));
        match (scope.part("SegmentTimeline"), scope.number("duration", 0)?) {
            (Some(timeline), _) => times.timeline(timeline, end)?,
            (None, 0) if count == Some(1) => times.push(zero, end.unwrap_or(zero))?,
            (None, 0) => return Err(damaged("its segments have no durations")),
            (None, step) => times.even(step, count, end)?,
        }
        if count.is_some_and(|count| count < times.list.len()) {
            times.list.truncate(count.unwrap_or(0));
        }
        if times.list.is_empty() { Err(damaged("it names no segment")) } else { Ok(times) }
    }

    pub(super) fn ticks(&self, at: MediaTime) -> u64 {
        let ticks = u128::from(at.0.unsigned_abs()) * u128::from(self.timescale);
        u64::try_from(ticks.div_ceil(1_000_000)).unwrap_or(u64::MAX).saturating_add(self.zero)
    }

    /// The presentation's time at `ticks`.
    pub(super) fn time(&self, ticks: u64) -> Result<MediaTime, SourceError> {
        let ticks = (i128::from(ticks) - i128::from(self.zero)) * 1_000_000;
        let time = i64::try_from(ticks.div_euclid(i128::from(self.timescale)));
        let time = time.ok().filter(|time| (-DURATION_MAX..=DURATION_MAX).contains(time));
        time.map(MediaTime).ok_or_else(|| damaged("it is absurdly long"))
    }

    pub(super) fn push(&mut self, start: u64, end: u64) -> Result<(), SourceError> {
        if self.list.len() >= SEGMENTS_MAX {
            return Err(unsupported(format!("it has more than {SEGMENTS_MAX} segments")));
        }
        self.list.push((start, end));
        Ok(())
    }

    pub(super) fn even(
        &mut self,
        step: u64,
        count: Option<usize>,
        end: Option<u64>,
    ) -> Result<(), SourceError> {
        if count.is_none() && end.is_none() {
            return Err(damaged("it does not say how long it is"));
        }
        let mut at = self.zero;
        while count.map_or(Some(at) < end, |count| self.list.len() < count) {
            let next = at.checked_add(step).ok_or_else(|| damaged("it is absurdly long"))?;
            self.push(at, next)?;
            at = next;
        }
        Ok(())
    }

    /// `SegmentTimeline` (5.3.9.6): a negative `r` repeats until the next `S` begins, or the period ends.
    pub(super) fn timeline(&mut self, timeline: Node<'_, '_>, end: Option<u64>) -> Result<(), SourceError> {
        let wrong = || damaged("a segment timeline is none");
        let number = |node: Node<'_, '_>, name| {
            node.attribute(name).map(|text| text.trim().parse::<u64>().map_err(|_| wrong())).transpose()
        };
        let mut at = 0_u64;
        let mut entries = elements(timeline, "S").peekable();
        while let Some(entry) = entries.next() {
            at = number(entry, "t")?.unwrap_or(at);
            let step = number(entry, "d")?.filter(|step| *step > 0).ok_or_else(wrong)?;
            let repeats: i64 =
                entry.attribute("r").map_or(Ok(0), |text| text.trim().parse().map_err(|_| wrong()))?;
            let until = match entries.peek() {
                Some(next) => number(*next, "t")?,
                None => end,
            };
            let mut left = u64::try_from(repeats).ok().map(|repeats| repeats.saturating_add(1));
            if left.is_none() && until.is_none() {
                return Err(damaged("it does not say how long it is"));
            }
            while left.map_or(Some(at) < until, |left| left > 0) {
                let next = at.checked_add(step).ok_or_else(wrong)?;
                self.push(at, next)?;
                at = next;
                left = left.map(|left| left - 1);
            }
        }
        Ok(())
    }

    pub(super) fn rendition(
        &self,
        init: Option<&Arc<Piece>>,
        piece: impl Fn(usize, u64) -> Result<Piece, SourceError>,
    ) -> Result<Rendition, SourceError> {
        let mut segments = Vec::new();
        for (n, (start, end)) in self.list.iter().enumerate() {
            segments.push(Segment {
                piece: piece(n, *start)?,
                init: init.cloned(),
                start: self.time(*start)?,
                end: self.time(*end)?,
                run: 0,
                gap: false,
            });
        }
        let zero = i128::from(self.zero) * 1_000_000 + i128::from(self.timescale) / 2;
        let zero =
            i64::try_from(zero / i128::from(self.timescale)).map_err(|_| damaged("it is absurdly long"))?;
        Ok(Rendition { segments, zero: Some(MediaTime(zero)) })
    }
}
