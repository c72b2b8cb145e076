//! The results as a table for people, as Markdown and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::machine::Machine;
use crate::methods::Method;
use crate::rounds::{CaseResult, MethodResult};
use crate::tables::{aligned, number, piped};
use crate::targets::{self, Target, mega};

const HEAD: [&str; 11] = [
    "method",
    "wall s",
    "CPU s",
    "memory MB",
    "read MB",
    "wall ×",
    "CPU ×",
    "frames right",
    "identical",
    "≥ 42 dB",
    "wrong",
];

/// Everything that came of one run of the benchmark.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// RFC 3339, UTC.
    pub(crate) date: String,
    pub(crate) command: String,
    pub(crate) machine: Machine,
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<CaseResult>,
    pub(crate) targets: Vec<Target>,
    #[serde(skip)]
    pub(crate) methods: Vec<&'static Method>,
}

impl Report {
    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for case in &self.cases {
            let _ = writeln!(text, "{}\n", title(case));
            text += &aligned(&rows(case));
            text.push('\n');
        }
        text + &aligned(&targets::rows(&self.targets))
    }

    /// For the document.
    pub(crate) fn markdown(&self) -> String {
        let Machine { cpu, cores, memory_gib, kernel, ffmpeg, load_before } = &self.machine;
        let mut text = format!(
            "Measured {} by `{}`, median of {} rounds, on {cores} cores ({cpu}), {memory_gib} GiB, Linux {kernel}, \
             ffmpeg {ffmpeg}. Load before the run: {load_before}.\n\n",
            self.date, self.command, self.rounds
        );
        if !self.targets.is_empty() {
            text += &piped(&targets::rows(&self.targets));
        }
        for case in &self.cases {
            let _ = write!(text, "\n### {}\n\n{}", title(case), piped(&rows(case)));
        }
        text += "\nThe methods:\n\n";
        for method in &self.methods {
            let _ = writeln!(text, "- {}: {}", method.name, method.about);
        }
        text
    }
}

fn title(case: &CaseResult) -> String {
    let CaseResult { name, source, start_s, end_s, .. } = case;
    let length = end_s - start_s;
    format!("{name}: {length:.1} s from {start_s:.1} s of: {source} (index {:.2} MB)", mega(case.moov_bytes))
}

fn rows(case: &CaseResult) -> Vec<Vec<String>> {
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(case.methods.iter().map(row));
    rows
}

fn row(method: &MethodResult) -> Vec<String> {
    let MethodResult { name, wall_s, cpu_s, memory_bytes, bytes_read, ratios, .. } = method;
    let mut row = vec![
        (*name).to_owned(),
        number(*wall_s, 2),
        number(*cpu_s, 2),
        number(memory_bytes.map(mega), 0),
        number(bytes_read.map(mega), 1),
        number(ratios.wall, 2),
        number(ratios.cpu, 2),
    ];
    match &method.finding {
        Some(finding) => {
            let shown = &finding.pictures;
            let wrong =
                if finding.wrong.is_empty() { "nothing".to_owned() } else { finding.wrong.join("; ") };
            let (right, wanted) = (shown.right, shown.wanted);
            let good = shown.identical + shown.good;
            row.extend([
                format!("{right} of {wanted}"),
                shown.identical.to_string(),
                good.to_string(),
                wrong,
            ]);
        }
        None => {
            let why = method.error.as_deref().unwrap_or("unknown");
            row.extend(["–".to_owned(), "–".to_owned(), "–".to_owned(), format!("no clip: {why}")]);
        }
    }
    row
}
