//! Which spans fit a query best: each of some ten thousand is scored, the scores become probabilities, and those spans are
//! chosen that are expected to share most with what was meant.

use crate::curves::Curves;
use crate::query::Shape;
use crate::units::{Units, sums};
use crate::weights::{SPAN, TEMPERATURE};

/// Seconds of a span, if nothing else is asked.
pub(crate) const SHORTEST_SECONDS: f64 = 20.0;
const LONGEST_SECONDS: f64 = 1_300.0;
/// A span has at most this share of the video.
const SHARE_MAX: f64 = 0.5;
/// The same of a video that is shorter than so many seconds: there were few to fit the weights on, and what is asked for was a
/// tenth of these.
const SHORT_SECONDS: f64 = 1_200.0;
const SHARE_MAX_SHORT: f64 = 0.15;
/// But always so many seconds.
const LONGEST_SECONDS_MIN: f64 = 60.0;
/// Each span from one beginning is longer than the one before it by this factor.
const GROWTH: f64 = 1.07;
/// Units of a span: more than 1,300 s of speech have, so that times that stand still cost no time.
const SPAN_UNITS_MAX: usize = 256;
/// Spans that are compared with each other, best first.
const COMPARED: usize = 300;
/// Seconds around a span that are compared with it, and of its own beginning.
const AROUND_SECONDS: f64 = 60.0;
const HEAD_SECONDS: f64 = 45.0;
/// Seconds that a span's length is measured in.
const LENGTH_SECONDS: f64 = 150.0;

/// Units [from, to).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// A span, and the IoU² with what was meant that it adds to what is expected of those chosen before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) span: Span,
    pub(crate) gain: f64,
}

/// What spans may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) shortest: f64,
    pub(crate) longest: f64,
    /// Seconds of the source that are looked at.
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The share of the shorter one that two chosen spans may have in common.
    pub(crate) overlap: f64,
    /// How many are chosen.
    pub(crate) count: usize,
}

impl Rules {
    /// As they were when the weights were fitted.
    pub(crate) fn fitted(units: &Units) -> Self {
        let share = if units.duration < SHORT_SECONDS { SHARE_MAX_SHORT } else { SHARE_MAX };
        let longest = LONGEST_SECONDS.min((share * units.duration).max(LONGEST_SECONDS_MIN));
        Self { shortest: SHORTEST_SECONDS, longest, from: f64::MIN, to: f64::MAX, overlap: 0.99, count: 10 }
    }
}

/// All spans that may be chosen.
pub(crate) fn candidates(units: &Units, rules: &Rules) -> Vec<Span> {
    let inside = |unit: &usize| {
        let middle = (units.start[*unit] + units.end[*unit]) / 2.0;
        rules.from <= middle && middle <= rules.to
    };
    let mut spans = Vec::new();
    let all: Vec<usize> = (0..units.len()).filter(inside).collect();
    let stop = all.last().map_or(0, |last| last + 1);
    for from in all {
        let mut last = 0.0;
        for to in from + 1..=stop.min(from + SPAN_UNITS_MAX) {
            let length = units.end[to - 1] - units.start[from];
            if to > from + 1 && length > rules.longest {
                break;
            }
            if (length >= rules.shortest && length >= last * GROWTH) || to == stop {
                spans.push(Span { from, to });
                last = length;
            }
        }
    }
    spans
}

