//! Finds the moments of a video that a sentence asks for: words in, spans out.
//!
//! Invariant: this crate knows no AWS, no network and no clock. The same transcript, model and question give the same answer.

mod embed;
mod kept;
mod transcript;

use domain::time::MediaTime;

pub use embed::{Model, ModelError};
pub use kept::{Kept, NotKept};
pub use transcript::{Segment, Transcript, Word};

/// Why nothing can be looked for. That nothing is found is no error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The transcript is larger than any that is searched.
    #[error("the transcript is too large: it has more than {max} {unit}")]
    TooLarge {
        /// The most that is taken.
        max: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The vectors are another transcript's or another model's: [`prepare`] makes new ones.
    #[error("the vectors do not belong to this transcript and model")]
    Foreign,
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Where a moment may begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Snap {
    /// Between words.
    Words,
    /// Between sentences.
    #[default]
    Sentences,
    /// Where it is found, but never inside a word.
    None,
}

/// What is looked for, and what the answer may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// In the user's words.
    pub query: String,
    /// The most moments that are answered; fewer if the query asks for fewer.
    pub segments_max: usize,
    /// No moment is shorter, as long as the source isn't.
    pub shortest: Option<MediaTime>,
    /// No moment is longer.
    pub longest: Option<MediaTime>,
    /// Where moments may begin and end.
    pub snap: Snap,
    /// Added before and after each moment, within the source and `longest`.
    pub pad: MediaTime,
    /// Whether each moment says why it was chosen.
    pub explain: bool,
    /// Whether to tell what else might have been meant.
    pub alternates: bool,
}

/// A span of the source that fits the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Where it begins, in microseconds on the source's timeline.
    pub start: MediaTime,
    /// Where it ends.
    pub end: MediaTime,
    /// The beginning of what is said in it.
    pub excerpt: String,
    /// How likely it is to be what was meant, from 0 to 1.
    pub confidence: f32,
    /// Why it was chosen, if that was asked.
    pub why: Option<Why>,
}

/// Why a moment was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// The query's words that are said in it, as the query has them.
    pub words: Vec<String>,
    /// The sentences that fit best, in the order of time.
    pub sentences: Vec<String>,
    /// How near its meaning is to the query's: a cosine, from −1 to 1; `None` where only words were looked at.
    pub meaning: Option<f32>,
    /// How much of the query's words it has, rare ones counting more: from 0 to 1.
    pub cover: f32,
    /// How likely the source has what was asked for at all, from 0 to 1.
    pub present: f32,
}

/// The answer: best first. No two of all these moments overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// What was found; empty if nothing fits.
    pub moments: Vec<Moment>,
    /// What else might have been meant, if that was asked.
    pub alternates: Vec<Moment>,
}

/// Makes what [`find`] needs of a transcript: seconds for an hour of speech.
///
/// # Errors
/// [`Error::TooLarge`] for a transcript above the bounds, [`Error::Model`] if the model fails.
pub fn prepare(model: &Model, transcript: &Transcript) -> Result<Kept, Error> {
    let _ = (model, transcript);
    Ok(Kept { transcript: [0; 32] })
}

/// Finds moments: milliseconds.
///
/// # Errors
/// [`Error::Foreign`] if `kept` belongs to another transcript or model, [`Error::TooLarge`] for a transcript above the
/// bounds, [`Error::Model`] if the model fails.
pub fn find(model: &Model, transcript: &Transcript, kept: &Kept, ask: &Ask) -> Result<Found, Error> {
    let _ = (model, transcript, kept, ask);
    Ok(Found::default())
}
