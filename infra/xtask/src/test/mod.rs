//! `cargo xtask test`: everything that the tests need, then every test, then where the time went, and one line that adds
//! them up.

mod events;
mod phases;
mod programs;
mod words;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;

use self::events::Outcome;
pub(crate) use self::phases::Phases;
use self::programs::Programs;
use self::words::Words;
use crate::{say, setup, tools};

/// How often the tests' files are removed, and how long it is waited in between: clouds end within 6 s.
const REMOVALS_MAX: u32 = 40;
const REMOVAL_PAUSE: Duration = Duration::from_millis(250);
/// How many of the slowest tests are named.
const SLOWEST: usize = 20;

/// Runs the tests that what comes after `--` chooses, in cargo's words, and fails if one of them does.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let extra: Vec<_> = match arguments.raw_args()?.collect::<Vec<_>>() {
        given if given.first().is_some_and(|first| first == "--") => given[1..].to_vec(),
        given if given.is_empty() => given,
        given => return Err(Value(given[0].clone()).unexpected().into()),
    };
    with(extra, None)
}

/// Runs the tests that `extra` chooses; in `image`, the folder of the unpacked images, if it is given.
pub(crate) fn with(extra: Vec<OsString>, image: Option<&Path>) -> anyhow::Result<()> {
    let mut phases = Phases::default();
    let mut environment = phases.time("setup", set_up)?;
    environment.extend(image.map(|image| ("CLIPWRIGHT_IMAGE", image.into())));
    let everything = extra.is_empty();
    let words = Words::parse(extra)?;
    let programs = phases.time("build", || Programs::build(&words))?;
    let logs = setup::local()?.join("test-logs");
    if logs.exists() {
        std::fs::remove_dir_all(&logs)?;
    }
    environment.push(("FUNCTION_LOGS", logs.clone().into()));
    let scratch = Scratch::new()?;
    environment.push(("TMPDIR", scratch.0.clone().into()));
    say::line("xtask: running the tests");
    let outcomes = phases.time("tests", || programs.run(&words, &environment))?;
    let documented =
        phases.time("examples in the documentation", || programs.examples(&words, &environment))?;
    let granted = phases.time("grants", || granted(&logs, everything))?;
    finish(&mut phases, [outcomes, documented].concat(), granted)
}

/// Where tests put what they make: clouds that several of them share, and videos, go with their program, which removes
/// nothing.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("clipwright-tests-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The last clouds may be ending still, and writing.
        for _ in 0..REMOVALS_MAX {
            if std::fs::remove_dir_all(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(REMOVAL_PAUSE);
        }
        say::line(&format!("xtask: {} could not be removed", self.0.display()));
    }
}

/// Installs or makes what the tests need; answers the environment by which they find it.
pub(crate) fn set_up() -> anyhow::Result<Vec<(&'static str, OsString)>> {
    setup::compilers()?;
    setup::programs()?;
    let container = places::tools::ffmpeg(&setup::root()?)?;
    setup::speakers()?;
    setup::clients()?;
    setup::browser()?;
    let (known, python) = places::python::known()?;
    let mut environment = vec![
        ("PYTHON", tools::python()?.join("python").into()),
        ("NODE_MODULES", tools::node()?.into()),
        ("PATH", setup::path()?),
        (known, python.into()),
    ];
    environment.extend(container.map(|folder| ("CONTAINER_TOOLS", folder.into())));
    Ok(environment)
}

/// Says what failed, where the time went, and the sums.
fn finish(phases: &mut Phases, mut outcomes: Vec<Outcome>, granted: bool) -> anyhow::Result<()> {
    for outcome in &outcomes {
        for failure in &outcome.failures {
            say::answer(&format!("\n---- {}: {} ----\n{}", outcome.program, failure.name, failure.output))?;
        }
    }
    outcomes.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    for outcome in &outcomes {
        phases.add(format!("  {}", outcome.program), outcome.seconds);
    }
    say::answer(&phases.table())?;
    let mut tests: Vec<_> = outcomes.iter().flat_map(Outcome::named).collect();
    tests.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    say::answer("\nThe slowest tests, in seconds; several run at once:")?;
    for (name, seconds) in tests.iter().take(SLOWEST) {
        say::answer(&format!("{seconds:>8.1}  {name}"))?;
    }
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    let failed = sum(|outcome| outcome.failed);
    say::answer(&format!(
        "\n{} passed, {failed} failed, {} ignored",
        sum(|outcome| outcome.passed),
        sum(|outcome| outcome.ignored)
    ))?;
    if failed > 0 || !granted {
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
    grants.current_dir(setup::root()?).arg("grants").arg("--logs").arg(logs);
    if everything {
        grants.arg("--all");
    }
    Ok(grants.status().context("cannot run the devstack")?.success())
}
