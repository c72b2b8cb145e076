//! The private Python environment that ministack runs in, made on first use and kept by what it must hold.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::supervise::Supervised;

const REQUIREMENTS: &str = include_str!("../requirements.txt");

/// The venv's Python; makes the venv if it is not there yet.
pub(crate) async fn python(root: &Path, exe: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join(".local").join(format!("venv-{}", hash()));
    let python = folder.join("bin").join("python");
    let complete = folder.join("complete");
    if complete.is_file() {
        return Ok(python);
    }
    std::fs::create_dir_all(root.join(".local"))?;
    // Two stacks may start side by side on a fresh checkout: one makes the venv, the other waits.
    let lock = File::create(root.join(".local").join("venv.lock"))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !complete.is_file() {
        tracing::info!("making the Python environment of the local cloud (once, under a minute)");
        // A half-made one from an interrupted start is of no use.
        let _ = std::fs::remove_dir_all(&folder);
        make(&folder, &python, exe).await?;
        std::fs::write(&complete, "")?;
    }
    drop(lock);
    Ok(python)
}

fn hash() -> String {
    let digest = Sha256::digest(REQUIREMENTS.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

async fn make(folder: &Path, python: &Path, exe: &Path) -> anyhow::Result<()> {
    if !ensurepip_is_there() {
        install_venv_support(exe).await?;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder);
    run(exe, &venv, "python3 -m venv").await?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, REQUIREMENTS)?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(&list);
    run(exe, &pip, "pip install").await
}

fn ensurepip_is_there() -> bool {
    Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Debian keeps ensurepip in a package of its own.
async fn install_venv_support(exe: &Path) -> anyhow::Result<()> {
    const PACKAGES: [&str; 2] = ["python3", "python3-venv"];
    if !nix::unistd::geteuid().is_root() || !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "Python 3 with its venv module is needed. On Debian or Ubuntu: sudo apt-get install {}",
            PACKAGES.join(" ")
        );
    }
    tracing::info!("installing {} with apt-get", PACKAGES.join(", "));
    let mut update = Command::new("apt-get");
    update.args(["update", "--quiet"]);
    run(exe, &update, "apt-get update").await?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(PACKAGES);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    run(exe, &install, "apt-get install").await
}

/// Runs a step to its end; its output is for people, so it goes to stderr.
async fn run(exe: &Path, command: &Command, what: &str) -> anyhow::Result<()> {
    let stdout = stderr_copy()?;
    let mut step = Supervised::start_with(exe, command, stdout, Stdio::inherit())?;
    let status = step.wait().await.with_context(|| format!("cannot run {what}"))?;
    if !status.success() {
        bail!("{what} failed ({status}); its output is above");
    }
    Ok(())
}

/// Our stdout carries one line of JSON and nothing else.
fn stderr_copy() -> anyhow::Result<Stdio> {
    use std::os::fd::AsFd as _;
    Ok(std::io::stderr().as_fd().try_clone_to_owned()?.into())
}
