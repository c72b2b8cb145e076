//! Programs of this machine: whether they are there, how they are installed, and running them.

use std::fmt::Display;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// Says on stderr what is being done.
pub fn say(line: &str) {
    // Nobody can be told that telling failed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether the program runs with these arguments.
#[must_use]
pub fn works(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Whether a program of this name is in `PATH`. Cheaper than to start it: some take a tenth of a second.
#[must_use]
pub fn found(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Whether we are root where packages are Debian's.
#[must_use]
pub fn may_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && works("apt-get", &["--version"])
}

/// Installs Debian packages if we may, otherwise says what to type.
pub fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if !may_install() {
        bail!("{list} needed. On Debian or Ubuntu: sudo apt-get install --no-install-recommends {list}");
    }
    let quietly = |program: &str| {
        let mut command = Command::new(program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // An installation that was killed leaves dpkg refusing every later one. What it can't mend, apt-get tells of.
    let _ = run(quietly("dpkg").args(["--configure", "-a"]), "mending what an interrupted installation left");
    run(quietly("apt-get").args(["update", "-q"]), "looking up system packages")?;
    let install = ["install", "-q", "-y", "--no-install-recommends"];
    run(quietly("apt-get").args(install).args(packages), format!("installing {list}"))
}

/// Runs a step to its end. Its output is about what is being done, so it all goes to stderr.
pub fn run(command: &mut Command, what: impl Display) -> anyhow::Result<()> {
    use std::os::fd::AsFd as _;
    say(&what.to_string());
    let stderr = std::io::stderr().as_fd().try_clone_to_owned()?;
    let status = command.stdin(Stdio::null()).stdout(stderr).status();
    let status = status.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{what}: failed ({status})");
    }
    Ok(())
}
