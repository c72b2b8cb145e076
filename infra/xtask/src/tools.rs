//! Tools that are not ours and not Debian's: each environment is pinned by a list in `infra/xtask/tools` and made once,
//! below `.local/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup;

/// cfn-lint and the SAM transform, requests and standardwebhooks: the programs of a Python environment of their own, because
/// their needs and ministack's differ.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    venv("venv-tools", "requirements.txt", "cfn-lint, requests and standardwebhooks")
}

/// The SAM command line. It holds back packages that other tools need newer.
pub(crate) fn sam() -> anyhow::Result<PathBuf> {
    venv("venv-sam", "sam.txt", "the SAM command line")
}

/// checkov, likewise.
pub(crate) fn checkov() -> anyhow::Result<PathBuf> {
    venv("venv-checkov", "checkov.txt", "checkov")
}

/// asl-validator, which reads state machines as strictly as AWS does (ministack takes anything); parse5, which tells what is
/// wrong with HTML; axe, which finds what keeps people from using a page; and standardwebhooks, which checks signatures.
/// Answers the folder `node_modules`.
pub(crate) fn node() -> anyhow::Result<PathBuf> {
    let folder = setup::local().join("node-tools");
    setup::kept(&folder, &[&list("package-lock.json")], || {
        std::fs::create_dir_all(&folder)?;
        for name in ["package.json", "package-lock.json"] {
            std::fs::copy(list(name), folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder);
        setup::run(&mut npm, "installing asl-validator, parse5, axe and standardwebhooks (once)")
    })?;
    Ok(folder.join("node_modules"))
}

/// The linters that are programs: hadolint, actionlint and zizmor.
pub(crate) fn linters() -> anyhow::Result<PathBuf> {
    venv("venv-lint", "lint.txt", "hadolint, actionlint and zizmor")
}

/// cargo-lambda, with the zig that it links with.
pub(crate) fn cargo_lambda() -> anyhow::Result<PathBuf> {
    venv("venv-deploy", "deploy.txt", "cargo-lambda")
}

fn venv(folder: &str, name: &str, what: &str) -> anyhow::Result<PathBuf> {
    setup::python()?;
    setup::venv(&setup::local().join(folder), &list(name), what)
}

fn list(name: &str) -> PathBuf {
    setup::root().join(Path::new("infra/xtask/tools")).join(name)
}
