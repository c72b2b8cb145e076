//! Where the time of a run went.

use std::fmt::Write as _;
use std::time::Instant;

/// The parts of a run, each with its time. `.ci/run` shows the same table for its steps.
#[derive(Debug, Default)]
pub(crate) struct Phases(Vec<(String, f64)>);

impl Phases {
    /// Does a part and notes its time, also if it fails.
    pub(crate) fn time<T>(&mut self, name: &str, part: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = part();
        self.add(name, begun.elapsed().as_secs_f64());
        result
    }

    /// Notes the time of a part; one within another is indented by two blanks and not added to the sum.
    pub(crate) fn add(&mut self, name: impl Into<String>, seconds: f64) {
        self.0.push((name.into(), seconds));
    }

    /// The table. Parts within a part come behind all others in `self`, and below theirs in the table if it is `tests`.
    pub(crate) fn table(&self) -> String {
        let mut text = "\nWhere the time went, in seconds:".to_owned();
        let (inner, outer): (Vec<_>, Vec<_>) = self.0.iter().partition(|(name, _)| name.starts_with("  "));
        for (name, seconds) in &outer {
            let _ = write!(text, "\n{seconds:>8.1}  {name}");
            if name == "tests" {
                for (name, seconds) in &inner {
                    let _ = write!(text, "\n{seconds:>8.1}  {name}");
                }
            }
        }
        let sum: f64 = outer.iter().map(|(_, seconds)| seconds).sum();
        let _ = write!(text, "\n{sum:>8.1}  in all");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_within_a_part_are_shown_below_it_and_not_added() {
        let mut phases = Phases::default();
        for (name, seconds) in [("build", 60.0), ("tests", 100.0), ("grants", 0.5), ("  store", 40.0)] {
            phases.add(name, seconds);
        }
        let lines: Vec<_> = phases.table().lines().skip(2).map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "    60.0  build",
                "   100.0  tests",
                "    40.0    store",
                "     0.5  grants",
                "   160.5  in all"
            ]
        );
    }
}
