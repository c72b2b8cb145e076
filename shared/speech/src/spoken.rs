//! What was said, with times.

use domain::time::MediaTime;
use serde::{Deserialize, Serialize};

/// A word as it was heard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Where it begins, on the sound's timeline.
    pub start: MediaTime,
    /// Where it ends: not before it begins.
    pub end: MediaTime,
    /// The word with its punctuation, without spaces around it.
    pub text: String,
    /// How sure the recogniser is, 0 to 1.
    pub confidence: f32,
}

/// About a sentence: words that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Where its first word begins.
    pub start: MediaTime,
    /// Where its last word ends.
    pub end: MediaTime,
    /// The words with what lies between them.
    pub text: String,
    /// Its words in the order of time; never none.
    pub words: Vec<Word>,
    /// How sure the recogniser is, 0 to 1: the mean of its words.
    pub confidence: f32,
}

/// What was said in a piece of sound, or in all of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spoken {
    /// ISO 639 code, `en`; nothing where nobody speaks.
    pub language: Option<String>,
    /// In the order of time; none overlaps the next.
    pub segments: Vec<Segment>,
}
