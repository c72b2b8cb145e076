//! Runs a program so that neither it nor anything it started outlives this process.
//!
//! ministack leaves its function processes behind when it is killed, and a killed devstack could not clean up
//! itself. So the devstack starts its own binary as a small supervisor in between, and holds a pipe to its
//! stdin: when that pipe closes, be it on purpose or because the devstack is gone, the supervisor ends every
//! process below it. It is their reaper (`PR_SET_CHILD_SUBREAPER`), so orphans and own process groups do not
//! get away.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};

/// How long processes get to end by themselves before they are killed. What matters is with the embedded database and S3, which
/// end later; ministack takes its time and has nothing to lose.
const GRACE: Duration = Duration::from_millis(250);
/// How long it may take until all of them are gone.
const STOP_MAX: Duration = Duration::from_secs(6);
/// How often the supervisor looks for ended children.
const TICK: Duration = Duration::from_millis(50);
/// The same, while they are ending.
const END_TICK: Duration = Duration::from_millis(10);

/// A program under supervision; dropping it ends the program and everything it started.
#[derive(Debug)]
pub struct Supervised {
    supervisor: Child,
    /// Held apart from the child, because tokio's `wait` closes the child's own stdin, which here means "stop".
    pipe: Option<ChildStdin>,
}

impl Supervised {
    /// Starts `command` under the supervisor, which is `exe supervise`. Environment, folder and output of
    /// `command` are kept; its stdin becomes the pipe.
    pub fn start(exe: &Path, command: &std::process::Command) -> anyhow::Result<Self> {
        Self::start_with(exe, command, Stdio::inherit(), Stdio::inherit())
    }

    /// As [`Supervised::start`], with its output sent elsewhere.
    pub fn start_with(
        exe: &Path,
        command: &std::process::Command,
        stdout: Stdio,
        stderr: Stdio,
    ) -> anyhow::Result<Self> {
        let mut supervisor = Command::new(exe);
        supervisor.arg("supervise").arg("--").arg(command.get_program()).args(command.get_args());
        supervisor.env_clear();
        supervisor.envs(environment(command));
        if let Some(folder) = command.get_current_dir() {
            supervisor.current_dir(folder);
        }
        // A group of its own: a terminal's Ctrl-C is for the devstack, which then ends the rest in order.
        supervisor.process_group(0).stdin(Stdio::piped()).stdout(stdout).stderr(stderr);
        let mut supervisor =
            supervisor.spawn().with_context(|| format!("cannot start {} supervise", exe.display()))?;
        let pipe = supervisor.stdin.take();
        Ok(Self { supervisor, pipe })
    }

    /// Waits for the program to end by itself.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(self.supervisor.wait().await?)
    }

    /// Ends the program and all below it, and waits until they are gone.
    pub async fn stop(&mut self) {
        drop(self.pipe.take());
        if tokio::time::timeout(STOP_MAX, self.supervisor.wait()).await.is_err() {
            tracing::warn!("the supervisor did not end in time");
        }
    }
}

impl Drop for Supervised {
    /// Waits too, within bounds: whoever starts the next thing, or ends the process, finds nothing left over.
    fn drop(&mut self) {
        if self.pipe.take().is_none() {
            return;
        }
        let deadline = Instant::now() + STOP_MAX;
        while Instant::now() < deadline && matches!(self.supervisor.try_wait(), Ok(None)) {
            std::thread::sleep(END_TICK);
        }
    }
}

/// What the command's process would see: the inherited environment with its changes, or, after `env_clear`,
/// nothing else. `std` does not tell whether it was cleared, so callers that want that name every variable.
fn environment(command: &std::process::Command) -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => all.insert(name.to_owned(), value.to_owned()),
            None => all.remove(name),
        };
    }
    all
}

/// The supervisor itself: runs `command` until it ends or stdin closes, then ends all that is left below.
/// Answers the exit code.
pub async fn supervise(mut command: impl Iterator<Item = OsString>) -> anyhow::Result<i32> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true).context("cannot become the reaper of orphans")?;
    let program = command.next().context("supervise needs a command")?;
    let child = std::process::Command::new(&program)
        .args(command)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let child = Pid::from_raw(child.id().try_into()?);
    let status = tokio::select! {
        status = ended(child) => Some(status),
        () = asked_to_stop() => None,
    };
    end_all(child).await;
    Ok(status.unwrap_or(0))
}

/// Resolves when the parent has closed the pipe, or when a signal asks for the end.
async fn asked_to_stop() {
    let (sender, closed) = tokio::sync::oneshot::channel();
    // A plain thread: tokio's stdin would keep the runtime from shutting down.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = sender.send(());
    });
    let (mut interrupt, mut terminate, mut hangup) = match (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) {
        (Ok(interrupt), Ok(terminate), Ok(hangup)) => (interrupt, terminate, hangup),
        // Without handlers a signal ends us at once; the pipe still works.
        _ => return drop(closed.await),
    };
    tokio::select! {
        _ = closed => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

/// Reaps children until `child` itself has ended; returns its exit code.
async fn ended(child: Pid) -> i32 {
    loop {
        for (pid, status) in reap() {
            if pid == child {
                return status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
            }
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Collects every child that has ended, orphans included.
fn reap() -> Vec<(Pid, ExitStatus)> {
    let mut reaped = Vec::new();
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        match status {
            WaitStatus::Exited(pid, code) => reaped.push((pid, ExitStatus::from_raw(code << 8))),
            WaitStatus::Signaled(pid, signal, _) => reaped.push((pid, ExitStatus::from_raw(signal as i32))),
            WaitStatus::StillAlive => break,
            _ => {}
        }
    }
    reaped
}

/// Ends everything below this process: asks first, kills after the grace.
async fn end_all(group: Pid) {
    let deadline = Instant::now() + GRACE;
    let mut asked = Vec::new();
    loop {
        reap();
        let left = below(std::process::id());
        if left.is_empty() {
            // Where /proc does not tell who is below, the group is what we know.
            let _ = nix::sys::signal::killpg(group, Signal::SIGKILL);
            return;
        }
        let late = Instant::now() >= deadline;
        for pid in left {
            if late {
                let _ = kill(pid, Signal::SIGKILL);
            } else if !asked.contains(&pid) {
                let _ = kill(pid, Signal::SIGTERM);
                asked.push(pid);
            }
        }
        tokio::time::sleep(END_TICK).await;
    }
}

/// Every living process below `root`, from /proc.
fn below(root: u32) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(parent) = next.pop() {
        for &pid in children.get(&parent).map(Vec::as_slice).unwrap_or_default() {
            next.push(pid);
            found.extend(i32::try_from(pid).map(Pid::from_raw));
        }
    }
    found
}

/// The parent of a process; none for a zombie, which only waits to be reaped.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ppid …", and the name may hold anything, brackets and blanks too.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(parent)
}
