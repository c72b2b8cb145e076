//! A transcript as it is compared: units of whole lines, of 20 to 60 words each, with prefix sums over all that is asked of
//! windows of them.

use std::collections::BTreeMap;

use crate::embed::{Vector, WIDTH};
use crate::lines::{LINE_WORDS_MAX, Line};
use crate::text::Tongue;

/// Seconds before and behind a unit that are compared to see whether the topic changes there.
const VALLEY_SECONDS: f64 = 45.0;
/// Units that a valley's shoulder may be away.
const SHOULDER_UNITS_MAX: usize = 256;
/// The shortest time a unit takes, for times that say none.
const UNIT_SECONDS_MIN: f64 = 0.4;

/// Units of a transcript, at least, as long as each has some words: the weights were fitted on hours of speech, and ten minutes
/// are divided more finely, or windows of so many units would be all of it.
const UNITS_MIN: usize = 60;
const UNIT_WORDS_MIN: usize = 20;

/// Lines [from, to) that make a unit: as many as fit.
pub(crate) fn divide(lines: &[Line]) -> Vec<(usize, usize)> {
    let all = lines.iter().map(|line| line.words.len()).sum::<usize>();
    let most = (all / UNITS_MIN).clamp(UNIT_WORDS_MIN, LINE_WORDS_MAX);
    let (mut units, mut from, mut words) = (Vec::new(), 0, 0);
    for (at, line) in lines.iter().enumerate() {
        if at > from && words + line.words.len() > most {
            units.push((from, at));
            (from, words) = (at, 0);
        }
        words += line.words.len();
    }
    if from < lines.len() {
        units.push((from, lines.len()));
    }
    units
}

/// The text of a unit, as the model reads it.
pub(crate) fn text(lines: &[Line], (from, to): (usize, usize)) -> String {
    lines[from..to].iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Sums of all before each place: any window's sum is a difference.
pub(crate) fn sums(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut sums = vec![0.0];
    let mut sum = 0.0;
    for value in values {
        sum += value;
        sums.push(sum);
    }
    sums
}

/// Where a term is said: units, and how often in each.
pub(crate) type Postings = Vec<(usize, f64)>;

/// All units of a transcript.
pub(crate) struct Units {
    /// Lines [from, to) of each.
    pub(crate) lines: Vec<(usize, usize)>,
    /// Seconds; `end` is above `start`.
    pub(crate) start: Vec<f64>,
    pub(crate) end: Vec<f64>,
    /// Of the source, in seconds.
    pub(crate) duration: f64,
    /// Sums of the units' times.
    pub(crate) time: Vec<f64>,
    /// Sums of the units' terms.
    pub(crate) terms: Vec<f64>,
    pub(crate) postings: BTreeMap<String, Postings>,
    /// Sums of the units' vectors, each weighed by the root of its words.
    vectors: Vec<[f64; WIDTH]>,
    /// How much the topic changes before each unit, and at the end: standardised, from −2 to 4.
    pub(crate) valley: Vec<f64>,
}

impl Units {
    /// `vectors` has one for each of `divide(lines)`.
    pub(crate) fn new(lines: &[Line], duration: f64, tongue: &Tongue, vectors: &[Vector]) -> Self {
        let divided = divide(lines);
        let seconds = |micros: i64| micros as f64 / 1e6;
        let start: Vec<f64> = divided.iter().map(|(from, _)| seconds(lines[*from].start)).collect();
        let ends = divided.iter().zip(&start);
        let end: Vec<f64> =
            ends.map(|((_, to), start)| seconds(lines[to - 1].end).max(start + UNIT_SECONDS_MIN)).collect();
        let mut postings: BTreeMap<String, Postings> = BTreeMap::new();
        let mut terms = Vec::new();
        for (unit, place) in divided.iter().enumerate() {
            let stems = tongue.of_speech(&text(lines, *place));
            terms.push(stems.len() as f64);
            for stem in stems {
                let postings = postings.entry(stem).or_default();
                match postings.last_mut() {
                    Some((last, count)) if *last == unit => *count += 1.0,
                    _ => postings.push((unit, 1.0)),
                }
            }
        }
        let mut sum = [0.0; WIDTH];
        let mut all = vec![sum];
        for ((from, to), vector) in divided.iter().zip(vectors) {
            let words = lines[*from..*to].iter().map(|line| line.words.len()).sum::<usize>() as f64;
            for (sum, number) in sum.iter_mut().zip(vector) {
                *sum += f64::from(*number) * words.sqrt();
            }
            all.push(sum);
        }
        let time = sums(start.iter().zip(&end).map(|(start, end)| end - start));
        let mut units = Self {
            lines: divided,
            start,
            end,
            duration: duration.max(1.0),
            time,
            terms: sums(terms),
            postings,
            vectors: all,
            valley: Vec::new(),
        };
        units.valley = units.valleys();
        units
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The vector of the units [from, to), of no length in particular.
    fn vector(&self, from: usize, to: usize) -> [f64; WIDTH] {
        let (a, b) = (&self.vectors[from], &self.vectors[to]);
        std::array::from_fn(|at| b[at] - a[at])
    }

    /// The length of that vector.
    pub(crate) fn norm(&self, from: usize, to: usize) -> f64 {
        let (a, b) = (&self.vectors[from], &self.vectors[to]);
        a.iter().zip(b).map(|(a, b)| (b - a) * (b - a)).sum::<f64>().sqrt()
    }

    /// Sums of the units' products with a vector.
    pub(crate) fn products(&self, vector: &Vector) -> Vec<f64> {
        self.vectors.iter().map(|sum| sum.iter().zip(vector).map(|(a, b)| a * f64::from(*b)).sum()).collect()
    }

    /// The first unit that begins at this time or later.
    pub(crate) fn at(&self, seconds: f64) -> usize {
        self.start.partition_point(|start| *start < seconds)
    }

    /// How unlike what is said behind a unit's beginning is to what is said before, measured from the shoulders around.
    fn valleys(&self) -> Vec<f64> {
        let count = self.len();
        let mut alike = vec![1.0; count + 1];
        for (unit, alike) in alike.iter_mut().enumerate().take(count).skip(1) {
            let before = self.at(self.start[unit] - VALLEY_SECONDS).min(unit - 1);
            let behind = self.at(self.start[unit] + VALLEY_SECONDS).max(unit + 1);
            let (before, behind) = (self.vector(before, unit), self.vector(unit, behind));
            let product =
                |a: &[f64; WIDTH], b: &[f64; WIDTH]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let lengths = product(&before, &before).sqrt() * product(&behind, &behind).sqrt();
            *alike = product(&before, &behind) / (lengths + 1e-9);
        }
        let mut valley = vec![0.0; count + 1];
        for unit in 1..count {
            let (mut left, mut right) = (unit, unit);
            while left > 1 && alike[left - 1] >= alike[left] && unit - left < SHOULDER_UNITS_MAX {
                left -= 1;
            }
            while right + 1 < count && alike[right + 1] >= alike[right] && right - unit < SHOULDER_UNITS_MAX {
                right += 1;
            }
            valley[unit] = alike[left] + alike[right] - 2.0 * alike[unit];
        }
        if count > 2 {
            let standard = crate::curves::standard(&valley[1..count]);
            valley[1..count].copy_from_slice(&standard);
        }
        valley[0] = 2.0;
        valley[count] = 2.0;
        valley.iter().map(|depth| depth.clamp(-2.0, 4.0)).collect()
    }
}