/// The score of each span.
pub(crate) fn scores(units: &Units, curves: &Curves, shape: Shape, spans: &[Span]) -> Vec<f64> {
    let count = units.len();
    let times: Vec<f64> = units.time.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let weighed = |values: &[f64]| sums(values.iter().zip(&times).map(|(value, time)| value * time));
    let (score, narrow, relevant) =
        (weighed(&curves.score), weighed(&curves.narrow), weighed(&curves.relevant));
    let mean = |sums: &[f64], from: usize, to: usize, none: f64| {
        let time = units.time[to] - units.time[from];
        if time > 1e-6 { (sums[to] - sums[from]) / time } else { none }
    };
    let cosines = &curves.meaning;
    let cosine_mean = cosines.iter().sum::<f64>() / count.max(1) as f64;
    let cosine_deviation =
        (cosines.iter().map(|value| (value - cosine_mean).powi(2)).sum::<f64>() / count.max(1) as f64).sqrt();
    // One search a unit, not one a span.
    let around: Vec<(usize, usize, usize)> = (0..count)
        .map(|unit| {
            let (start, end) = (units.start[unit], units.end[unit]);
            (
                units.at(start - AROUND_SECONDS),
                units.at(end + AROUND_SECONDS - 1e-6),
                units.at(start + HEAD_SECONDS),
            )
        })
        .collect();
    let flag = |is: bool| f64::from(u8::from(is));
    let one = |span: &Span| {
        let Span { from, to } = *span;
        let (start, end) = (units.start[from], units.end[to - 1]);
        let before = if from > 0 { around[from].0.min(from - 1) } else { 0 };
        let behind = if to < count { around[to - 1].1.max(to + 1) } else { count };
        let head = around[from].2.max(from + 1).min(to);
        let time = units.time[to] - units.time[from] + 1e-6;
        let relevance = (score[to] - score[from]) / time;
        let length = ((end - start).max(5.0) / LENGTH_SECONDS).ln();
        let middle = (start + end) / 2.0 / units.duration;
        let meaning = (curves.products[to] - curves.products[from]) / (units.norm(from, to) + 1e-9);
        SPAN.relevant * (relevant[to] - relevant[from]) / time
            + SPAN.evidence * (narrow[to] - narrow[from]) / time
            + SPAN.head * mean(&score, from, head, 0.0)
            + SPAN.left * mean(&score, before, from, -1.0)
            + SPAN.right * mean(&score, to, behind, -1.0)
            + SPAN.length * length
            + SPAN.length_squared * length * length
            + SPAN.length_of_answer * length * flag(shape.question)
            + SPAN.share * (((end - start).max(5.0) / units.duration).ln() + 2.5)
            + SPAN.length_and_relevance * length * relevance
            + SPAN.valley_before * units.valley[from]
            + SPAN.valley_behind * units.valley[to]
            + SPAN.meaning * (meaning - cosine_mean) / (cosine_deviation + 1e-6)
            + SPAN.opening * flag(shape.opening) * (1.0 - middle).powi(4)
            + SPAN.closing * flag(shape.closing) * middle.powi(4)
            + SPAN.to_the_end * flag(to == count)
    };
    spans.iter().map(one).collect()
}

/// The spans that are expected to share most with what was meant, best first: each adds most to those before it.
pub(crate) fn choose(units: &Units, spans: &[Span], scores: &[f64], rules: &Rules) -> Vec<Chosen> {
    let best = scores.iter().copied().fold(f64::MIN, f64::max);
    let likely: Vec<f64> = scores.iter().map(|score| ((score - best) / TEMPERATURE).exp()).collect();
    let all = likely.iter().sum::<f64>();
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by(|one, other| likely[*other].total_cmp(&likely[*one]));
    order.truncate(COMPARED);
    let likely: Vec<f64> = order.iter().map(|span| likely[*span] / all).collect();
    let spans: Vec<Span> = order.iter().map(|span| spans[*span]).collect();
    let times: Vec<(f64, f64)> =
        spans.iter().map(|span| (units.start[span.from], units.end[span.to - 1])).collect();
    let common = |one: usize, other: usize| {
        (times[one].1.min(times[other].1) - times[one].0.max(times[other].0)).max(0.0)
    };
    let length = |span: usize| times[span].1 - times[span].0;
    let shared = |one: usize, other: usize| {
        let common = common(one, other);
        (common / (length(one) + length(other) - common)).powi(2)
    };
    let (mut had, mut open) = (vec![0.0; spans.len()], vec![true; spans.len()]);
    let mut chosen = Vec::new();
    while chosen.len() < rules.count {
        let gain = |span: usize| {
            let adds = |(other, likely): (usize, &f64)| (shared(span, other) - had[other]).max(0.0) * likely;
            likely.iter().enumerate().map(adds).sum::<f64>()
        };
        let gains = (0..spans.len()).filter(|span| open[*span]).map(|span| (span, gain(span)));
        // The first of equals, as they are sorted by likelihood.
        let most = gains.fold(None, |most: Option<(usize, f64)>, next| match most {
            Some(most) if most.1 >= next.1 => Some(most),
            _ => Some(next),
        });
        let Some((next, gain)) = most else { break };
        chosen.push(Chosen { span: spans[next], gain });
        for other in 0..spans.len() {
            had[other] = f64::max(had[other], shared(next, other));
            open[other] &= common(next, other) <= rules.overlap * length(next).min(length(other));
        }
        open[next] = false;
    }
    chosen
}
