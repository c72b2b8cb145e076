//! Runs the methods of a case in rounds: each method once in every round, another one first each time, so that what
//! else the machine is doing meets all of them alike.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::check::{self, Finding};
use crate::corpus::Case;
use crate::measure::Sampling;
use crate::methods::{Job, Method, OURS, Run, Setup};
use crate::server::Server;
use crate::{probe, say};

/// Methods that are faster than this, in seconds, run once more for their memory, which is hardly seen in a short run.
const MEMORY_RUN_MAX_S: f64 = 10.0;

/// A case and what came of it.
#[derive(Debug, Serialize)]
pub(crate) struct CaseResult {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) start_s: f64,
    pub(crate) end_s: f64,
    /// Length of the source's index.
    pub(crate) moov_bytes: u64,
    pub(crate) methods: Vec<MethodResult>,
}

/// A method and what came of it in one case. The figures are medians, but of memory the largest.
#[derive(Debug, Serialize)]
pub(crate) struct MethodResult {
    pub(crate) name: &'static str,
    pub(crate) wall_s: Option<f64>,
    pub(crate) cpu_s: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) bytes_read: Option<u64>,
    /// Medians of what the rounds' figures are, divided by ours in the same round.
    pub(crate) ratios: Ratios,
    pub(crate) finding: Option<Finding>,
    /// Why there is no clip.
    pub(crate) error: Option<String>,
    pub(crate) runs: Vec<Run>,
}

/// Times ours.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Ratios {
    pub(crate) wall: Option<f64>,
    pub(crate) cpu: Option<f64>,
    pub(crate) bytes: Option<f64>,
}

struct Contender {
    method: &'static Method,
    out: PathBuf,
    runs: Vec<Run>,
    memory_bytes: Option<u64>,
    error: Option<String>,
}

/// Where everything lies that a case needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) server: &'a Server,
    pub(crate) sources: &'a Path,
    pub(crate) out: &'a Path,
    pub(crate) rounds: usize,
}

impl Bench<'_> {
    /// Measures `methods` in `case`, then looks at their clips.
    pub(crate) fn case(
        &self,
        case: &'static Case,
        methods: &[&'static Method],
    ) -> anyhow::Result<CaseResult> {
        let source = self.sources.join(case.file);
        // Into the page cache, or the first to read would wait for the disk.
        std::io::copy(&mut std::fs::File::open(&source)?, &mut std::io::sink())?;
        let mut contenders: Vec<Contender> = methods.iter().map(|method| self.contender(method)).collect();
        for round in 0..self.rounds {
            say::line(&format!("bench: {}, round {} of {}", case.name, round + 1, self.rounds));
            for place in 0..contenders.len() {
                let turn = (place + round) % contenders.len();
                self.turn(case, &mut contenders[turn], Sampling::Light);
            }
        }
        for contender in contenders.iter_mut().filter(|one| one.memory_bytes.is_some()) {
            let wall = median(contender.runs.iter().map(|run| Some(run.wall_s)));
            if wall.is_some_and(|wall| wall < MEMORY_RUN_MAX_S) {
                self.turn(case, contender, Sampling::Dense);
            }
        }
        let findings = look(&source, case, &mut contenders)?;
        let ours = contenders.iter().find(|contender| contender.method.name == OURS);
        let ours = ours.map(|ours| ours.runs.clone()).unwrap_or_default();
        let results = contenders.into_iter().zip(findings).map(|(one, finding)| one.result(&ours, finding));
        Ok(CaseResult {
            name: case.name,
            source: case.about(),
            start_s: case.start,
            end_s: case.end,
            moov_bytes: probe::moov_bytes(&source)?,
            methods: results.collect(),
        })
    }

    fn contender(&self, method: &'static Method) -> Contender {
        let out = self.out.join(format!("{}.mp4", method.name));
        Contender { method, out, runs: Vec::new(), memory_bytes: None, error: None }
    }

    /// One run. A method that failed once is left out from then on.
    fn turn(&self, case: &'static Case, contender: &mut Contender, sampling: Sampling) {
        if contender.error.is_some() {
            return;
        }
        let url = self.server.url(case.file);
        let job = Job { case, url: &url, out: &contender.out };
        match contender.method.run(self.setup, &job, self.server, sampling) {
            Ok(run) => {
                contender.memory_bytes = contender.memory_bytes.max(run.memory_bytes);
                if sampling == Sampling::Light {
                    say::line(&format!("  {:<12}{:8.2} s", contender.method.name, run.wall_s));
                    contender.runs.push(run);
                }
            }
            Err(error) => {
                say::line(&format!("  {:<12}{error:#}", contender.method.name));
                contender.error = Some(format!("{error:#}"));
            }
        }
    }
}

/// Looks at the clips of those that made one.
fn look(source: &Path, case: &Case, contenders: &mut [Contender]) -> anyhow::Result<Vec<Option<Finding>>> {
    say::line(&format!("bench: {}, looking at every frame of the clips", case.name));
    let made: Vec<&Path> = contenders.iter().filter(|one| one.error.is_none()).map(|one| &*one.out).collect();
    let mut found = check::findings(source, case, &made)?.into_iter();
    let mut findings = Vec::new();
    for contender in contenders.iter_mut() {
        let finding = if contender.error.is_none() { found.next() } else { None };
        findings.push(match finding.transpose() {
            Ok(finding) => finding,
            Err(error) => {
                contender.error = Some(format!("{error:#}"));
                None
            }
        });
    }
    Ok(findings)
}

impl Contender {
    fn result(self, ours: &[Run], finding: Option<Finding>) -> MethodResult {
        let of = |figure: fn(&Run) -> Option<f64>| median(self.runs.iter().map(figure));
        let against = |figure: fn(&Run) -> Option<f64>| {
            median(self.runs.iter().zip(ours).map(|(own, ours)| Some(figure(own)? / figure(ours)?)))
        };
        #[allow(clippy::cast_precision_loss)] // far below 2^53
        let bytes = |run: &Run| Some(run.bytes_read as f64);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it was a count
        let bytes_read = of(bytes).map(|bytes| bytes as u64);
        MethodResult {
            name: self.method.name,
            wall_s: of(|run| Some(run.wall_s)),
            cpu_s: of(|run| run.cpu_s),
            memory_bytes: self.memory_bytes,
            bytes_read,
            ratios: Ratios {
                wall: against(|run| Some(run.wall_s)),
                cpu: against(|run| run.cpu_s),
                bytes: against(bytes),
            },
            finding,
            error: self.error,
            runs: self.runs,
        }
    }
}

/// The middle of what there is; of two middles, their mean.
pub(crate) fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut values: Vec<f64> = values.flatten().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        Some(upper)
    } else {
        values.get(middle - 1).map(|lower| f64::midpoint(*lower, upper))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle() {
        assert_eq!(median([Some(3.0), None, Some(1.0), Some(100.0)].into_iter()), Some(3.0));
        assert_eq!(median([Some(3.0), Some(1.0)].into_iter()), Some(2.0));
        assert_eq!(median([None].into_iter()), None);
    }
}
