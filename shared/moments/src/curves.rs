//! How well each part of a transcript fits a query, by meaning and by words, over windows of several widths; and how likely
//! each unit is relevant.

use crate::bm25;
use crate::embed::Vector;
use crate::query::Shape;
use crate::units::{Units, sums};
use crate::weights::{UNIT, WIDTHS, WIDTHS_SHARP, logistic};

/// Seconds that a video's length is measured in.
const LENGTH_SECONDS: f64 = 3_000.0;

/// What is looked for, as it is compared.
pub(crate) struct Sought<'a> {
    /// The topic's vector; nothing where the model doesn't know the language.
    pub(crate) vector: Option<&'a Vector>,
    /// The query's terms.
    pub(crate) terms: &'a [String],
    pub(crate) shape: Shape,
}

/// Curves over the units, and what else spans are scored by.
pub(crate) struct Curves {
    /// How likely each unit is relevant.
    pub(crate) relevant: Vec<f64>,
    /// The same before it became a probability, standardised.
    pub(crate) score: Vec<f64>,
    /// Evidence from narrow windows alone, standardised.
    pub(crate) narrow: Vec<f64>,
    /// Cosines of windows of three units.
    pub(crate) meaning: Vec<f64>,
    /// Sums of the products with the query's vector.
    pub(crate) products: Vec<f64>,
}

/// Values less their mean, in standard deviations.
pub(crate) fn standard(values: &[f64]) -> Vec<f64> {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    values.iter().map(|value| (value - mean) / (deviation + 1e-6)).collect()
}

/// The window around each of so many units: [from, to).
pub(crate) fn windows(count: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).map(move |unit| (unit.saturating_sub(width), (unit + width + 1).min(count)))
}

/// Cosines of the windows with the vector whose `products` these are.
pub(crate) fn cosines(units: &Units, products: &[f64], width: usize) -> Vec<f64> {
    let cosine = |(from, to): (usize, usize)| (products[to] - products[from]) / (units.norm(from, to) + 1e-9);
    windows(units.len(), width).map(cosine).collect()
}

impl Curves {
    pub(crate) fn new(units: &Units, sought: &Sought) -> Self {
        let words: Vec<Vec<f64>> =
            WIDTHS.iter().map(|width| bm25::curve(units, sought.terms, *width)).collect();
        let products = match sought.vector {
            Some(vector) => units.products(vector),
            None => vec![0.0; units.len() + 1],
        };
        // Without meaning, words stand for both.
        let meaning: Vec<Vec<f64>> = match sought.vector {
            Some(_) => WIDTHS.iter().map(|width| standard(&cosines(units, &products, *width))).collect(),
            None => words.clone(),
        };
        let sharp: Vec<f64> =
            meaning[0].iter().zip(&words[0]).map(|(a, b)| (0.75 * (a + b)).clamp(-4.0, 6.0).exp()).collect();
        let mean = sharp.iter().sum::<f64>() / sharp.len().max(1) as f64;
        let sharp = sums(sharp.iter().map(|value| value / mean));
        let sharp = WIDTHS_SHARP.map(|width| {
            let means =
                windows(units.len(), width).map(|(from, to)| (sharp[to] - sharp[from]) / (to - from) as f64);
            standard(&means.collect::<Vec<_>>())
        });
        let mut score = vec![0.0; units.len()];
        let weights = UNIT.meaning.iter().chain(&UNIT.words).chain(&UNIT.sharp);
        for (curve, weight) in meaning.iter().chain(&words).chain(&sharp).zip(weights) {
            for (score, value) in score.iter_mut().zip(curve) {
                *score += weight * value;
            }
        }
        let shift = UNIT.question * f64::from(u8::from(sought.shape.question))
            + UNIT.length * (units.duration / LENGTH_SECONDS).ln()
            + UNIT.bias;
        let narrow: Vec<f64> = (0..units.len())
            .map(|unit| (meaning[0][unit] + meaning[1][unit] + words[0][unit] + words[1][unit]) / 4.0)
            .collect();
        Self {
            relevant: score.iter().map(|score| logistic(score + shift)).collect(),
            score: standard(&score),
            narrow: standard(&narrow),
            meaning: cosines(units, &products, 1),
            products,
        }
    }
}
