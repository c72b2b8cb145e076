//! Python environments, each pinned by a list and made once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::Context as _;

use crate::{Entry, system};

/// Names the variable that tells programs which Python this machine has, so that they need not ask again.
const KNOWN: &str = "CLIPWRIGHT_PYTHON";
/// How an environment is filled; part of what it is made from.
const PIP_INSTALL: [&str; 6] =
    ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
/// Answers which Python makes environments, and fails where none can be made: Debian keeps ensurepip in a package of
/// its own.
const WHICH: &str = "import ensurepip, sys, venv; print(sys.version, sys.base_prefix, sys.platform)";

/// The folder of the programs of the environment that holds what `list` names. `what` is told while it is made.
pub fn environment(name: &'static str, list: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let folder = entry(name, list)?.get(|folder| {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(folder);
        system::run(&mut venv, format!("making a Python environment for {what} (once)"))?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(PIP_INSTALL).arg(list);
        system::run(&mut pip, format!("installing {what} (once)"))
    })?;
    Ok(folder.join("bin"))
}

/// Unpacks these packages into a folder, without what they would need to run. `what` is told meanwhile.
pub fn packages(folder: &Path, requirements: &[String], what: &str) -> anyhow::Result<()> {
    python()?;
    // Debian's Python has no pip of its own, its environments have.
    let environment = folder.join(".pip");
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&environment);
    system::run(&mut venv, format!("making a Python environment to get {what} (once)"))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]);
    pip.arg("--target").arg(folder).args(requirements);
    system::run(&mut pip, format!("downloading {what} (once)"))
}

/// The cache's entry for such an environment.
pub(crate) fn entry(name: &'static str, list: &Path) -> anyhow::Result<Entry> {
    Entry::new(name)?.text(python()?).text(&PIP_INSTALL.join(" ")).file(list)
}

/// What a program that is started here may be told in its environment, to start faster: a name and a value.
pub fn known() -> anyhow::Result<(&'static str, &'static str)> {
    Ok((KNOWN, python()?))
}

/// Which Python this machine has, with its version and where it lies; installs it where it may. Asked once: through the
/// shims of some version managers an answer takes a tenth of a second.
fn python() -> anyhow::Result<&'static str> {
    static PYTHON: OnceLock<String> = OnceLock::new();
    if let Some(python) = PYTHON.get() {
        return Ok(python);
    }
    let told = std::env::var(KNOWN).ok().filter(|told| !told.is_empty());
    let answer = match told.or_else(ask) {
        Some(answer) => answer,
        None => {
            system::install(&["python3", "python3-venv"])?;
            ask().context("python3 has no venv module, although it was installed just now")?
        }
    };
    Ok(PYTHON.get_or_init(|| answer))
}

fn ask() -> Option<String> {
    let output = Command::new("python3").args(["-c", WHICH]).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
