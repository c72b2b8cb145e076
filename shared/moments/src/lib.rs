//! Finds the moments of a video that a sentence asks for: words in, spans out.
//!
//! Invariant: this crate knows no AWS, no network and no clock. The same transcript, model and question give the same answer.

mod bm25;
mod curves;
mod edges;
mod embed;
mod intent;
mod kept;
mod lines;
mod mentions;
mod query;
mod search;
mod spans;
mod text;
mod transcript;
mod units;
mod weights;
mod wordpiece;

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
    let lines = lines::read(transcript)?;
    let texts = search::texts(&lines);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    Ok(Kept { transcript: lines::hash(transcript), model: model.id(), vectors: model.embed(&texts)? })
}

/// Finds moments: milliseconds.
///
/// # Errors
/// [`Error::Foreign`] if `kept` belongs to another transcript or model, [`Error::TooLarge`] for a transcript above the
/// bounds, [`Error::Model`] if the model fails.
pub fn find(model: &Model, transcript: &Transcript, kept: &Kept, ask: &Ask) -> Result<Found, Error> {
    let lines = lines_of(model, transcript, kept)?;
    Ok(search::Search::new(model, transcript, &lines, kept).find(ask)?)
}

/// The lines of the transcript that the vectors belong to.
fn lines_of(model: &Model, transcript: &Transcript, kept: &Kept) -> Result<Vec<lines::Line>, Error> {
    let lines = lines::read(transcript)?;
    let same = kept.transcript == lines::hash(transcript) && kept.model == model.id();
    let whole = units::divide(&lines).len() == kept.vectors.len();
    if same && whole { Ok(lines) } else { Err(Error::Foreign) }
}

/// Lines of a transcript that somebody else has pointed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pointed {
    /// The first line, as [`numbered`] counts them from 0.
    pub from: usize,
    /// The one behind the last.
    pub to: usize,
    /// How likely it is to be what was meant, from 0 to 1.
    pub confidence: f32,
}

/// The lines of a transcript, each with the time of its beginning.
///
/// # Errors
/// [`Error::TooLarge`] for a transcript above the bounds.
pub fn numbered(transcript: &Transcript) -> Result<Vec<(MediaTime, String)>, Error> {
    Ok(lines::read(transcript)?.into_iter().map(|line| (MediaTime(line.start), line.text)).collect())
}

/// The moments of lines that somebody else has pointed at, best first: their edges, lengths and what is told of them are
/// as of those that are found here. What points at no line is left out, and so is what overlaps a better one.
///
/// # Errors
/// [`Error::TooLarge`] for a transcript above the bounds.
pub fn pointed(model: &Model, transcript: &Transcript, at: &[Pointed], ask: &Ask) -> Result<Found, Error> {
    let lines = lines::read(transcript)?;
    let kept = Kept::empty(lines::hash(transcript), model.id(), units::divide(&lines).len());
    Ok(search::Search::new(model, transcript, &lines, &kept).pointed(at, ask))
}

/// What measuring asks of the finder, whatever a query's intent.
pub mod measure {
    use domain::time::MediaTime;

    use crate::{Error, Kept, Model, Transcript, edges, lines, lines_of, search};

    /// What the finder knows of a query.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Measured {
        /// The best spans, best first; they may overlap, as sets with one right span a query want it.
        pub ranked: Vec<(MediaTime, MediaTime)>,
        /// How likely the source has what was asked for at all, from 0 to 1.
        pub present: f64,
    }

    /// What is known of each of these queries.
    ///
    /// # Errors
    /// As [`crate::find`].
    pub fn queries(
        model: &Model,
        transcript: &Transcript,
        kept: &Kept,
        queries: &[&str],
    ) -> Result<Vec<Measured>, Error> {
        let lines = lines_of(model, transcript, kept)?;
        let search = search::Search::new(model, transcript, &lines, kept);
        let measured = |query: &&str| {
            let times = |(start, end)| (MediaTime(start), MediaTime(end));
            let ranked = search.ranked(query)?.into_iter().map(times).collect();
            Ok(Measured { ranked, present: search.present(query)? })
        };
        queries.iter().map(measured).collect()
    }

    /// From when to when each word is said, as far as the finder knows: no moment begins or ends within one.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for a transcript above the bounds.
    pub fn words(transcript: &Transcript) -> Result<Vec<(MediaTime, MediaTime)>, Error> {
        let lines = lines::read(transcript)?;
        let words = edges::Words::new(&lines);
        Ok(words
            .start
            .iter()
            .zip(&words.end)
            .map(|(start, end)| (MediaTime(*start), MediaTime(*end)))
            .collect())
    }
}
