//! `cargo xtask bench`: each benchmark sets up what it needs and runs `infra/bench`.

mod clip;
mod coldstart;
mod gif;
mod load;
mod moments;
mod speech;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use lexopt::prelude::*;
use serde_json::Value as Json;

use crate::cloud::Kept;
use crate::setup;

/// Runs the benchmark that the first word names.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let name = match arguments.next()? {
        Some(Value(name)) => name,
        _ => bail!("which benchmark? There are: clip, coldstart, gif, load, moments, speech"),
    };
    match name.to_str() {
        Some("clip") => clip::run(arguments),
        Some("coldstart") => coldstart::run(arguments),
        Some("gif") => gif::run(arguments),
        Some("load") => load::run(arguments),
        Some("moments") => moments::run(arguments),
        Some("speech") => speech::run(arguments),
        _ => bail!("there is no benchmark {name:?}; there are: clip, coldstart, gif, load, moments, speech"),
    }
}

/// The benchmark `name`, built like the functions that are deployed: optimised. `more` are cargo's words for what to build
/// with it.
fn program(name: &str, more: &[&str]) -> anyhow::Result<Command> {
    let mut build = setup::cargo()?;
    build.args(["build", "--release", "--package", "clipwright-bench", "--bins"]).args(more);
    setup::run(&mut build, "building the benchmark (a few minutes the first time)")?;
    let mut bench = Command::new(built()?.join("bench"));
    bench.arg(name);
    Ok(bench)
}

/// Where optimised programs are built: beside the folder that this one was built in.
fn built() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program lies")?;
    Ok(exe.ancestors().nth(2).context("this program was not built by cargo")?.join("release"))
}

/// Runs it, and fails as it does.
fn finish(bench: &mut Command) -> anyhow::Result<()> {
    let status = bench.stdin(Stdio::null()).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the benchmark failed");
    }
    Ok(())
}

/// A local cloud of the benchmark's own, with full purses and nobody else's work.
fn cloud(folder: &Path, more: &[&str]) -> anyhow::Result<(Kept, Json)> {
    setup::cloud()?;
    let mut up = Command::new(setup::devstack()?);
    up.arg("up").arg("--root").arg(setup::root()?).arg("--state").arg(folder);
    up.args(["--port", "0", "--fresh", "--until-stdin-closes"]).args(more);
    let (kept, line) = Kept::start(up).context("the local cloud did not start")?;
    Ok((kept, serde_json::from_str(&line).context("the local cloud answered strangely")?))
}
