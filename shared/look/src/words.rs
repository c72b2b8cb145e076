//! What is said in a source, kept, and the moments in it that a sentence asks for: as `media.words` and `speech.find` do it.

use domain::{
    ids::AccountId,
    job::{Failure, Job},
    moments::{Found, MomentsSpec, Search},
    source::{Location, SourceInfo},
    time::MediaTime,
};
use runtime::{App, Var};
use serde::{Deserialize, Serialize};
use sources::captions::Segment;

use crate::ProbeError;

/// What is said, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Words {
    /// BCP 47 tag of the language, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Length of the source.
    pub duration: MediaTime,
    /// Whether it was recognised by its sound; else it was written down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heard: bool,
    /// In the order of time.
    pub segments: Vec<Said>,
}

/// About a sentence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// When it begins.
    pub start: MediaTime,
    /// When it ends.
    pub end: MediaTime,
    /// The words, in one line.
    pub text: String,
    /// When each word is said, if that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<SaidWord>,
    /// How sure it is that this is said, 0 to 1, if it was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
}

/// A word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SaidWord {
    /// When it begins.
    pub start: MediaTime,
    /// When it ends.
    pub end: MediaTime,
    /// The word with its punctuation.
    pub text: String,
    /// How sure it is that this is said, 0 to 1.
    pub confidence: f32,
}

impl From<Segment> for Said {
    fn from(segment: Segment) -> Self {
        let Segment { start, end, text } = segment;
        Self { start, end, text, words: Vec::new(), confidence: None }
    }
}

/// What `media.words` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WordsRequest {
    /// The source.
    #[serde(flatten)]
    pub location: Location,
    /// Who asks: an upload is its owner's alone.
    pub account: AccountId,
    /// BCP 47 tag of the language that is wanted; without one it is the one that is spoken.
    #[serde(default)]
    pub language: Option<String>,
    /// Whether the source has any sound.
    #[serde(default = "yes")]
    pub has_sound: bool,
}

/// Before it was asked, any source might have had some.
const fn yes() -> bool {
    true
}

impl WordsRequest {
    /// What a job needs to be known of its source.
    #[must_use]
    pub fn of(account: &AccountId, spec: &MomentsSpec, source: &SourceInfo) -> Self {
        Self {
            location: spec.location.clone(),
            account: account.clone(),
            language: spec.language.clone(),
            has_sound: source.has_audio,
        }
    }
}

/// What `media.words` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordsAnswer {
    /// The key of the object that has them, a [`Words`].
    Kept(String),
    /// Nobody has written them down: the source has to be listened to. The key of the object that they will be kept in,
    /// unless its versions cannot be told apart.
    Unwritten(Option<String>),
    /// Nothing is said in the source that could be had.
    None(String),
    /// The source is at fault, and this is why.
    Failure(Failure),
}

/// Looking for moments where nobody has written down what is said: how much of it is done when the sound is here, when it
/// is divided, and when all of it is recognised.
pub const HEARD: f64 = 0.2;
/// See [`HEARD`].
pub const DIVIDED: f64 = 0.25;
/// See [`HEARD`].
pub const RECOGNISED: f64 = 0.95;

/// What `speech.find` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindRequest {
    /// The key of the object that has the words.
    pub words: String,
    /// What to look for.
    pub search: Search,
}

/// What `speech.find` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindAnswer {
    /// What was found, which may be nothing.
    Found(Found),
    /// The words are at fault, and this is why.
    Failure(Failure),
}

/// The code of a source of which no words can be had.
pub const NO_TRANSCRIPT: &str = "no_transcript";

/// What is told of a source of which no words can be had.
#[must_use]
pub fn no_transcript(why: &str) -> Failure {
    let message =
        format!("There is nothing to look through: {why}. Choose a source in which somebody speaks.");
    Failure { code: NO_TRANSCRIPT.to_owned(), message }
}

/// The moments of a source that fit `spec`, found by the functions that know how; `None` if the source has to be listened to
/// first. No time limit but theirs.
///
/// # Errors
/// [`ProbeError`].
pub async fn moments(
    app: &App,
    account: &AccountId,
    spec: &MomentsSpec,
    source: &SourceInfo,
) -> Result<Option<Found>, ProbeError> {
    let words = match app.invoke(Var::WordsFunction, &WordsRequest::of(account, spec, source)).await? {
        WordsAnswer::Kept(words) => words,
        WordsAnswer::Unwritten(_) => return Ok(None),
        WordsAnswer::None(why) => return Err(ProbeError::Failure(no_transcript(&why))),
        WordsAnswer::Failure(failure) => return Err(ProbeError::Failure(failure)),
    };
    match app.invoke(Var::FindFunction, &FindRequest { words, search: spec.search.clone() }).await? {
        FindAnswer::Found(found) => Ok(Some(found)),
        FindAnswer::Failure(failure) => Err(ProbeError::Failure(failure)),
    }
}

/// What is looked for by a job, if it looks for anything.
#[must_use]
pub const fn sought(job: &Job) -> Option<&MomentsSpec> {
    match &job.spec {
        domain::spec::Spec::Moments(spec) => Some(spec),
        _ => None,
    }
}
