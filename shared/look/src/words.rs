//! What is said in a source, kept, and the moments in it that a sentence asks for: as `media.words` and `speech.find` do it.

use domain::{
    ids::AccountId,
    job::{Failure, Job},
    moments::{Found, MomentsSpec, Search},
    source::Location,
    time::MediaTime,
};
use runtime::{App, Var};
use serde::{Deserialize, Serialize};
use sources::captions::Segment;

use crate::ProbeError;

/// What is said, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// BCP 47 tag of the language, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Length of the source.
    pub duration: MediaTime,
    /// In the order of time.
    pub segments: Vec<Segment>,
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
}

impl WordsRequest {
    /// What a job needs to be known of its source.
    #[must_use]
    pub fn of(account: &AccountId, spec: &MomentsSpec) -> Self {
        Self { location: spec.location.clone(), account: account.clone(), language: spec.language.clone() }
    }
}

/// What `media.words` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordsAnswer {
    /// The key of the object that has them, a [`Words`].
    Kept(String),
    /// Nothing is said in the source that could be had.
    None(String),
    /// The source is at fault, and this is why.
    Failure(Failure),
}

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
    let message = format!("There is nothing to look through: {why}. Choose a source with captions.");
    Failure { code: NO_TRANSCRIPT.to_owned(), message }
}

/// The moments of a source that fit `spec`, found by the functions that know how. No time limit but theirs.
///
/// # Errors
/// [`ProbeError`].
pub async fn moments(app: &App, account: &AccountId, spec: &MomentsSpec) -> Result<Found, ProbeError> {
    let words = match app.invoke(Var::WordsFunction, &WordsRequest::of(account, spec)).await? {
        WordsAnswer::Kept(words) => words,
        WordsAnswer::None(why) => return Err(ProbeError::Failure(no_transcript(&why))),
        WordsAnswer::Failure(failure) => return Err(ProbeError::Failure(failure)),
    };
    match app.invoke(Var::FindFunction, &FindRequest { words, search: spec.search.clone() }).await? {
        FindAnswer::Found(found) => Ok(found),
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
