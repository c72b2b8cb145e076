//! What a test program says while it runs, and what came of it.
//!
//! Rust's test harness tells each test's time only in its JSON form, which is unstable; the toolchain is pinned, and the test
//! below has lines as this one writes them.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value as Json;

/// What came of one program.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) program: String,
    pub(crate) seconds: f64,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    pub(crate) failures: Vec<Failure>,
    /// Each test that ran, with its seconds.
    tests: Vec<(String, f64)>,
    /// It came to its end and added up.
    ended: bool,
}

/// A test that failed, with what it said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) output: String,
}

impl Outcome {
    /// Follows a program's output to its end, and shows each test as it ends.
    pub(crate) fn follow(
        program: &str,
        output: impl Read,
        show: impl Fn(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let mut outcome = Self { program: program.to_owned(), ..Self::default() };
        for line in BufReader::new(output).split(b'\n') {
            if let Some(shown) = outcome.heard(&String::from_utf8_lossy(&line?)) {
                show(&shown)?;
            }
        }
        Ok(outcome)
    }

    /// Takes in one line; answers what is to be shown.
    fn heard(&mut self, line: &str) -> Option<String> {
        // Words of a test that writes past the harness are no JSON.
        let Ok(Json::Object(heard)) = serde_json::from_str::<Json>(line) else {
            return Some(line.to_owned());
        };
        let text = |name: &str| heard.get(name).and_then(Json::as_str).unwrap_or_default();
        let (name, event, program) = (text("name"), text("event"), &self.program);
        match (text("type"), event) {
            ("suite", _) => {
                let count = |name: &str| heard.get(name).and_then(Json::as_u64).unwrap_or_default();
                (self.passed, self.failed, self.ignored) =
                    (count("passed"), count("failed"), count("ignored"));
                self.ended = event != "started";
                None
            }
            ("test", "started") => None,
            ("test", "ignored") => Some(format!("test {program}: {name} ... ignored")),
            ("test", "timeout") => Some(format!("{program}: {name} has been running for over a minute")),
            ("test", _) => {
                let seconds = heard.get("exec_time").and_then(Json::as_f64).unwrap_or_default();
                let word = if event == "ok" { "ok" } else { "FAILED" };
                let mut shown = format!("test {program}: {name} ... {word} ({seconds:.2} s)");
                if event != "ok" {
                    let output = format!("{}{}", text("stdout"), text("message"));
                    // At once, and again at the end: a run may be stopped before that.
                    shown.push_str(&format!("\n{output}"));
                    self.failures.push(Failure { name: name.to_owned(), output });
                }
                self.tests.push((name.to_owned(), seconds));
                Some(shown)
            }
            _ => None,
        }
    }

    /// The program has ended, `well` or not. One that ended otherwise than by its harness's own account counts as a failure.
    pub(crate) fn closed(mut self, well: bool, seconds: f64) -> Self {
        self.seconds = seconds;
        if !self.ended || (!well && self.failed == 0) {
            self.failed += 1;
            let output = "the program ended without adding up its tests; what it said is above".to_owned();
            self.failures.push(Failure { name: "the program itself".to_owned(), output });
        }
        self
    }

    /// The tests by their full names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (String, f64)> {
        self.tests.iter().map(|(name, seconds)| (format!("{}: {name}", self.program), *seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"{ "type": "suite", "event": "started", "test_count": 3 }
{ "type": "test", "event": "started", "name": "a::one" }
{ "type": "test", "event": "started", "name": "a::two" }
{ "type": "test", "name": "a::one", "event": "ok", "exec_time": 0.25 }
words of a test
{ "type": "test", "name": "a::two", "event": "failed", "exec_time": 1.5, "stdout": "left: 1\n" }
{ "type": "test", "event": "ignored", "name": "a::three" }
{ "type": "suite", "event": "failed", "passed": 1, "failed": 1, "ignored": 1, "measured": 0, "filtered_out": 7, "exec_time": 1.75 }
"#;

    #[test]
    fn tests_are_counted_timed_and_heard() {
        let outcome = Outcome::follow("x", LINES.as_bytes(), |_| Ok(())).unwrap().closed(false, 2.0);
        assert_eq!((outcome.passed, outcome.failed, outcome.ignored), (1, 1, 1));
        assert_eq!(outcome.failures, [Failure { name: "a::two".to_owned(), output: "left: 1\n".to_owned() }]);
        let named: Vec<_> = outcome.named().collect();
        assert_eq!(named, [("x: a::one".to_owned(), 0.25), ("x: a::two".to_owned(), 1.5)]);
    }

    #[test]
    fn a_program_that_dies_is_a_failure_whatever_passed() {
        let cut = LINES.lines().take(4).collect::<Vec<_>>().join("\n");
        let outcome = Outcome::follow("x", cut.as_bytes(), |_| Ok(())).unwrap().closed(false, 1.0);
        assert_eq!(outcome.failed, 1);
        let ended_well_and_then_crashed =
            r#"{"type": "suite", "event": "ok", "passed": 1, "failed": 0, "ignored": 0}"#;
        let outcome = Outcome::follow("x", ended_well_and_then_crashed.as_bytes(), |_| Ok(())).unwrap();
        assert_eq!(outcome.clone().closed(true, 1.0).failed, 0);
        assert_eq!(outcome.closed(false, 1.0).failed, 1);
    }
}
