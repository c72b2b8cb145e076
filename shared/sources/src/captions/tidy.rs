//! One transcript out of cues: in order, without what rolling captions say twice.

use super::Segment;

/// Cues this close follow each other without a pause, in microseconds.
const TOUCHING_US: i64 = 100_000;

/// A caption that rolls shows a few lines at a time; of longer ones this many are compared.
const ROLLING_LINES_MAX: usize = 16;

/// Puts cues in order, takes out the lines that a rolling caption repeats from the cue before it, and lets each end when
/// the next begins.
#[must_use]
pub fn tidy(mut cues: Vec<Segment>) -> Vec<Segment> {
    cues.sort_by_key(|cue| cue.start);
    let mut told: Vec<Segment> = Vec::new();
    // The lines that the cue before this one showed, and until when.
    let mut shown: (Vec<String>, i64) = (Vec::new(), i64::MIN);
    for cue in cues {
        let lines: Vec<String> =
            cue.text.split('\n').map(str::to_owned).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            continue;
        }
        let touches = cue.start.0 <= shown.1.saturating_add(TOUCHING_US);
        let repeated = if touches { overlap(&shown.0, &lines) } else { 0 };
        let new = lines[repeated..].join(" ");
        shown = (lines, cue.end.0.max(cue.start.0));
        match told.last_mut() {
            // All of it stands there already: it is shown for longer.
            Some(last) if new.is_empty() => last.end = last.end.max(cue.end),
            _ => told.push(Segment { text: new, ..cue }),
        }
    }
    let starts: Vec<_> = told.iter().skip(1).map(|next| next.start).collect();
    for (segment, next) in told.iter_mut().zip(starts) {
        if segment.end > next || segment.end == segment.start {
            segment.end = next;
        }
    }
    told
}

/// How many lines at the beginning of `new` are those at the end of `old`.
fn overlap(old: &[String], new: &[String]) -> usize {
    let most = old.len().min(new.len()).min(ROLLING_LINES_MAX);
    (1..=most).rev().find(|&count| old[old.len() - count..] == new[..count]).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::time::MediaTime;

    fn cue(start: i64, end: i64, text: &str) -> Segment {
        Segment { start: MediaTime(start * 1000), end: MediaTime(end * 1000), text: text.to_owned() }
    }

    #[test]
    fn rolling_captions_are_told_once() {
        // As YouTube's automatic WebVTT rolls: each line is shown alone, then above the next one.
        let rolling = vec![
            cue(0, 2000, "hello everyone"),
            cue(2000, 2010, "hello everyone"),
            cue(2010, 4000, "hello everyone\nwelcome to"),
            cue(4000, 4010, "welcome to"),
            cue(4010, 6000, "welcome to\nthe show"),
        ];
        let expected =
            [cue(0, 2010, "hello everyone"), cue(2010, 4010, "welcome to"), cue(4010, 6000, "the show")];
        assert_eq!(tidy(rolling), expected);
    }

    #[test]
    fn what_is_said_twice_is_told_twice() {
        let said = vec![cue(0, 1000, "no"), cue(3000, 4000, "no"), cue(8000, 9000, "two\nlines")];
        assert_eq!(tidy(said), [cue(0, 1000, "no"), cue(3000, 4000, "no"), cue(8000, 9000, "two lines")]);
    }

    #[test]
    fn order_overlaps_and_empty_cues() {
        let mixed = vec![
            cue(2000, 9000, "b"),
            cue(0, 5000, "a"),
            cue(1000, 1500, ""),
            cue(3000, 3000, "c"),
            cue(4000, 4000, "d"),
        ];
        assert_eq!(
            tidy(mixed),
            [cue(0, 2000, "a"), cue(2000, 3000, "b"), cue(3000, 4000, "c"), cue(4000, 4000, "d")]
        );
        assert!(tidy(Vec::new()).is_empty());
    }
}
