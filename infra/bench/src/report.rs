//! The results as a table for people, as Markdown and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::machine::Machine;
use crate::methods::Method;
use crate::rounds::{CaseResult, MethodResult};
use crate::targets::{Target, mega};

/// Between these lines the document is written by the benchmark.
const BEGIN: &str = "<!-- bench clip: begin -->";
const END: &str = "<!-- bench clip: end -->";
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
        text + &aligned(&self.verdicts())
    }

    /// The document with the part between its marks written anew.
    pub(crate) fn write_into(&self, document: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(document)
            .with_context(|| format!("cannot read {}", document.display()))?;
        let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) =
            parts.with_context(|| format!("{} lacks the marks {BEGIN} and {END}", document.display()))?;
        let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.markdown());
        Ok(std::fs::write(document, text)?)
    }

    fn markdown(&self) -> String {
        let Machine { cpu, cores, memory_gib, kernel, ffmpeg, load_before } = &self.machine;
        let mut text = format!(
            "Measured {} by `{}`, median of {} rounds, on {cores} cores ({cpu}), {memory_gib} GiB, Linux {kernel}, \
             ffmpeg {ffmpeg}. Load before the run: {load_before}.\n\n",
            self.date, self.command, self.rounds
        );
        if !self.targets.is_empty() {
            text += &piped(&self.verdicts());
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

    fn verdicts(&self) -> Vec<Vec<String>> {
        let mut rows = vec![["target for ours", "figure", "at most", "met"].map(str::to_owned).to_vec()];
        for Target { what, figure, at_most, met } in &self.targets {
            let met = met.map_or("not measured", |met| if met { "yes" } else { "NO" });
            rows.push(vec![
                (*what).to_owned(),
                number(*figure, 3),
                number(Some(*at_most), 3),
                met.to_owned(),
            ]);
        }
        rows
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

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

/// Columns padded with blanks: the first and the last to the left, figures to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if n == 0 || n + 1 == columns {
                write!(line, "{cell:<width$}  ")
            } else {
                write!(line, "{cell:>width$}  ")
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A Markdown table.
fn piped(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if n == 0 {
            let last = row.len().saturating_sub(1);
            let marks = (0..row.len()).map(|n| if n == 0 || n == last { "---" } else { "--:" });
            let _ = writeln!(text, "|{}|", marks.collect::<Vec<_>>().join("|"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [["a", "b", "c"], ["long", "1.5", "x|y"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), "a       b  c\nlong  1.5  x|y\n");
        assert_eq!(piped(&rows), "| a | b | c |\n|---|--:|---|\n| long | 1.5 | x\\|y |\n");
    }

    #[test]
    fn only_what_is_between_the_marks_is_written() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("prose\n{BEGIN}\nold\n{END}\nmore\n")).unwrap();
        let report = Report {
            date: "2030-01-01T00:00:00Z".to_owned(),
            command: "cargo xtask bench clip".to_owned(),
            machine: Machine::look(),
            rounds: 5,
            cases: Vec::new(),
            targets: Vec::new(),
            methods: Vec::new(),
        };
        report.write_into(file.path()).unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(text.starts_with("prose\n") && text.ends_with("\nmore\n"), "{text}");
        assert!(!text.contains("old") && text.contains("median of 5 rounds"), "{text}");
        std::fs::write(file.path(), "no marks").unwrap();
        assert!(report.write_into(file.path()).unwrap_err().to_string().contains("lacks the marks"));
    }
}
