//! From tokens with times to words.

use domain::time::MediaTime;

use crate::Word;
use crate::vocabulary::Vocabulary;

/// Languages that are written without spaces: there each letter counts as a word.
const WITHOUT_SPACES: [&str; 6] = ["zh", "ja", "th", "lo", "my", "yue"];
/// Marks that belong to the word behind them.
const OPENING: &str = "\"'“¿([{-¡«„";

/// A token of text and when it is spoken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    pub(crate) id: usize,
    pub(crate) start: MediaTime,
    pub(crate) end: MediaTime,
    /// How sure the recogniser is, 0 to 1.
    pub(crate) confidence: f32,
}

/// Whether words of this language have spaces between them.
pub(crate) fn spaced(language: &str) -> bool {
    !WITHOUT_SPACES.contains(&language)
}

/// The words of one segment, each with the punctuation around it, which takes no time.
pub(crate) fn words(tokens: &[Timed], vocabulary: &Vocabulary, spaced: bool) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut opening = String::new();
    for unit in units(tokens, vocabulary, spaced) {
        let text = text(unit, vocabulary);
        if !text.chars().any(char::is_alphanumeric) {
            match words.last_mut() {
                Some(word) if !text.chars().all(|letter| OPENING.contains(letter)) => word.text += &text,
                _ => opening += &text,
            }
            continue;
        }
        let has_letters = |token: &Timed| {
            // Half a letter is not UTF-8, and no punctuation.
            let bytes = vocabulary.bytes(token.id);
            std::str::from_utf8(bytes).map_or(true, |text| text.chars().any(char::is_alphanumeric))
        };
        let spoken = || unit.iter().filter(|token| has_letters(token));
        let (Some(first), Some(last)) = (spoken().next(), spoken().next_back()) else { continue };
        let confidence = unit.iter().map(|token| token.confidence).sum::<f32>() / unit.len() as f32;
        let text = std::mem::take(&mut opening) + &text;
        words.push(Word { start: first.start, end: last.end.max(first.start), text, confidence });
    }
    words
}

/// Nobody says a word in a pause: it begins where the pause ends, and ends where the next one begins. `speech` is where
/// somebody speaks, in the order of time.
pub(crate) fn settle(word: &mut Word, speech: &[(MediaTime, MediaTime)]) {
    let within = |time: MediaTime| word.start < time && time < word.end;
    let start = speech.iter().find(|(_, end)| *end > word.start).map(|(start, _)| *start);
    let end = speech.iter().rfind(|(start, _)| *start < word.end).map(|(_, end)| *end);
    let (start, end) = (start.filter(|time| within(*time)), end.filter(|time| within(*time)));
    word.start = start.unwrap_or(word.start);
    word.end = end.unwrap_or(word.end);
}

/// Tokens that make a word each, or a mark.
fn units<'a>(
    tokens: &'a [Timed],
    vocabulary: &'a Vocabulary,
    spaced: bool,
) -> impl Iterator<Item = &'a [Timed]> {
    let mut whole = true;
    let mut letters: Vec<u8> = Vec::new();
    tokens.chunk_by(move |one, next| {
        if spaced {
            return !vocabulary.bytes(next.id).starts_with(b" ");
        }
        if whole {
            letters.clear();
        }
        letters.extend_from_slice(vocabulary.bytes(one.id));
        whole = std::str::from_utf8(&letters).is_ok();
        !whole
    })
}

fn text(tokens: &[Timed], vocabulary: &Vocabulary) -> String {
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| vocabulary.bytes(token.id)).copied().collect();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::tests::small;

    fn timed(ids: &[usize]) -> Vec<Timed> {
        let token = |(at, id): (usize, &usize)| {
            let start = MediaTime(at as i64 * 100);
            Timed { id: *id, start, end: MediaTime(start.0 + 100), confidence: 1.0 / (at + 1) as f32 }
        };
        ids.iter().enumerate().map(token).collect()
    }

    #[test]
    fn tokens_become_words_and_punctuation_takes_no_time() {
        let vocabulary = small();
        let told = |ids: &[usize], spaced: bool| {
            let words = words(&timed(ids), &vocabulary, spaced);
            words.iter().map(|word| (word.text.clone(), word.start.0, word.end.0)).collect::<Vec<_>>()
        };
        let word = |text: &str, start: i64, end: i64| (text.to_owned(), start, end);
        assert_eq!(told(&[0, 1, 2, 3, 4, 4], true), [word("Hello,", 0, 200), word("world..", 300, 400)]);
        assert_eq!(told(&[5, 6, 4], true), [word("ä.", 0, 200)]);
        assert_eq!(told(&[5, 6, 4, 5, 6], false), [word("ä.", 0, 200), word("ä", 300, 500)]);
        assert_eq!(told(&[4], true), []);
        let confidence = words(&timed(&[0, 1]), &vocabulary, true)[0].confidence;
        assert_eq!(confidence, 0.75, "the mean");
    }

    #[test]
    fn a_word_begins_and_ends_in_speech() {
        let speech = [(100, 200), (300, 400)].map(|(start, end)| (MediaTime(start), MediaTime(end)));
        let settled = |start: i64, end: i64| {
            let (start, end) = (MediaTime(start), MediaTime(end));
            let mut word = Word { start, end, text: "w".to_owned(), confidence: 1.0 };
            settle(&mut word, &speech);
            (word.start.0, word.end.0)
        };
        assert_eq!(settled(120, 180), (120, 180));
        assert_eq!(settled(50, 250), (100, 200));
        assert_eq!(settled(250, 380), (300, 380));
        assert_eq!(settled(150, 350), (150, 350), "a pause within a word is its own");
        assert_eq!(settled(210, 290), (210, 290), "what is heard without speech stays");
        assert_eq!(settled(500, 600), (500, 600));
    }
}
