//! Shows how a job goes on: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write as _};

const WIDTH: usize = 30;

/// The live line.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    last: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), last: String::new() }
    }

    /// Shows the stage word and the progress, 0 to 100.
    pub(crate) fn show(&mut self, stage: &str, percent: u64) {
        let percent = usize::try_from(percent.min(100)).unwrap_or(100);
        let line = if self.terminal {
            let filled = WIDTH * percent / 100;
            format!("[{}{}] {percent:3} % {stage}", "█".repeat(filled), "·".repeat(WIDTH - filled))
        } else {
            format!("{percent:3} % {stage}")
        };
        if line == self.last {
            return;
        }
        let mut out = std::io::stderr().lock();
        // A terminal's line is written over, its old end erased.
        let _ = if self.terminal { write!(out, "\r{line}\x1b[K") } else { writeln!(out, "{line}") };
        let _ = out.flush();
        self.last = line;
    }

    /// Leaves the line.
    pub(crate) fn end(&mut self) {
        if self.terminal && !self.last.is_empty() {
            let _ = writeln!(std::io::stderr());
        }
        self.last.clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
