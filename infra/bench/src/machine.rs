//! What the figures were measured on.

use std::fs::read_to_string;
use std::process::Command;

use serde::Serialize;

/// The machine and the programs.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) ffmpeg: String,
    /// Mean number of running programs over the minute before the run: well above zero, others were at work.
    pub(crate) load_before: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let line = |file: &str, name: &str| {
            let text = read_to_string(file).unwrap_or_default();
            let found = text.lines().find(|line| line.starts_with(name));
            found
                .and_then(|line| line.split_once(':'))
                .map(|(_, value)| value.trim().to_owned())
                .unwrap_or_default()
        };
        let word = |text: String| text.split_whitespace().next().unwrap_or_default().to_owned();
        let kib: u64 = word(line("/proc/meminfo", "MemTotal")).parse().unwrap_or(0);
        Self {
            cpu: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            ffmpeg: ffmpeg(),
            load_before: word(read_to_string("/proc/loadavg").unwrap_or_default()),
        }
    }
}

/// The version alone, as in `5.1.9-0+deb12u1`.
fn ffmpeg() -> String {
    let output =
        Command::new("ffmpeg").arg("-version").output().map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&output).into_owned();
    text.split_whitespace().nth(2).unwrap_or_default().to_owned()
}
