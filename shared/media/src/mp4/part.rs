//! Which of a fragmented file's fragments are read.
//!
//! A `sidx` or `mfra` is a hint: what it leads to is read as what it is, and where that does not fit, the file has to
//! be fetched whole.

use std::ops::Range;

use domain::{cut::Span, time::MediaTime};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    aac::Aac,
    boxes::{Children, Header},
    fragments::{Moof, Movie},
    index::{Index, IndexError, MOOV_LEN_MAX},
    read::ReadAt,
    samples::Samples,
    span::PRIMING,
    subsegments::Subsegments,
    track::Track,
    walk::{Bounded, Walk},
};

/// How much of an index is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the file is: its title, duration, picture. Of a fragmented file, no samples.
    Description,
    /// Samples for a [`super::SpanFile`]: of a fragmented file, those around the span.
    Span(Span),
    /// The samples of the first fragment, as they are listed: nothing behind it is looked at.
    Opening,
    /// Every sample.
    Whole,
}

/// How far around a span fragments are looked at: a `sidx` counts in one track's time and knows nothing of leading
/// pictures, and the other track's samples may lie a fragment earlier or later.
const MARGIN: MediaTime = MediaTime(2_000_000);

/// The least that is read of a fragment: the `moof` of some seconds.
const FRAGMENT_AHEAD: u64 = 4 << 10;

/// The largest `moof`: a fragment of an hour has some megabytes.
const MOOF_LEN_MAX: u64 = 16 << 20;

/// The first look at the end of the file, and the largest `mfra` (twenty bytes for each fragment).
const TAIL_LEN: u64 = 16 << 10;
const MFRA_LEN_MAX: u64 = 4 << 20;

/// So many fragments are asked for at once.
const AT_ONCE: usize = 6;

/// Reads the fragments that `part` needs. `walk` stands behind the `moov`.
pub(super) async fn read<S: ReadAt + Sync>(
    walk: &mut Walk<'_, S>,
    source: &Bounded<'_, S>,
    movie: &Movie,
    index: &mut Index,
    part: Part,
) -> Result<(), IndexError<S::Error>> {
    walk.ahead = FRAGMENT_AHEAD;
    let Some((first, map)) = opening(walk, index, part).await? else {
        // All samples are in the `moov`.
        index.drop_empty();
        return Ok(());
    };
    if part == Part::Opening {
        movie.fill(index, &first, std::slice::from_ref(&first), true, source.len())?;
        index.drop_empty();
        return Ok(());
    }
    let fragments = Fragments { source, movie, first };
    if part == Part::Description {
        let written = map.as_ref().and_then(|map| map.end).or_else(|| movie.duration(index));
        if let Some(end) = written {
            index.presented = Some(end);
            return Ok(());
        }
    }
    let map = match map {
        None if part != Part::Whole => fragments.mfra(index).await?,
        map => map,
    };
    match (part, map) {
        (Part::Span(span), Some(map)) => fragments.read_span(index, &map, span).await,
        (Part::Description, Some(map)) => fragments.read_end(index, &map).await,
        _ => fragments.read_all(walk, index).await,
    }
}

