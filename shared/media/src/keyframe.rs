//! Cuts that copy every frame: the span between the nearest two places where the picture can be taken apart.
//!
//! Only H.264 and H.265 are copied. It is decided from the index alone, before a byte of a picture is read. Whether a sync sample is one that
//! nothing behind it looks past is seen only in the picture itself, so that a cut may turn out to be impossible
//! yet: then the span that was asked for is cut exactly.

use domain::{cut::Span, time::MediaTime};

use crate::mp4::{Index, Samples, Track};

/// How far a span may grow at each end. Beyond that it is another clip than the one that was asked for.
const GROWTH_MAX: MediaTime = MediaTime(30_000_000);

/// The largest span that [`around`] may give for `span`.
#[must_use]
pub fn widest(span: Span) -> Span {
    let start = span.start.since(GROWTH_MAX).max(MediaTime::ZERO);
    Span { start, end: MediaTime(span.end.0.saturating_add(GROWTH_MAX.0)) }
}

/// The span to cut instead of `span` so that every frame can be copied: it starts with the last closed sync sample
/// at or before its start, and ends with the first frame at or behind its end that all earlier ones are decoded and
/// shown before; where there is none, it keeps its end. `None` if the picture cannot be taken apart nearby.
#[must_use]
pub fn around(index: &Index, span: Span) -> Option<Span> {
    let track = index.video.as_ref().filter(|track| matches!(&track.codec, b"avc1" | b"hvc1" | b"hev1"))?;
    let samples = track.samples.as_ref().ok()?;
    let borders = Borders::of(samples);
    let at = |ticks: i64| MediaTime::from_ticks(ticks, track.timescale);
    let start = borders.starts(samples, track).map(|(place, pts)| (place, at(pts)));
    let (first, start) = start.take_while(|(_, pts)| *pts <= span.start).last()?;
    let end = borders.after(first).map(at).find(|pts| *pts >= span.end);
    // An edit list may hide the last frames.
    let end = end.unwrap_or(span.end).min(track.end().max(span.end));
    let near = span.start.since(start) <= GROWTH_MAX && end.since(span.end) <= GROWTH_MAX;
    near.then_some(Span { start, end })
}

/// Where decoding order and presentation order can be cut at once.
struct Borders {
    /// The latest presentation time of all samples before each one.
    before: Vec<i64>,
    /// The earliest presentation time of each sample and all later ones.
    behind: Vec<i64>,
}

impl Borders {
    fn of(samples: &Samples) -> Self {
        let pts = || samples.list.iter().map(crate::mp4::Sample::pts);
        let before = pts().scan(i64::MIN, |latest, pts| Some(std::mem::replace(latest, pts.max(*latest))));
        let mut behind: Vec<i64> = pts().collect();
        let mut earliest = i64::MAX;
        for pts in behind.iter_mut().rev() {
            earliest = earliest.min(*pts);
            *pts = earliest;
        }
        Self { before: before.collect(), behind }
    }

    /// Whether all samples before `place` are shown before all others.
    fn is_at(&self, place: usize) -> bool {
        self.before.get(place).zip(self.behind.get(place)).is_some_and(|(before, behind)| before < behind)
    }

    /// The shown sync samples that no later sample is shown before, with their presentation times.
    fn starts(&self, samples: &Samples, track: &Track) -> impl Iterator<Item = (usize, i64)> {
        let places: Vec<usize> = match &samples.sync {
            Some(sync) => sync.iter().map(|place| *place as usize).collect(),
            None => (0..samples.list.len()).collect(),
        };
        places.into_iter().filter_map(|place| {
            let pts = samples.list.get(place)?.pts();
            let closed = self.is_at(place) && self.behind.get(place) == Some(&pts);
            (closed && track.shown.contains(&pts)).then_some((place, pts))
        })
    }

    /// The first presentation time behind each border behind `place`.
    fn after(&self, place: usize) -> impl Iterator<Item = i64> {
        (place + 1..self.behind.len())
            .filter(|place| self.is_at(*place))
            .filter_map(|place| self.behind.get(place).copied())
    }
}
