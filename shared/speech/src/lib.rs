//! Speech recognition: sound in, words with their times out.
//!
//! Knows no AWS, no network, no clock and no files but its models. Sound is always 16 kHz, mono, samples from -1 to 1.
//!
//! ```text
//! Voice::listen          hours of sound → pieces of at most ten minutes, cut where nobody speaks
//! Recogniser::recognise  a piece → its words
//! join                   the words of the pieces → the words of all
//! ```

mod decode;
mod join;
mod mel;
mod piece;
mod recogniser;
mod spoken;
mod stretch;
mod vocabulary;
mod voice;
mod window;
mod words;

use std::fmt::Display;
use std::path::PathBuf;

use domain::time::MediaTime;

pub use join::join;
pub use piece::Piece;
pub use recogniser::Recogniser;
pub use spoken::{Segment, Spoken, Word};
pub use voice::{Listening, Voice};

/// Samples a second of all sound here.
pub const SAMPLE_RATE_HZ: u32 = 16_000;
const SAMPLE_RATE: usize = SAMPLE_RATE_HZ as usize;

/// Why nothing was recognised. None of these is the fault of the sound.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model's file is not there or is not what it should be.
    #[error("the model {} cannot be loaded: {reason}", file.display())]
    Model {
        /// The file or folder.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model does not know this language.
    #[error("the model does not know the language {0:?}")]
    Language(String),
    /// Whoever wanted the words does not want them any more.
    #[error("recognising was stopped")]
    Stopped,
    /// A model failed while it ran.
    #[error("a model failed: {0}")]
    Failed(String),
}

/// Which Whisper: the parameter `SpeechModel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpeechModel {
    /// About a hundred languages.
    #[default]
    Base,
    /// English alone, twice as fast, wrong more often.
    TinyEn,
}

impl SpeechModel {
    /// The one that the parameter `SpeechModel` names: `base` or `tiny.en`.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "base" => Some(Self::Base),
            "tiny.en" => Some(Self::TinyEn),
            _ => None,
        }
    }

    /// Whether it knows this language, by the name that Whisper has for it.
    #[must_use]
    pub fn knows(self, language: &str) -> bool {
        self == Self::Base || language == "en"
    }

    /// Its name, which is the name of its folder as well: `whisper-base`, `whisper-tiny.en`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "whisper-base",
            Self::TinyEn => "whisper-tiny.en",
        }
    }
}

/// The time of a sample.
fn time_of(sample: usize) -> MediaTime {
    MediaTime::from_ticks(i64::try_from(sample).unwrap_or(i64::MAX), SAMPLE_RATE_HZ)
}

/// A model failed while it ran.
fn failed(error: impl Display) -> Error {
    Error::Failed(error.to_string())
}
