//! What was said, and when.

use domain::time::MediaTime;
use serde::{Deserialize, Serialize};

/// One word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Where it begins, in microseconds on the source's timeline.
    pub start: MediaTime,
    /// Where it ends.
    pub end: MediaTime,
    /// As it is written, with its punctuation.
    pub text: String,
}

/// A line of captions, or a sentence or so of recognised speech.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Where it begins, in microseconds on the source's timeline.
    pub start: MediaTime,
    /// Where it ends.
    pub end: MediaTime,
    /// What is said in it.
    pub text: String,
    /// The words of `text` in their order; empty where the source doesn't time them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
}

/// The words of a whole source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The language as a BCP 47 tag, if it is known: `en`, `pt-BR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How long the source is, in microseconds.
    pub duration: MediaTime,
    /// In the order of time.
    pub segments: Vec<Segment>,
}
