//! `cargo xtask fuzz`: the MP4 reader against bytes that nobody thought of.

use std::process::Command;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;
use places::Entry;

use crate::{say, setup};

/// The fuzzing crate, and where what it once found is kept.
const CRATE: &str = "shared/media/fuzz";
const SEEDS: &str = "shared/media/tests/regressions";

const VERSION: &str = "0.13.2";
const SECONDS: u32 = 600;

/// Fuzzes for `--seconds N`; fails if anything was found.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let mut seconds = SECONDS;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("seconds") => seconds = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let tool = tool()?;
    let folder = setup::root()?.join(CRATE);
    let corpus = folder.join("corpus/index");
    std::fs::create_dir_all(&corpus)?;
    // The product has no unsafe code, so no sanitizer is needed; libFuzzer's own instrumentation is what asks for the
    // compiler's unstable half.
    let mut fuzz = Command::new(tool);
    fuzz.args(["run", "--fuzz-dir"]).arg(&folder).args(["--sanitizer", "none", "index"]);
    fuzz.arg(&corpus).arg(setup::root()?.join(SEEDS)).arg("--");
    fuzz.arg(format!("-max_total_time={seconds}"));
    fuzz.args(["-max_len=65536", "-timeout=20", "-rss_limit_mb=1024"]);
    fuzz.env("RUSTC_BOOTSTRAP", "1").current_dir(&folder);
    say::line(&format!("xtask: fuzzing the MP4 reader for {seconds} s (building it takes some minutes)"));
    if !fuzz.status().context("cannot run cargo-fuzz")?.success() {
        bail!("found something: copy the file from {CRATE}/artifacts/index to {SEEDS}, then mend it");
    }
    Ok(())
}

/// cargo-fuzz of our own, installed once.
fn tool() -> anyhow::Result<std::path::PathBuf> {
    let folder = Entry::new("cargo-fuzz")?.text(VERSION).text(std::env::consts::ARCH).get(|folder| {
        let mut install = setup::cargo()?;
        install.args(["install", "--quiet", "--locked", "--version", VERSION, "--root"]).arg(folder);
        setup::run(install.arg("cargo-fuzz"), "installing cargo-fuzz (once)")
    })?;
    Ok(folder.join("bin/cargo-fuzz"))
}
