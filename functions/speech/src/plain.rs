//! Finds moments by the words that a query and a source share.

use std::collections::BTreeSet;

use domain::{
    cut::Span,
    moments::{Confidence, Found, Moment, Search},
    time::MediaTime,
};
use look::words::Words;

/// Words that say nothing of what is meant.
const EMPTY: &str = "a about all an and any are as at be by clip do does for from in is it its me mention mentions moment moments \
                     of on or part say says that the this to was what when where with";
/// The least share of a query's words that a moment has.
const SHARE_MIN: f64 = 0.5;
/// Silence that two moments have between them, in microseconds; less, and they are one.
const GAP_MIN: i64 = 5_000_000;

/// The moments of `words` that have most of the words of the query, best first.
pub(crate) fn find(words: &Words, search: &Search) -> Found {
    let wanted = terms(&search.query);
    if wanted.is_empty() {
        return Found::default();
    }
    let mut moments: Vec<(f64, Moment)> = Vec::new();
    for said in &words.segments {
        let there = terms(&said.text);
        let share = count(wanted.intersection(&there).count()) / count(wanted.len());
        if share < SHARE_MIN {
            continue;
        }
        let span = Span { start: said.start, end: said.end };
        match moments.last_mut() {
            Some((best, last))
                if span.start.since(last.span.end).0 < GAP_MIN
                    && span.end.since(last.span.start) <= search.longest =>
            {
                last.span.end = last.span.end.max(span.end);
                last.excerpt = format!("{} {}", last.excerpt, said.text);
                *best = best.max(share);
            }
            _ => {
                let (excerpt, confidence, why) = (said.text.clone(), Confidence::default(), None);
                moments.push((share, Moment { span, excerpt, confidence, why }));
            }
        }
    }
    moments.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let sure = |(share, mut moment): (f64, Moment)| {
        moment.confidence = Confidence::of(share * 0.9);
        moment.span = padded(moment.span, search, words.duration);
        moment
    };
    Found { moments: apart(moments.into_iter().map(sure)), ..Found::default() }
}

/// Those that do not overlap a better one.
fn apart(moments: impl Iterator<Item = Moment>) -> Vec<Moment> {
    let mut kept: Vec<Moment> = Vec::new();
    for moment in moments {
        if kept.iter().all(|other| moment.span.end <= other.span.start || other.span.end <= moment.span.start)
        {
            kept.push(moment);
        }
    }
    kept
}

/// The span with what belongs around it, as long as it must be if the source has so much.
fn padded(span: Span, search: &Search, length: MediaTime) -> Span {
    let lacking = search.shortest.unwrap_or_default().0 - span.duration().0 - 2 * search.pad.0;
    let around = search.pad.0 + (lacking.max(0) + 1) / 2;
    let start = MediaTime((span.start.0 - around).max(0));
    Span { start, end: MediaTime(span.end.0 + around).min(length) }
}

fn terms(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| !word.is_empty() && !EMPTY.split_whitespace().any(|empty| empty == word)).collect()
}

#[allow(clippy::cast_precision_loss)] // a few words
const fn count(words: usize) -> f64 {
    words as f64
}

#[cfg(test)]
mod tests {
    use domain::{
        moments::{MomentsSpec, Wish},
        source::Location,
    };
    use sources::captions::Segment;

    use super::*;

    fn words(said: &[(i64, i64, &str)]) -> Words {
        let at = |second: i64| MediaTime(second * 1_000_000);
        let segments = said.iter().map(|(start, end, text)| Segment {
            start: at(*start),
            end: at(*end),
            text: (*text).to_owned(),
        });
        Words { language: None, duration: at(100), segments: segments.collect() }
    }

    fn spans(words: &Words, wish: Wish<'_>) -> Vec<(f64, f64)> {
        let spec = MomentsSpec::analyze(Location::Url("https://example.com/a".to_owned()), wish).unwrap();
        let found = find(words, &spec.search);
        found.moments.iter().map(|m| (m.span.start.seconds(), m.span.end.seconds())).collect()
    }

    #[test]
    fn what_is_said_is_found_and_nothing_else() {
        let words =
            words(&[(1, 3, "Neural networks learn."), (3, 5, "So networks do."), (50, 52, "The weather!")]);
        let wish = |query| Wish { query, ..Wish::default() };
        assert_eq!(spans(&words, wish("the part about neural networks")), [(1.0, 5.0)]);
        assert_eq!(spans(&words, wish("weather")), [(50.0, 52.0)]);
        assert_eq!(spans(&words, wish("cooking")), []);
        assert_eq!(spans(&words, wish("the")), []);
        assert_eq!(spans(&words, Wish { min_seconds: Some(10.0), ..wish("weather") }), [(46.0, 56.0)]);
        assert_eq!(spans(&words, Wish { pad: Some(2.0), ..wish("neural networks") }), [(0.0, 7.0)]);
    }
}
