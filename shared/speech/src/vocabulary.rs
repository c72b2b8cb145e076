//! Whisper's tokens: pieces of words, and marks.

use std::collections::HashMap;
use std::path::Path;

use crate::Error;

/// The file with one token on a line; its number is its id.
const FILE: &str = "vocabulary.txt";
/// From one time stamp to the next: 20 ms.
pub(crate) const FRAMES_A_STAMP: usize = 2;

/// The tokens of a model.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// What each token stands for, as bytes of UTF-8: a letter may be shared by several tokens.
    bytes: Vec<Vec<u8>>,
    marks: HashMap<String, usize>,
    /// The first id that is no text.
    marks_from: usize,
    /// The id of the time stamp 0.
    stamps_from: usize,
}

impl Vocabulary {
    pub(crate) fn load(folder: &Path) -> Result<Self, Error> {
        let file = folder.join(FILE);
        let wrong = |reason: String| Error::Model { file: file.clone(), reason };
        let text = std::fs::read_to_string(&file).map_err(|error| wrong(error.to_string()))?;
        Self::read(&text).ok_or_else(|| wrong("not Whisper's vocabulary".to_owned()))
    }

    fn read(text: &str) -> Option<Self> {
        let letters = letters();
        let (mut bytes, mut marks) = (Vec::new(), HashMap::new());
        for (id, token) in text.lines().enumerate() {
            if token.starts_with("<|") && token.ends_with("|>") {
                marks.insert(token.to_owned(), id);
            }
            bytes.push(token.chars().filter_map(|letter| letters.get(&letter).copied()).collect());
        }
        let marks_from = *marks.get("<|endoftext|>")?;
        let stamps_from = *marks.get("<|notimestamps|>")? + 1;
        Some(Self { bytes, marks, marks_from, stamps_from })
    }

    /// The id of a mark, as in `<|transcribe|>`.
    pub(crate) fn mark(&self, mark: &str) -> Option<usize> {
        self.marks.get(mark).copied()
    }

    /// Whether a token is text.
    pub(crate) fn is_text(&self, id: usize) -> bool {
        id < self.marks_from
    }

    /// The frame that a time stamp names, counted from the window's first; nothing for other tokens.
    pub(crate) fn stamp(&self, id: usize) -> Option<usize> {
        Some(id.checked_sub(self.stamps_from)? * FRAMES_A_STAMP)
    }

    /// The bytes of a token of text.
    pub(crate) fn bytes(&self, id: usize) -> &[u8] {
        self.bytes.get(id).map_or(&[], Vec::as_slice)
    }
}

/// Which byte a letter of a token stands for: printable ones for themselves, the others for those behind 255 in order.
fn letters() -> HashMap<char, u8> {
    let mut others = 256u32..;
    let letter = |byte: u8| match byte {
        33..=126 | 161..=172 | 174..=255 => Some(char::from(byte)),
        _ => others.next().and_then(char::from_u32),
    };
    let all: Vec<Option<char>> = (0..=255).map(letter).collect();
    all.into_iter().zip(0..=255).filter_map(|(letter, byte)| Some((letter?, byte))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A few words, for tests: ids in the order of the list, time stamps from 9.
    pub(crate) fn small() -> Vocabulary {
        let tokens = "He\nllo\n,\nĠworld\n.\nĠÃ\n¤\n<|endoftext|>\n<|notimestamps|>\n<|0.00|>\n<|0.02|>";
        Vocabulary::read(tokens).unwrap()
    }

    #[test]
    fn tokens_are_bytes_marks_or_times() {
        let vocabulary = small();
        assert_eq!(vocabulary.bytes(3), b" world");
        assert_eq!([vocabulary.bytes(5), vocabulary.bytes(6)].concat(), " ä".as_bytes());
        assert!(vocabulary.is_text(6) && !vocabulary.is_text(7));
        assert_eq!((vocabulary.stamp(8), vocabulary.stamp(10)), (None, Some(2)));
        assert_eq!(vocabulary.mark("<|endoftext|>"), Some(7));
        assert!(Vocabulary::read("a\nb").is_none());
        assert_eq!(letters().len(), 256);
    }
}
