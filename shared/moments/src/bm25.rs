//! How well windows fit a query by their words: Okapi BM25, where each window is a document.

use crate::curves::{standard, windows};
use crate::units::{Postings, Units, sums};

/// How fast a word's further repeats count less, and how much long windows are held back.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;

/// How rare a term is that so many of all units have.
fn rarity(units: &Units, having: f64) -> f64 {
    (1.0 + (units.len() as f64 - having + 0.5) / (having + 0.5)).ln()
}

/// The same of a term, whether it is said or not.
pub(crate) fn rarity_of(units: &Units, term: &str) -> f64 {
    rarity(units, units.postings.get(term).map_or(0.0, |postings| postings.len() as f64))
}

/// Sums over the units of how often a term is said.
fn counts(postings: &Postings, units: usize) -> Vec<f64> {
    let mut counts = vec![0.0; units];
    for (unit, count) in postings {
        counts[*unit] = *count;
    }
    sums(counts)
}

/// The score of the window around each unit, standardised; all nothing if no term is said anywhere.
pub(crate) fn curve(units: &Units, terms: &[String], width: usize) -> Vec<f64> {
    let count = units.len();
    let mut scores = vec![0.0; count];
    let lengths: Vec<f64> =
        windows(count, width).map(|(from, to)| units.terms[to] - units.terms[from]).collect();
    let mean = lengths.iter().sum::<f64>() / count.max(1) as f64 + 1e-9;
    let mut said = false;
    for postings in terms.iter().filter_map(|term| units.postings.get(term)) {
        said = true;
        let rarity = rarity(units, postings.len() as f64);
        let counts = counts(postings, count);
        for ((score, (from, to)), length) in scores.iter_mut().zip(windows(count, width)).zip(&lengths) {
            let often = counts[to] - counts[from];
            let held = SATURATION * (1.0 - LENGTH + LENGTH * length / mean);
            *score += rarity * often * (SATURATION + 1.0) / (often + held);
        }
    }
    if said { standard(&scores) } else { scores }
}

/// The share of the terms, rare ones counting more, that the window of three units around each unit has.
pub(crate) fn cover(units: &Units, terms: &[String]) -> Vec<f64> {
    let count = units.len();
    let (mut covers, mut all) = (vec![0.0; count], 1e-9);
    for term in terms {
        let rarity = rarity_of(units, term);
        all += rarity;
        let Some(postings) = units.postings.get(term) else { continue };
        let counts = counts(postings, count);
        for (cover, (from, to)) in covers.iter_mut().zip(windows(count, 1)) {
            if counts[to] > counts[from] {
                *cover += rarity;
            }
        }
    }
    covers.iter().map(|cover| cover / all).collect()
}
