//! `cargo xtask test`: everything that the tests need, then every test, then one line that adds them up.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use lexopt::prelude::*;

use crate::{say, setup, tools};

/// Sets up, runs `cargo test` with what comes after `--`, and fails as it does.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let extra: Vec<_> = match arguments.raw_args()?.collect::<Vec<_>>() {
        given if given.first().is_some_and(|first| first == "--") => given[1..].to_vec(),
        given if given.is_empty() => given,
        given => return Err(Value(given[0].clone()).unexpected().into()),
    };
    with(extra, None)
}

/// Runs the tests that `extra` chooses; in `image`, the media functions' unpacked image, if it is given.
pub(crate) fn with(extra: Vec<OsString>, image: Option<&Path>) -> anyhow::Result<()> {
    setup::cloud()?;
    setup::image_tools()?;
    setup::clients()?;
    setup::browser()?;
    let mut cargo = setup::cargo();
    cargo.arg("test");
    let everything = extra.is_empty();
    // `--workspace` would win over a choice of packages.
    if !extra.iter().any(|argument| argument == "-p" || argument == "--package") {
        cargo.arg("--workspace");
    }
    cargo.args(extra);
    cargo.env("PYTHON", tools::python()?.join("python")).env("NODE_MODULES", tools::node()?);
    cargo.env("PATH", setup::path()?);
    let logs = setup::local().join("test-logs");
    if logs.exists() {
        std::fs::remove_dir_all(&logs)?;
    }
    cargo.env("FUNCTION_LOGS", &logs);
    cargo.envs(image.map(|image| ("CLIPWRIGHT_IMAGE", image)));
    say::line("xtask: running every test");
    let (totals, ok) = counted(&mut cargo)?;
    let ok = ok & granted(&logs, everything)?;
    say::answer(&format!("{} passed, {} failed, {} ignored", totals.passed, totals.failed, totals.ignored))?;
    if !ok {
        bail!("the tests failed");
    }
    Ok(())
}

/// Compares what the functions were seen to ask of AWS with what the template grants. Only when everything ran it can be
/// told what nobody needs.
fn granted(logs: &Path, everything: bool) -> anyhow::Result<bool> {
    if !logs.exists() {
        return Ok(true);
    }
    let mut grants = Command::new(setup::devstack()?);
    grants.current_dir(setup::root()).arg("grants").arg("--logs").arg(logs);
    if everything {
        grants.arg("--all");
    }
    Ok(grants.status().context("cannot run the devstack")?.success())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Totals {
    /// Adds one closing line of the test runner.
    fn add(&mut self, line: &str) {
        let Some(result) = line.trim_start().strip_prefix("test result:") else { return };
        for part in result.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(what)) =
                (words.next().and_then(|word| word.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

/// Runs the tests with their output passed on as it comes; returns the sums and whether all went well.
fn counted(cargo: &mut Command) -> anyhow::Result<(Totals, bool)> {
    let mut child = cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut totals = Totals::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        totals.add(&line);
        // Not `say::answer`: blank lines of the runner stay.
        use std::io::Write as _;
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok((totals, child.wait()?.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let mut totals = Totals::default();
        totals.add(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s",
        );
        totals.add("test money::tests::result ... ok");
        totals.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        assert_eq!(totals, Totals { passed: 15, failed: 2, ignored: 1 });
    }
}