/// The first fragment, and what a `sidx` in front of it says of all. `None` for a file without fragments.
async fn opening<S: ReadAt + Sync>(
    walk: &mut Walk<'_, S>,
    index: &Index,
    part: Part,
) -> Result<Option<(Moof, Option<Subsegments>)>, IndexError<S::Error>> {
    let mut map = None;
    while let Some(place) = walk.next().await? {
        match &place.kind {
            b"sidx" if part == Part::Opening => {}
            b"sidx" if place.end - place.at <= MFRA_LEN_MAX => {
                let body = walk.body(&place).await?;
                for track in [&index.video, &index.audio].into_iter().flatten() {
                    if map.is_none() {
                        map = Subsegments::from_sidx(&body, place.end, track)?;
                    }
                }
            }
            b"moof" if place.end - place.at > MOOF_LEN_MAX => {
                return Err(IndexError::Unsupported("a very large moof"));
            }
            b"moof" => {
                let first = (place.at, walk.body(&place).await?);
                if let Some((opens, closes)) = map.as_ref().and_then(Subsegments::ends)
                    && !(opens.contains(&place.at) && nothing_behind(walk, closes).await?)
                {
                    map = None;
                }
                return Ok(Some((first, map)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Whether the file has no fragments from byte `end` on: a `sidx` may stand for the first of many segments only.
async fn nothing_behind<S: ReadAt + Sync>(
    walk: &mut Walk<'_, S>,
    end: u64,
) -> Result<bool, IndexError<S::Error>> {
    let present = walk.present();
    let left = present.checked_sub(end).ok_or(IndexError::Truncated { needed: end, present })?;
    if left < 8 {
        return Ok(true);
    }
    let header = Header::read(&walk.bytes(end, left.min(16)).await?);
    Ok(header.is_ok_and(|header| matches!(&header.kind, b"mfra" | b"free" | b"skip" | b"udta" | b"meta")))
}

/// The fragments of a file.
struct Fragments<'a, S> {
    source: &'a Bounded<'a, S>,
    movie: &'a Movie,
    first: Moof,
}

impl<S: ReadAt + Sync> Fragments<'_, S> {
    /// Reads every fragment. `walk` stands behind the first.
    async fn read_all(&self, walk: &mut Walk<'_, S>, index: &mut Index) -> Result<(), IndexError<S::Error>> {
        let mut moofs = vec![self.first.clone()];
        let mut bytes = 0;
        walk.ahead = self.ahead();
        while let Some(place) = walk.next().await? {
            if place.kind == *b"moof" {
                bytes += place.end - place.at;
                if bytes > MOOV_LEN_MAX {
                    return Err(IndexError::Unsupported("very large fragments"));
                }
                moofs.push((place.at, walk.body(&place).await?));
            }
        }
        self.movie.fill(index, &self.first, &moofs, true, self.source.len())?;
        index.drop_empty();
        Ok(())
    }

    /// Reads the fragments around `span`, and further ones until nothing is missing.
    async fn read_span(
        &self,
        index: &mut Index,
        map: &Subsegments,
        span: Span,
    ) -> Result<(), IndexError<S::Error>> {
        let (from, until) = (span.start.0.saturating_sub(MARGIN.0), span.end.0.saturating_add(MARGIN.0));
        let around = map.around(MediaTime(from), MediaTime(until));
        let mut range = around.start.saturating_sub(1)..around.end;
        let mut moofs = self.collect(map, range.clone()).await?;
        loop {
            let mut filled = index.clone();
            self.movie.fill(&mut filled, &self.first, &moofs, range.start == 0, self.source.len())?;
            let (early, late) = missing(&filled, span);
            let more = range.len();
            let start = if early { range.start.saturating_sub(more) } else { range.start };
            let end = if late { (range.end + more).min(map.list.len()) } else { range.end };
            if range == (start..end) {
                *index = filled;
                return Ok(());
            }
            let mut all = self.collect(map, start..range.start).await?;
            all.append(&mut moofs);
            all.extend(self.collect(map, range.end..end).await?);
            (range, moofs) = (start..end, all);
        }
    }

    /// Reads the last fragments alone, for the end of the presentation.
    async fn read_end(&self, index: &mut Index, map: &Subsegments) -> Result<(), IndexError<S::Error>> {
        let last = map.list.len().saturating_sub(1);
        let moofs = self.collect(map, last..map.list.len()).await?;
        let mut filled = index.clone();
        self.movie.fill(&mut filled, &self.first, &moofs, last == 0, self.source.len())?;
        index.presented = Some(filled.duration());
        Ok(())
    }

    async fn collect(
        &self,
        map: &Subsegments,
        range: Range<usize>,
    ) -> Result<Vec<Moof>, IndexError<S::Error>> {
        let parts = map.list.get(range).unwrap_or_default().iter();
        let parts: Vec<_> = parts.map(|part| self.moofs(part.bytes.clone())).collect();
        stream::iter(parts).buffered(AT_ONCE).try_concat().await
    }

    /// The fragments of a subsegment.
    async fn moofs(&self, bytes: Range<u64>) -> Result<Vec<Moof>, IndexError<S::Error>> {
        let lost = || IndexError::Unsupported("the file's own index leads nowhere");
        let mut walk = Walk::new(self.source, bytes.start, bytes.end, self.ahead());
        let mut moofs = Vec::new();
        loop {
            let place = match walk.next().await {
                Ok(Some(place)) => place,
                Ok(None) => break,
                Err(IndexError::Malformed(_) | IndexError::Truncated { .. }) => return Err(lost()),
                Err(error) => return Err(error),
            };
            if place.end > bytes.end || place.end - place.at > MOOF_LEN_MAX && place.kind == *b"moof" {
                return Err(lost());
            }
            if place.kind == *b"moof" {
                moofs.push((place.at, walk.body(&place).await?));
            }
        }
        if moofs.is_empty() { Err(lost()) } else { Ok(moofs) }
    }

    /// The `mfra` at the end of the file (8.8.11), if it is there and of use.
    async fn mfra(&self, index: &Index) -> Result<Option<Subsegments>, IndexError<S::Error>> {
        let (first, present) = (self.first.0, self.source.len());
        let at = present.saturating_sub(TAIL_LEN).max(first);
        let mut mfra = self.source.read_at(at, present - at).await?;
        let size = mfra.last_chunk::<16>().and_then(|mfro| match mfro {
            [_, _, _, _, b'm', b'f', b'r', b'o', _, _, _, _, size @ ..] => Some(u32::from_be_bytes(*size)),
            _ => None,
        });
        let start = size.and_then(|size| present.checked_sub(size.into())).filter(|start| *start > first);
        let Some(start) = start.filter(|start| present - start <= MFRA_LEN_MAX) else { return Ok(None) };
        match usize::try_from(start.saturating_sub(at)) {
            Ok(skip) if start >= at => mfra = mfra.slice(skip..),
            _ => mfra = self.source.read_at(start, present - start).await?,
        }
        let Some(Ok((kind, body))) = Children(&mfra).next() else { return Ok(None) };
        let tracks = [&index.video, &index.audio].into_iter().flatten();
        let maps = tracks.filter(|_| kind == *b"mfra");
        let mut maps = maps.filter_map(|track| Subsegments::from_mfra(body, first, start, track).ok()?);
        Ok(maps.next())
    }

    /// How much is read of a fragment: the others' headers are about as long as the first's.
    fn ahead(&self) -> u64 {
        (self.first.1.len() as u64 * 5 / 4).clamp(FRAGMENT_AHEAD, 16 * FRAGMENT_AHEAD)
    }
}

/// Whether samples for `span` may be missing: before those that were read, and behind.
pub(super) fn missing(index: &Index, span: Span) -> (bool, bool) {
    let (mut early, mut late) = (false, false);
    for track in [&index.video, &index.audio].into_iter().flatten() {
        let Ok(samples) = &track.samples else { continue };
        let time = |at: usize| {
            samples.list.get(at).map(|sample| MediaTime::from_ticks(sample.pts(), track.timescale))
        };
        let first = samples.sync.as_ref().map_or(Some(0), |sync| sync.first().map(|first| *first as usize));
        let Some(last) = time(samples.list.len().wrapping_sub(1)) else { continue };
        let from = if track.is_sound() { settled(track, samples, span.start) } else { span.start };
        early |= first.and_then(time).is_none_or(|first| first > from);
        late |= last < span.end;
    }
    (early, late)
}

/// Where decoding has to begin so that sound is right from `start` on. AAC needs one packet before.
fn settled(track: &Track, samples: &Samples, start: MediaTime) -> MediaTime {
    let priming = match Aac::read(&track.stsd) {
        Some(_) => MediaTime::from_ticks(2 * samples.duration(0), track.timescale).min(PRIMING),
        None => PRIMING,
    };
    MediaTime(start.0.saturating_sub(priming.0))
}
