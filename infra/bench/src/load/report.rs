//! What came of the load, for a terminal, a document and programs.

use serde::Serialize;

use super::Options;
use super::ask::{Answers, Asked};
use super::books::{Audit, Calls};
use crate::machine::Machine;
use crate::tables::{aligned, number, piped};

/// Everything that came of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    machine: Machine,
    people: usize,
    jobs: u32,
    reads: u32,
    /// Until the last job had ended.
    wall_s: f64,
    /// Until the last read was answered.
    reads_s: f64,
    asked: Asked,
    audit: Audit,
    calls: Calls,
}

impl Report {
    pub(crate) fn new(
        options: &Options,
        machine: Machine,
        people: usize,
        (wall_s, reads_s): (f64, f64),
        asked: Asked,
        audit: Audit,
        calls: Calls,
    ) -> Self {
        let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        let (jobs, reads) = (options.jobs, options.reads);
        Self { date, machine, people, jobs, reads, wall_s, reads_s, asked, audit, calls }
    }

    /// What is not as it must be.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let Asked { accept, read, wait } = &self.asked;
        let faults = accept.faults() + read.faults() + wait.faults();
        let complete = self.audit.ended.get("complete").copied().unwrap_or_default();
        let mut wrong = Vec::new();
        if faults > 0 {
            wrong.push(format!("{faults} answers were a 5xx or none"));
        }
        if complete != self.jobs as usize {
            wrong.push(format!("{complete} of {} jobs are complete: {:?}", self.jobs, self.audit.ended));
        }
        wrong
    }

    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}", aligned(&self.outcome()), aligned(&self.latencies()), aligned(&self.dynamodb()))
    }

    pub(crate) fn markdown(&self) -> String {
        let Machine { cpu, cores, memory_gib, load_before, .. } = &self.machine;
        format!(
            "Measured {} by `cargo xtask bench load --jobs {} --reads {}` on {cores} cores ({cpu}), {memory_gib} GiB, all of \
             it (service, media work and readers) on the same machine. Load before the run: {load_before}.\n\n{}\n{}\n{}",
            self.date,
            self.jobs,
            self.reads,
            piped(&self.outcome()),
            piped(&self.latencies()),
            piped(&self.dynamodb()),
        )
    }

    #[allow(clippy::cast_precision_loss)] // far below 2^53
    fn outcome(&self) -> Vec<Vec<String>> {
        let Asked { accept, read, wait } = &self.asked;
        let faults = accept.faults() + read.faults() + wait.faults();
        let refused =
            [accept, read, wait].iter().filter_map(|answers| answers.statuses.get(&429)).sum::<u64>();
        let ended: Vec<String> =
            self.audit.ended.iter().map(|(end, count)| format!("{count} {end}")).collect();
        let rows = [
            ("people, each with an account of their own", self.people.to_string()),
            ("jobs accepted", self.audit.accepted.to_string()),
            ("jobs ended", ended.join(", ")),
            (
                "minutes until the last job had ended and the last read was answered",
                number(Some(self.wall_s / 60.0), 1),
            ),
            ("jobs a minute", number(Some(f64::from(self.jobs) * 60.0 / self.wall_s), 1)),
            ("status reads a second", number(Some(f64::from(self.reads) / self.reads_s), 1)),
            ("answers 5xx, or none", faults.to_string()),
            ("answers 429, which came again as they were told", refused.to_string()),
            ("entries in the books, which balance", self.audit.entries.to_string()),
            ("charged, $", number(Some(self.audit.charged as f64 / 1e6), 2)),
        ];
        let head = vec!["what".to_owned(), "figure".to_owned()];
        std::iter::once(head).chain(rows.map(|(what, figure)| vec![what.to_owned(), figure])).collect()
    }

    fn latencies(&self) -> Vec<Vec<String>> {
        let row = |what: &str, answers: &Answers| {
            let ms = |part| number(answers.percentile(part), 0);
            vec![what.to_owned(), answers.count().to_string(), ms(0.5), ms(0.95), ms(0.99), ms(1.0)]
        };
        let head = ["request", "answers", "median ms", "95 % ms", "99 % ms", "slowest ms"];
        vec![
            head.map(str::to_owned).to_vec(),
            row("`POST /v1/clip`", &self.asked.accept),
            row("`GET /v1/clip/{job_id}`", &self.asked.read),
        ]
    }

    #[allow(clippy::cast_precision_loss)] // far below 2^53
    fn dynamodb(&self) -> Vec<Vec<String>> {
        let of = |handler: &str| {
            let operations = self.calls.get(handler);
            operations.map_or(0, |operations| operations.values().sum::<u64>())
        };
        let all: u64 = self.calls.values().flat_map(|operations| operations.values()).sum();
        let reads = self.asked.read.count() + self.asked.wait.count();
        let accepts = self.asked.accept.count();
        let per = |calls: u64, of: u64| number((of > 0).then(|| calls as f64 / of as f64), 2);
        let head = ["calls of DynamoDB", "calls", "each"];
        let rest = all - of("clips.create") - of("clips.get");
        let rows = [
            ("by `POST /v1/clip`", of("clips.create"), per(of("clips.create"), accepts)),
            ("by status reads, waiting ones too", of("clips.get"), per(of("clips.get"), reads)),
            ("by everything else, each job", rest, per(rest, u64::from(self.jobs))),
        ];
        let rows = rows.map(|(what, calls, each)| vec![what.to_owned(), calls.to_string(), each]);
        std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
    }
}
