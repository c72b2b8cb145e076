//! Tools that are not ours and not Debian's: each environment is pinned by a list in `infra/xtask/tools` and made once per
//! machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use places::{Entry, python};

use crate::setup;

/// How npm fills its folder; part of what that is made from.
const NPM_CI: [&str; 5] = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

/// cfn-lint and the SAM transform, requests and standardwebhooks: the programs of a Python environment of their own, because
/// their needs and ministack's differ.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    environment("tools", "requirements.txt", "cfn-lint, requests and standardwebhooks")
}

/// The SAM command line. It holds back packages that other tools need newer.
pub(crate) fn sam() -> anyhow::Result<PathBuf> {
    environment("sam", "sam.txt", "the SAM command line")
}

/// checkov, likewise.
pub(crate) fn checkov() -> anyhow::Result<PathBuf> {
    environment("checkov", "checkov.txt", "checkov")
}

/// asl-validator, which reads state machines as strictly as AWS does (ministack takes anything); parse5, which tells what is
/// wrong with HTML; axe, which finds what keeps people from using a page; and standardwebhooks, which checks signatures.
/// Answers the folder `node_modules`.
pub(crate) fn node() -> anyhow::Result<PathBuf> {
    let (package, lock) = (list("package.json")?, list("package-lock.json")?);
    let entry = Entry::new("node-tools")?.text(&node_version()?).text(&NPM_CI.join(" "));
    let folder = entry.file(&package)?.file(&lock)?.get(|folder| {
        std::fs::create_dir_all(folder)?;
        for file in [&package, &lock] {
            std::fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let mut npm = Command::new("npm");
        npm.args(NPM_CI).current_dir(folder);
        setup::run(&mut npm, "installing asl-validator, parse5, axe and standardwebhooks (once)")
    })?;
    Ok(folder.join("node_modules"))
}

fn node_version() -> anyhow::Result<String> {
    let output = Command::new("node").arg("--version").output().context("cannot run node")?;
    if !output.status.success() {
        bail!("node --version: failed ({})", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The linters that are programs: hadolint, actionlint and zizmor.
pub(crate) fn linters() -> anyhow::Result<PathBuf> {
    environment("lint", "lint.txt", "hadolint, actionlint and zizmor")
}

/// cargo-lambda, with the zig that it links with.
pub(crate) fn cargo_lambda() -> anyhow::Result<PathBuf> {
    environment("deploy", "deploy.txt", "cargo-lambda")
}

/// The list of domains that hand out mailboxes to be thrown away.
pub(crate) fn disposable() -> anyhow::Result<PathBuf> {
    environment("disposable", "disposable.txt", "the list of disposable domains")
}

/// The version of `package` that a list pins.
pub(crate) fn pinned(file: &str, package: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(list(file)?)?;
    let pins = text.lines().filter_map(|line| line.strip_prefix(package)?.strip_prefix("=="));
    let version = pins.filter_map(|rest| rest.split_whitespace().next()).next();
    version.map(str::to_owned).with_context(|| format!("{file} pins no {package}"))
}

fn environment(name: &'static str, file: &str, what: &str) -> anyhow::Result<PathBuf> {
    python::environment(name, &list(file)?, what)
}

fn list(name: &str) -> anyhow::Result<PathBuf> {
    Ok(setup::root()?.join(Path::new("infra/xtask/tools")).join(name))
}
