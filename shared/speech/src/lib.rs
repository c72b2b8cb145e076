//! Speech recognition: sound in, words with their times out.
//!
//! Knows no AWS, no network, no clock and no files but its models. Sound is always 16 kHz, mono, samples from -1 to 1.
//!
//! ```text
//! Voice::listen   sound → how likely somebody speaks, every 32 ms
//! pieces          that → pieces of at most ten minutes, cut where nobody speaks
//! Recogniser      a piece → words
//! join            the pieces' words → the words of all
//! ```

mod piece;
mod spoken;

use std::path::{Path, PathBuf};

use domain::time::MediaTime;

pub use piece::Piece;
pub use spoken::{Segment, Spoken, Word};

/// Samples a second of all sound here.
pub const SAMPLE_RATE_HZ: u32 = 16_000;

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
    /// Its name, which is the name of its folder as well: `whisper-base`, `whisper-tiny.en`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base => "whisper-base",
            Self::TinyEn => "whisper-tiny.en",
        }
    }
}

/// Tells where somebody speaks (Silero). Cheap: a minute of sound takes a third of a second.
#[derive(Debug)]
pub struct Voice {}

impl Voice {
    /// The model in `silero_vad_v6.onnx` of the folder of models.
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn load(folder: &Path) -> Result<Self, Error> {
        Err(Error::Model { file: folder.to_owned(), reason: "not there yet".to_owned() })
    }

    /// Begins to listen: the sound may come in parts of any length, so that hours of it need not be held at once.
    #[must_use]
    pub fn listen(&self) -> Listening<'_> {
        Listening { _voice: self }
    }
}

/// Listens to one sound.
#[derive(Debug)]
pub struct Listening<'a> {
    _voice: &'a Voice,
}

impl Listening<'_> {
    /// The sound goes on with these samples.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn hear(&mut self, _samples: &[f32]) -> Result<(), Error> {
        Err(Error::Failed("not there yet".to_owned()))
    }

    /// The sound has ended: where to cut it. No pieces if nobody speaks.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn pieces(self) -> Result<Vec<Piece>, Error> {
        Err(Error::Failed("not there yet".to_owned()))
    }
}

/// Turns speech into words (Whisper). It uses one thread: pieces run side by side, each with a recogniser of its own.
#[derive(Debug)]
pub struct Recogniser {}

impl Recogniser {
    /// The models in the folder of models: `silero_vad_v6.onnx`, and one folder for each [`SpeechModel`].
    ///
    /// # Errors
    /// [`Error::Model`].
    pub fn load(folder: &Path, _model: SpeechModel) -> Result<Self, Error> {
        Err(Error::Model { file: folder.to_owned(), reason: "not there yet".to_owned() })
    }

    /// The words of a piece of sound that begins at `offset` of a longer one: times are that one's. In this `language`
    /// (`en`), or in the one that is heard.
    ///
    /// Silence, music and noise give nothing.
    ///
    /// # Errors
    /// [`Error::Language`], [`Error::Failed`].
    pub fn recognise(
        &self,
        _samples: &[f32],
        _offset: MediaTime,
        _language: Option<&str>,
    ) -> Result<Spoken, Error> {
        Err(Error::Failed("not there yet".to_owned()))
    }
}

/// The words of all pieces, in the order of time. The language is the one that most of the time is spoken in.
#[must_use]
pub fn join(pieces: Vec<Spoken>) -> Spoken {
    pieces.into_iter().next().unwrap_or_default()
}
