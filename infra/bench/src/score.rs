//! How well predicted moments fit known ones: the measures of moment retrieval, averaged over queries.

use std::collections::BTreeMap;

/// From where to where, in seconds.
pub(crate) type Window = (f64, f64);

/// Predictions that count towards the mean average precision.
const RANKED_MAX: usize = 10;
/// What is averaged over a group of queries, in percent, with its name.
pub(crate) const MEASURES: [&str; 5] = ["R1@.5", "R1@.7", "centre hit", "time F1", "mAP"];

/// One query's values, in the order of [`MEASURES`].
pub(crate) type Values = [f64; MEASURES.len()];

/// What was predicted for a query, best first, and how many of them would be answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Predicted {
    pub(crate) ranked: Vec<Window>,
    pub(crate) returned: usize,
}

/// The values of a query with at least one relevant window.
pub(crate) fn values(relevant: &[Window], predicted: &Predicted) -> Values {
    let ranked: Vec<Window> = predicted.ranked.iter().copied().filter(|(start, end)| end > start).collect();
    let overlap = |one: Window| relevant.iter().map(|other| iou(one, *other)).fold(0.0, f64::max);
    let first = ranked.first().map_or(0.0, |first| overlap(*first));
    let middle = ranked.first().map(|(start, end)| (start + end) / 2.0);
    let hit =
        middle.is_some_and(|middle| relevant.iter().any(|(start, end)| (*start..=*end).contains(&middle)));
    let answered = union(&ranked[..predicted.returned.min(ranked.len())]);
    let thresholds = (0..10).map(|step| 0.5 + 0.05 * f64::from(step));
    let precision =
        thresholds.map(|threshold| average_precision(&ranked, relevant, threshold)).sum::<f64>() / 10.0;
    let flag = |is: bool| f64::from(u8::from(is));
    [flag(first >= 0.5), flag(first >= 0.7), flag(hit), f1(&answered, &union(relevant)), precision]
        .map(|value| 100.0 * value)
}

fn iou(one: Window, other: Window) -> f64 {
    let common = (one.1.min(other.1) - one.0.max(other.0)).max(0.0);
    let all = (one.1 - one.0) + (other.1 - other.0) - common;
    if all > 0.0 { common / all } else { 0.0 }
}

fn union(windows: &[Window]) -> Vec<Window> {
    let mut sorted = windows.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut union: Vec<Window> = Vec::new();
    for (start, end) in sorted {
        match union.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => union.push((start, end)),
        }
    }
    union
}

/// Of the times of two unions.
fn f1(answered: &[Window], relevant: &[Window]) -> f64 {
    let length = |windows: &[Window]| windows.iter().map(|(start, end)| end - start).sum::<f64>();
    let pairs = answered.iter().flat_map(|one| relevant.iter().map(move |other| (one, other)));
    let common: f64 = pairs.map(|(one, other)| (one.1.min(other.1) - one.0.max(other.0)).max(0.0)).sum();
    if common > 0.0 { 2.0 * common / (length(answered) + length(relevant)) } else { 0.0 }
}

/// Each relevant window is found once at most.
fn average_precision(ranked: &[Window], relevant: &[Window], threshold: f64) -> f64 {
    let (mut open, mut found, mut sum) = (relevant.to_vec(), 0.0, 0.0);
    for (place, window) in ranked.iter().take(RANKED_MAX).enumerate() {
        let best = open.iter().enumerate().map(|(at, other)| (iou(*window, *other), at));
        let best = best.fold(None, |best: Option<(f64, usize)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        });
        if let Some((overlap, at)) = best
            && overlap >= threshold
        {
            open.remove(at);
            found += 1.0;
            sum += found / (place + 1) as f64;
        }
    }
    sum / relevant.len().min(RANKED_MAX) as f64
}

/// The probability that one of `present` is above one of `absent`; nothing if either is empty.
pub(crate) fn auroc(present: &[f64], absent: &[f64]) -> Option<f64> {
    let pairs = present.iter().flat_map(|one| absent.iter().map(move |other| (one, other)));
    let wins: f64 = pairs
        .map(|(one, other)| if one > other { 1.0 } else { 0.5 * f64::from(u8::from(one == other)) })
        .sum();
    let count = (present.len() * absent.len()) as f64;
    (count > 0.0).then(|| wins / count)
}

/// The means of some queries' values.
pub(crate) fn means<'a>(values: impl Iterator<Item = &'a Values>) -> (usize, Values) {
    let (mut count, mut sums) = (0, Values::default());
    for one in values {
        count += 1;
        for (sum, value) in sums.iter_mut().zip(one) {
            *sum += value;
        }
    }
    (count, sums.map(|sum| sum / (count.max(1)) as f64))
}

/// 95 % intervals of the means, by drawing transcripts again so many times; `values` are by transcript.
pub(crate) fn intervals(values: &BTreeMap<&str, Vec<Values>>, times: usize) -> [(f64, f64); MEASURES.len()] {
    let groups: Vec<&Vec<Values>> = values.values().collect();
    // The same draws every time: a generator of its own, because nothing here is secret.
    let mut state: u64 = 1;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let mut all: Vec<Values> = Vec::new();
    for _ in 0..times {
        let drawn: Vec<&Vec<Values>> = groups.iter().map(|_| groups[draw() % groups.len()]).collect();
        all.push(means(drawn.into_iter().flatten()).1);
    }
    std::array::from_fn(|measure| {
        let mut sorted: Vec<f64> = all.iter().map(|values| values[measure]).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get((share * times as f64) as usize).copied().unwrap_or_default();
        (at(0.025), at(0.975))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_measured_by_its_overlap() {
        let of =
            |ranked: &[Window]| values(&[(0.0, 10.0)], &Predicted { ranked: ranked.to_vec(), returned: 1 });
        assert_eq!(of(&[(0.0, 10.0)]), [100.0; 5]);
        assert_eq!(of(&[]), [0.0; 5]);
        // Half of it: IoU .5 counts at .5 alone.
        let half = of(&[(0.0, 5.0)]);
        assert_eq!((half[0], half[1], half[2], half[4]), (100.0, 0.0, 100.0, 10.0));
        assert!((half[3] - 200.0 / 3.0).abs() < 1e-9);
        // The second is right: half of its precision.
        let second = of(&[(20.0, 30.0), (0.0, 10.0)]);
        assert_eq!((second[0], second[3], second[4]), (0.0, 0.0, 50.0));
    }

    #[test]
    fn several_windows_are_a_union() {
        let relevant = [(0.0, 10.0), (5.0, 20.0), (30.0, 40.0)];
        let predicted = Predicted { ranked: vec![(0.0, 20.0), (30.0, 40.0)], returned: 2 };
        assert!((values(&relevant, &predicted)[3] - 100.0).abs() < 1e-9);
    }

    #[test]
    fn auroc_is_the_share_of_pairs_in_order() {
        assert_eq!(auroc(&[0.9, 0.5], &[0.5, 0.1]), Some(0.875));
        assert_eq!(auroc(&[0.9], &[]), None);
    }

    #[test]
    fn an_interval_has_the_mean_within() {
        let values = BTreeMap::from([("a", vec![[0.0; 5]; 3]), ("b", vec![[100.0; 5]; 3])]);
        let [(low, high), ..] = intervals(&values, 200);
        assert!((0.0..50.0).contains(&low) && high > 50.0, "{low} {high}");
    }
}
