//! Runs a program and tells what it cost: wall time, CPU time and memory, all its descendants' included.
//!
//! One program runs at a time, so what the children of this process that have ended used up in between is its own.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// A run that takes longer is ended.
const RUN_MAX: Duration = Duration::from_secs(10 * 60);
/// How much of the end of a failed program's output is told.
const WORDS_MAX: usize = 400;

/// How often memory is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// So seldom that it costs less than 1 % of a processor: each look is followed by a pause of 100 times its length.
    Light,
    /// As often as will be, in a run whose time does not count.
    Dense,
}

impl Sampling {
    fn pause(self, look: Duration) -> Duration {
        match self {
            Self::Light => (look * 100).clamp(Duration::from_millis(5), Duration::from_millis(250)),
            Self::Dense => Duration::from_millis(2),
        }
    }
}

/// What a run cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    /// The largest sum, over the tree of processes, of the memory that each has of its own, with its share of what it
    /// has in common with others (PSS).
    pub(crate) memory_bytes: u64,
}

/// Runs `command`; what it prints goes to the file `log`.
pub(crate) fn run(command: &mut Command, log: &Path, sampling: Sampling) -> anyhow::Result<Cost> {
    let words = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    // A group of its own, so that it can be ended with all its descendants.
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words).process_group(0);
    let used = cpu_of_children()?;
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let pid = child.id();
    let (over, end) = channel();
    let watcher = std::thread::spawn(move || watch(pid, &end, sampling));
    let status = child.wait();
    let wall_s = begun.elapsed().as_secs_f64();
    drop(over);
    let memory_bytes = watcher.join().map_err(|_| anyhow::anyhow!("the watcher broke down"))?;
    let cpu_s = cpu_of_children()? - used;
    if !status?.success() {
        bail!("{}", last_words(log, wall_s));
    }
    Ok(Cost { wall_s, cpu_s, memory_bytes })
}

/// Looks at the memory until the other end of `over` is dropped. Answers with the peak.
fn watch(pid: u32, over: &Receiver<()>, sampling: Sampling) -> u64 {
    let begun = Instant::now();
    let mut peak = 0;
    loop {
        let look = Instant::now();
        peak = peak.max(memory(pid));
        if over.recv_timeout(sampling.pause(look.elapsed())) == Err(RecvTimeoutError::Disconnected) {
            return peak;
        }
        if begun.elapsed() > RUN_MAX
            && let Ok(group) = i32::try_from(pid)
        {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

/// Memory in bytes of a process and its descendants; of those that are just ending, none.
fn memory(pid: u32) -> u64 {
    let own = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|text| pss(&text));
    let mut sum = own.unwrap_or(0);
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return sum };
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        sum += children.split_whitespace().filter_map(|child| child.parse().ok()).map(memory).sum::<u64>();
    }
    sum
}

fn pss(rollup: &str) -> Option<u64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

/// User and system time in seconds of all children that have ended and been waited for, with their own such children.
/// Seconds of processor time of all children that have ended.
pub(crate) fn cpu_of_children() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    #[allow(clippy::cast_precision_loss)] // microseconds
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn last_words(log: &Path, wall_s: f64) -> String {
    if wall_s > RUN_MAX.as_secs_f64() {
        return format!("took longer than {} minutes", RUN_MAX.as_secs() / 60);
    }
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    line.map_or_else(|| "failed without a word".to_owned(), |line| line.chars().take(WORDS_MAX).collect())
}

/// A helper whose output is read; it ends with us.
#[derive(Debug)]
pub(crate) struct Helper(pub(crate) Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> anyhow::Result<Cost> {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("sh").args(["-c", script]), &folder.path().join("log"), Sampling::Dense)
    }

    #[test]
    fn counts_what_a_grandchild_costs() {
        // Holds 64 MiB and computes, in a grandchild.
        let program = "import time\nheld = bytearray([1]) * (64 << 20)\nend = time.process_time() + 0.3\n\
                       while time.process_time() < end: pass";
        let cost = sh(&format!("sh -c 'python3 -c \"{program}\"; true'; true")).unwrap();
        assert!((0.3..3.0).contains(&cost.cpu_s), "{cost:?}");
        assert!(cost.wall_s >= 0.3, "{cost:?}");
        assert!(((64 << 20)..(200 << 20)).contains(&cost.memory_bytes), "{cost:?}");
    }

    #[test]
    fn a_failure_tells_its_last_words() {
        assert_eq!(sh("echo first; echo why >&2; exit 3").unwrap_err().to_string(), "why");
    }

    #[test]
    fn light_sampling_costs_less_than_a_hundredth() {
        assert_eq!(Sampling::Light.pause(Duration::from_millis(1)), Duration::from_millis(100));
    }
}
