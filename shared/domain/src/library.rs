//! An account's clips: what a name may be, what a file is called, how long a clip still lives.

use crate::{
    clip::{Refusal, bad},
    time::Timestamp,
};

/// The longest name of a clip, in characters (FastClip).
pub const NAME_CHARS_MAX: usize = 200;

/// Clips of a page, unless asked otherwise (FastClip).
pub const PER_PAGE: usize = 20;

/// Clips of the largest page: as many items as one read of the table takes.
pub const PER_PAGE_MAX: usize = 100;

/// How far a page may lie behind the newest clip, in clips. Whoever wants to go further follows the cursor, which costs
/// the same however far it leads.
pub const SKIPPED_MAX: usize = 100_000;

/// Reads a new name for a clip: any script, in one line.
///
/// # Errors
/// [`Refusal::BadRequest`] for an empty or too long name, and for characters that nobody sees but that turn what is
/// shown of a file's name around (<https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>).
pub fn name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    let is_directing = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.chars().any(|c| c.is_control() || is_directing(c)) {
        return Err(bad("`name` must be one line without control characters"));
    }
    match name.chars().count() {
        0 => Err(bad("`name` must not be empty")),
        1..=NAME_CHARS_MAX => Ok(name.to_owned()),
        length => Err(bad(format!("`name` may have {NAME_CHARS_MAX} characters, this one has {length}"))),
    }
}

/// The name of the file of a clip called `name`: it ends as its format does, and no part of it is a folder.
#[must_use]
pub fn file_name(name: &str, extension: &str) -> String {
    let flat = name.replace(['/', '\\'], "_");
    let ending = format!(".{extension}");
    let ends = flat.len().checked_sub(ending.len()).and_then(|at| flat.get(at..));
    if ends.is_some_and(|end| end.eq_ignore_ascii_case(&ending)) { flat } else { flat + &ending }
}

/// Hours until `expires_at`, in tenths and never more than there are.
#[must_use]
#[allow(clippy::cast_precision_loss)] // tenths of hours, far below 2^53
pub const fn hours_left(expires_at: Timestamp, now: Timestamp) -> f64 {
    const TENTH_MS: i64 = 360_000;
    let left_ms = expires_at.0.saturating_sub(now.0);
    (if left_ms > 0 { left_ms / TENTH_MS } else { 0 }) as f64 / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_one_line_in_any_script() {
        for text in
            ["Final Intro Cut", "最終カット", "הקליפ שלי", "कट\u{200d}", "👩\u{200d}🚀", &"ß".repeat(200)]
        {
            assert_eq!(name(text).as_deref(), Ok(text));
        }
        assert_eq!(name("  a b\t").as_deref(), Ok("a b"));
        for text in ["", "   ", "a\nb", "a\u{0}", "gpj.\u{202e}4pm", "\u{2066}a", &"ß".repeat(201)] {
            assert!(matches!(name(text), Err(Refusal::BadRequest(_))), "{text:?}");
        }
    }

    #[test]
    fn a_file_ends_as_its_format_does() {
        for (name, file) in [
            ("Final Intro Cut", "Final Intro Cut.mp4"),
            ("clip_1-2.mp4", "clip_1-2.mp4"),
            ("A.MP4", "A.MP4"),
            ("a/../b\\c", "a_.._b_c.mp4"),
            ("ä", "ä.mp4"),
            ("最終カット", "最終カット.mp4"),
        ] {
            assert_eq!(file_name(name, "mp4"), file);
        }
    }

    #[test]
    fn hours_are_told_in_tenths() {
        let hour = 3_600_000;
        for (left_ms, hours) in
            [(24 * hour, 24.0), (24 * hour - 1, 23.9), (hour / 2, 0.5), (1, 0.0), (-1, 0.0)]
        {
            assert!((hours_left(Timestamp(left_ms), Timestamp(0)) - hours).abs() < 1e-9, "{left_ms}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_a_problem(text in "\\PC{0,300}") {
            if let Ok(name) = name(&text) {
                prop_assert!(file_name(&name, "mp3").to_lowercase().ends_with(".mp3"));
            }
        }
    }
}
