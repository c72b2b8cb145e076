//! The words of pieces, put together.

use domain::time::MediaTime;

use crate::{Segment, Spoken, Word};

/// Adds a segment of these words, without those that were heard before: at a border, a word can come twice.
pub(crate) fn add(segments: &mut Vec<Segment>, words: Vec<Word>, spaced: bool) {
    let before = segments.last().map_or(MediaTime::ZERO, |segment| segment.end);
    let mut words: Vec<Word> =
        words.into_iter().skip_while(|word| word.start.0 + word.end.0 < 2 * before.0).collect();
    let mut end = before;
    for word in &mut words {
        word.start = word.start.max(end);
        word.end = word.end.max(word.start);
        end = word.end;
    }
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
    let (start, end) = (first.start, last.end);
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let text = texts.join(if spaced { " " } else { "" });
    let confidence = words.iter().map(|word| word.confidence).sum::<f32>() / words.len() as f32;
    segments.push(Segment { start, end, text, words, confidence });
}

/// The words of all pieces, in the order of time. The language is the one that most of the words are of.
#[must_use]
pub fn join(mut pieces: Vec<Spoken>) -> Spoken {
    let words = |piece: &Spoken| piece.segments.iter().map(|segment| segment.words.len()).sum::<usize>();
    let of = |language: &Option<String>| {
        pieces.iter().filter(|piece| piece.language == *language).map(words).sum::<usize>()
    };
    let languages = pieces.iter().map(|piece| &piece.language).filter(|language| language.is_some());
    // Of several that are equal, the first that is heard.
    let language = languages.rev().max_by_key(|language| of(language)).cloned().flatten();
    pieces.sort_by_key(|piece| piece.segments.first().map(|segment| segment.start));
    Spoken { language, segments: pieces.into_iter().flat_map(|piece| piece.segments).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(start: i64, end: i64) -> Word {
        Word { start: MediaTime(start), end: MediaTime(end), text: format!("w{start}"), confidence: 0.5 }
    }

    fn piece(language: &str, times: &[i64]) -> Spoken {
        let mut segments = Vec::new();
        for start in times {
            add(&mut segments, vec![word(*start, start + 10)], true);
        }
        Spoken { language: Some(language.to_owned()), segments }
    }

    #[test]
    fn a_word_at_a_border_comes_once() {
        let mut segments = Vec::new();
        add(&mut segments, vec![word(0, 100), word(100, 200)], true);
        add(&mut segments, vec![word(90, 180), word(190, 300), word(290, 400)], true);
        assert_eq!(segments[1].text, "w190 w290");
        assert_eq!((segments[1].start, segments[1].end), (MediaTime(200), MediaTime(400)));
        assert_eq!(segments[1].words[1].start, MediaTime(300));
        add(&mut segments, vec![word(10, 20)], true);
        assert_eq!(segments.len(), 2);
    }

    #[test]
    fn the_language_is_what_most_words_are_of() {
        let all = join(vec![piece("de", &[500, 600]), Spoken::default(), piece("en", &[0, 100, 200])]);
        assert_eq!(all.language.as_deref(), Some("en"));
        let starts: Vec<i64> = all.segments.iter().map(|segment| segment.start.0).collect();
        assert_eq!(starts, [0, 100, 200, 500, 600]);
        assert_eq!(join(vec![piece("de", &[0]), piece("en", &[100])]).language.as_deref(), Some("de"));
        assert_eq!(join(Vec::new()), Spoken::default());
    }

    proptest! {
        #[test]
        fn words_never_overlap(batches in proptest::collection::vec(proptest::collection::vec((0..500i64, 0..50i64), 0..8), 0..8)) {
            let mut segments = Vec::new();
            for batch in batches {
                add(&mut segments, batch.into_iter().map(|(start, length)| word(start, start + length)).collect(), true);
            }
            let words: Vec<&Word> = segments.iter().flat_map(|segment| &segment.words).collect();
            prop_assert!(words.iter().all(|word| word.start <= word.end));
            prop_assert!(words.windows(2).all(|two| two[0].end <= two[1].start));
            prop_assert!(segments.iter().all(|segment| !segment.words.is_empty()));
        }
    }
}
