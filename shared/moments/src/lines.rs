//! A transcript as it is searched: checked, in order, no line longer than a unit may be.
//!
//! Transcripts come from anywhere. Times that lie outside the source or go backwards are clamped, empty lines are left out,
//! and what is larger than any real transcript is refused.

use domain::time::MediaTime;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::transcript::{Segment, Transcript};

/// Three hours of fast speech are 40,000 words.
const WORDS_MAX: usize = 100_000;
const SEGMENTS_MAX: usize = 100_000;
const TEXT_BYTES_MAX: usize = 4_000_000;
/// Words of a line, and so of a unit.
pub(crate) const LINE_WORDS_MAX: usize = 60;

/// A word with its time in microseconds; the text is in its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// A segment, or a piece of a long one. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// In microseconds; a line never begins before the one before it.
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Its words with single spaces between them.
    pub(crate) text: String,
    /// As many as `text` has.
    pub(crate) words: Vec<Timed>,
    /// Whether it begins a segment of the transcript.
    pub(crate) begins: bool,
}

/// The lines of a transcript.
pub(crate) fn read(transcript: &Transcript) -> Result<Vec<Line>, Error> {
    let too_large = |max, unit| Err(Error::TooLarge { max, unit });
    if transcript.segments.len() > SEGMENTS_MAX {
        return too_large(SEGMENTS_MAX, "segments");
    }
    if transcript.segments.iter().map(|segment| segment.text.len()).sum::<usize>() > TEXT_BYTES_MAX {
        return too_large(TEXT_BYTES_MAX, "bytes of text");
    }
    let all = transcript.segments.iter().map(|segment| segment.text.split_whitespace().count());
    if all.sum::<usize>() > WORDS_MAX {
        return too_large(WORDS_MAX, "words");
    }
    let end = transcript.duration.0.max(0);
    let (mut lines, mut at) = (Vec::new(), 0);
    for segment in transcript.segments.iter().filter(|segment| !segment.text.trim().is_empty()) {
        let start = segment.start.0.clamp(at, end.max(at));
        let stop = segment.end.0.clamp(start, end.max(start));
        at = start;
        let texts: Vec<&str> = segment.text.split_whitespace().collect();
        let times = times(segment, &texts, start, stop);
        for (many, (texts, times)) in
            texts.chunks(LINE_WORDS_MAX).zip(times.chunks(LINE_WORDS_MAX)).enumerate()
        {
            let first = times.first().map_or(start, |word| word.start);
            lines.push(Line {
                start: if many == 0 { start } else { first },
                end: times.last().map_or(stop, |word| word.end),
                text: texts.join(" "),
                words: times.to_vec(),
                begins: many == 0,
            });
        }
        // What follows the last word belongs to the segment.
        if let Some(line) = lines.last_mut() {
            line.end = stop.max(line.end);
        }
    }
    Ok(lines)
}

/// When each word is said: as the source says, where it times as many words as the text has and in order; else by their
/// letters.
fn times(segment: &Segment, texts: &[&str], start: i64, stop: i64) -> Vec<Timed> {
    let timed: Vec<&crate::Word> = segment.words.iter().filter(|word| !word.text.trim().is_empty()).collect();
    if timed.len() == texts.len() {
        let mut at = start;
        let clamped = timed.iter().map(|word| {
            let from = word.start.0.clamp(at, stop);
            at = word.end.0.clamp(from, stop);
            Timed { start: from, end: at }
        });
        return clamped.collect();
    }
    // A letter more for the space behind each word.
    let letters = |text: &&str| text.chars().count() as i128 + 1;
    let all: i128 = texts.iter().map(letters).sum::<i128>().max(1);
    let mut before = 0;
    let place = |letters: i128| start + ((i128::from(stop) - i128::from(start)) * letters / all) as i64;
    let interpolated = texts.iter().map(|text| {
        let from = place(before);
        before += letters(text);
        Timed { start: from, end: place(before) }
    });
    interpolated.collect()
}

/// SHA-256 of all that vectors are made from, and of the times that tell one transcript from the other.
pub(crate) fn hash(transcript: &Transcript) -> [u8; 32] {
    let mut hash = Sha256::new();
    let number = |hash: &mut Sha256, time: MediaTime| hash.update(time.0.to_le_bytes());
    number(&mut hash, transcript.duration);
    for segment in &transcript.segments {
        number(&mut hash, segment.start);
        number(&mut hash, segment.end);
        // With its length, or one segment "ab" would be two, "a" and "b".
        hash.update((segment.text.len() as u64).to_le_bytes());
        hash.update(&segment.text);
    }
    hash.finalize().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A line for each text, ten seconds each.
    pub(crate) fn transcript(texts: &[&str]) -> Transcript {
        let second = |seconds: usize| MediaTime(seconds as i64 * 1_000_000);
        let segment = |(at, text): (usize, &&str)| Segment {
            start: second(10 * at),
            end: second(10 * at + 10),
            text: (*text).to_owned(),
            words: Vec::new(),
        };
        Transcript {
            language: Some("en".to_owned()),
            duration: second(10 * texts.len()),
            segments: texts.iter().enumerate().map(segment).collect(),
        }
    }

    pub(crate) fn lines(texts: &[&str]) -> Vec<Line> {
        read(&transcript(texts)).unwrap()
    }

    #[test]
    fn words_without_times_get_them_by_their_letters() {
        let line = &lines(&["abc  abcdefg\nxyz xyz"])[0];
        assert_eq!(line.text, "abc abcdefg xyz xyz");
        let starts: Vec<i64> = line.words.iter().map(|word| word.start).collect();
        assert_eq!(starts, [0, 2_000_000, 6_000_000, 8_000_000]);
        assert_eq!(line.words[3].end, 10_000_000);
    }

    #[test]
    fn times_that_cannot_be_are_clamped() {
        let mut wild = transcript(&["a", "", "b", "c"]);
        wild.segments[0].start = MediaTime(i64::MIN);
        wild.segments[2].start = MediaTime(-5);
        wild.segments[3].end = MediaTime(i64::MAX);
        let read = read(&wild).unwrap();
        let times: Vec<_> = read.iter().map(|line| (line.start / 1_000_000, line.end / 1_000_000)).collect();
        assert_eq!(times, [(0, 10), (0, 30), (30, 40)]);
    }

    #[test]
    fn a_long_segment_is_several_lines() {
        let text = vec!["word"; 130].join(" ");
        let lines = lines(&[&text]);
        assert_eq!(lines.iter().map(|line| line.words.len()).collect::<Vec<_>>(), [60, 60, 10]);
        assert_eq!(lines.iter().map(|line| line.begins).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!((lines[0].start, lines[1].start, lines[2].end), (0, lines[0].end, 10_000_000));
    }

    #[test]
    fn what_is_larger_than_any_transcript_is_refused() {
        let many = vec!["a b c d e f g h i j k"; 10_000];
        assert!(matches!(read(&transcript(&many)), Err(Error::TooLarge { unit: "words", .. })));
    }

    #[test]
    fn a_hash_tells_transcripts_apart() {
        let of = |texts: &[&str]| hash(&transcript(texts));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["ab", ""]));
    }
}
