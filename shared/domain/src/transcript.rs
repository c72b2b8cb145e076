//! A transcript as it is delivered.

use crate::time::MediaTime;

/// The largest answer, in bytes: Lambda hands on 6 MB, in which it puts the answer as JSON text.
pub const ANSWER_BYTES_MAX: usize = 4_500_000;

/// The text of a transcript with the time of each segment before it, a line each: `[0:00:00] Hello everyone`.
#[must_use]
pub fn formatted<'a>(segments: impl Iterator<Item = (MediaTime, &'a str)>) -> String {
    let lines = segments.map(|(start, text)| format!("[{}] {text}", stamp(start)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Hours, minutes and whole seconds: `1:02:03`.
fn stamp(at: MediaTime) -> String {
    let seconds = at.0.max(0) / 1_000_000;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_segment_has_its_time() {
        let segments = [(MediaTime(0), "Hello everyone"), (MediaTime(3_725_999_999), "bye")];
        assert_eq!(formatted(segments.into_iter()), "[0:00:00] Hello everyone\n[1:02:05] bye");
        assert_eq!(formatted(std::iter::empty()), "");
    }
}
