//! What our figures have to be.

use serde::Serialize;

use crate::corpus::HEADLINE;
use crate::methods::{CACHED, OURS, Run};
use crate::rounds::{CaseResult, MethodResult, median};
use crate::tables::number;

/// A figure and the most that it may be.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Target {
    pub(crate) what: &'static str,
    /// None if it was not measured.
    pub(crate) figure: Option<f64>,
    pub(crate) at_most: f64,
    pub(crate) met: Option<bool>,
}

impl Target {
    pub(crate) fn new(what: &'static str, figure: Option<f64>, at_most: f64) -> Self {
        Self { what, figure, at_most, met: figure.map(|figure| figure <= at_most) }
    }
}

/// A table of verdicts, with its head.
pub(crate) fn rows(targets: &[Target]) -> Vec<Vec<String>> {
    let mut rows = vec![["target for ours", "figure", "at most", "met"].map(str::to_owned).to_vec()];
    for Target { what, figure, at_most, met } in targets {
        let met = met.map_or("not measured", |met| if met { "yes" } else { "NO" });
        rows.push(vec![(*what).to_owned(), number(*figure, 3), number(Some(*at_most), 3), met.to_owned()]);
    }
    rows
}

/// The verdicts, all on the headline case; none if it was not measured.
pub(crate) fn verdicts(cases: &[CaseResult]) -> Vec<Target> {
    let Some(case) = cases.iter().find(|case| case.name == HEADLINE) else { return Vec::new() };
    let method = |name: &str| case.methods.iter().find(|method| method.name == name);
    let Some(ours) = method(OURS) else { return Vec::new() };
    let against = |name: &str, figure: fn(&Run) -> Option<f64>| {
        let pairs = ours.runs.iter().zip(&method(name)?.runs);
        median(pairs.map(|(ours, theirs)| Some(figure(ours)? / figure(theirs)?)))
    };
    let cpu = |run: &Run| run.cpu_s;
    vec![
        Target::new("bytes read / (clip + moov)", bytes(ours, case.moov_bytes), 1.05),
        Target::new(
            "bytes read with a kept index / clip",
            method(CACHED).and_then(|cached| bytes(cached, 0)),
            1.05,
        ),
        Target::new("CPU / CPU of veryfast", against("veryfast", cpu), 1.0 / 40.0),
        Target::new("CPU / CPU of smartcut", against("smartcut", cpu), 1.0 / 5.0),
        Target::new("wall / wall of the prototype", against("prototype", |run| Some(run.wall_s)), 0.5),
        Target::new("memory, MB", ours.memory_bytes.map(mega), 512.0),
        Target::new(
            "frames missing, repeated or not the span's",
            ours.finding.as_ref().map(wrong_frames),
            0.0,
        ),
    ]
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
fn bytes(ours: &MethodResult, moov_bytes: u64) -> Option<f64> {
    let clip = ours.finding.as_ref()?.clip_bytes;
    Some(ours.bytes_read? as f64 / (clip + moov_bytes) as f64)
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
fn wrong_frames(finding: &crate::check::Finding) -> f64 {
    let pictures = &finding.pictures;
    (pictures.wanted - pictures.right + pictures.repeated + pictures.extra) as f64
}

/// Bytes as megabytes.
#[allow(clippy::cast_precision_loss)] // far below 2^53
pub(crate) fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Ratios;

    fn method(name: &'static str, cpu_s: [f64; 3]) -> MethodResult {
        let run = |cpu_s| Run { wall_s: 1.0, cpu_s: Some(cpu_s), memory_bytes: None, bytes_read: 0 };
        MethodResult {
            name,
            wall_s: None,
            cpu_s: None,
            memory_bytes: Some(600_000_000),
            bytes_read: None,
            ratios: Ratios::default(),
            finding: None,
            error: None,
            runs: cpu_s.map(run).to_vec(),
        }
    }

    #[test]
    fn a_verdict_is_on_pairs_and_silent_on_what_was_not_measured() {
        let methods = vec![method(OURS, [1.0, 2.0, 1.0]), method("veryfast", [50.0, 50.0, 10.0])];
        let case =
            CaseResult { name: HEADLINE, source: "", start_s: 0.0, end_s: 1.0, moov_bytes: 0, methods };
        let verdicts = verdicts(&[case]);
        let of = |word: &str| verdicts.iter().find(|target| target.what.contains(word)).unwrap();
        // Pairs of 0.02, 0.04 and 0.1: the medians alone would say 0.02.
        assert_eq!((of("veryfast").figure, of("veryfast").met), (Some(0.04), Some(false)));
        assert_eq!((of("smartcut").figure, of("smartcut").met), (None, None));
        assert_eq!(of("memory").met, Some(false));
    }
}
