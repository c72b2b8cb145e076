//! BERT's word pieces: text as the numbers that the model was trained on.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

/// The vocabulary's fixed entries.
const UNKNOWN: &str = "[UNK]";
const BEGIN: &str = "[CLS]";
const END: &str = "[SEP]";
/// A longer word is unknown as a whole, as in the original.
const WORD_LETTERS_MAX: usize = 100;

/// A vocabulary.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pieces: HashMap<String, i32>,
    unknown: i32,
    begin: i32,
    end: i32,
}

impl Vocabulary {
    /// Reads a list with a piece a line; nothing if it lacks what every text needs.
    pub(crate) fn read(list: &str) -> Option<Self> {
        let numbered = list.lines().zip(0..).map(|(piece, number)| (piece.to_owned(), number));
        let pieces: HashMap<String, i32> = numbered.collect();
        let of = |piece: &str| pieces.get(piece).copied();
        let (unknown, begin, end) = (of(UNKNOWN)?, of(BEGIN)?, of(END)?);
        Some(Self { pieces, unknown, begin, end })
    }

    /// Whether this is a word by itself, in lower case.
    pub(crate) fn knows(&self, word: &str) -> bool {
        self.pieces.contains_key(word)
    }

    /// The numbers of a text's pieces, at most `most` (2 or more) with those that mark its ends; the rest is left out.
    pub(crate) fn encode(&self, text: &str, most: usize) -> Vec<i32> {
        let mut numbers = vec![self.begin];
        let mut word = Vec::new();
        for letter in text.nfd().filter(|letter| !is_dropped(*letter)).flat_map(char::to_lowercase) {
            if numbers.len() >= most {
                break;
            }
            let alone = is_punctuation(letter) || is_ideograph(letter);
            if alone || letter.is_whitespace() {
                self.add(&word, &mut numbers);
                word.clear();
            }
            if alone {
                self.add(&[letter], &mut numbers);
            } else if !letter.is_whitespace() && word.len() <= WORD_LETTERS_MAX {
                word.push(letter);
            }
        }
        self.add(&word, &mut numbers);
        numbers.truncate(most.saturating_sub(1));
        numbers.push(self.end);
        numbers
    }

    /// Adds a word's pieces: always the longest that fits, or "unknown" where none does.
    fn add(&self, word: &[char], numbers: &mut Vec<i32>) {
        if word.len() > WORD_LETTERS_MAX {
            numbers.push(self.unknown);
            return;
        }
        let (mut pieces, mut start) = (Vec::new(), 0);
        while start < word.len() {
            let mut piece: String = if start > 0 { "##".to_owned() } else { String::new() };
            piece.extend(&word[start..]);
            let mut end = word.len();
            let number = loop {
                if let Some(number) = self.pieces.get(&piece) {
                    break *number;
                }
                piece.pop();
                end -= 1;
                if end == start {
                    numbers.push(self.unknown);
                    return;
                }
            };
            pieces.push(number);
            start = end;
        }
        numbers.append(&mut pieces);
    }
}

/// Control characters, marks that join letters, and accents that were taken off their letters.
fn is_dropped(letter: char) -> bool {
    let control = letter.is_control() && !matches!(letter, '\t' | '\n' | '\r');
    let format = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    control || format || letter == '\u{fffd}' || matches!(letter, '\u{300}'..='\u{36f}')
}

fn is_punctuation(letter: char) -> bool {
    letter.is_ascii_punctuation()
        || matches!(letter, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}')
        || matches!(letter, '¡' | '§' | '«' | '¶' | '·' | '»' | '¿')
}

fn is_ideograph(letter: char) -> bool {
    matches!(letter, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vocabulary() -> Vocabulary {
        Vocabulary::read("[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\nhello\n,\nuber\n字").unwrap()
    }

    #[test]
    fn the_longest_pieces_are_taken() {
        let numbers = |text: &str| vocabulary().encode(text, 16);
        assert_eq!(numbers("Hello, unaffable"), [1, 6, 7, 3, 4, 5, 2]);
        assert_eq!(numbers("Über 字字"), [1, 8, 9, 9, 2], "without accents, ideographs alone");
        assert_eq!(numbers("unknown hello"), [1, 0, 6, 2], "a word is known as a whole or not at all");
        assert_eq!(numbers(&"h".repeat(5_000)), [1, 0, 2]);
        assert_eq!(numbers(""), [1, 2]);
        assert!(Vocabulary::read("hello").is_none());
    }

    proptest! {
        #[test]
        fn a_text_is_cut_to_what_the_model_takes(text in "[a-zäö字 ,.]{0,80}", most in 2usize..20) {
            let numbers = vocabulary().encode(&text, most);
            prop_assert!(numbers.len() <= most);
            prop_assert_eq!((numbers[0], numbers[numbers.len() - 1]), (1, 2));
        }
    }
}
