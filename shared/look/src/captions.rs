//! What is said in a source, as `media.captions` finds it.

use domain::{ids::AccountId, job::Failure, source::Location, time::MediaTime};
use runtime::{App, Var, time_limits};
use serde::{Deserialize, Serialize};
use sources::{SourceError, captions::Segment};

use crate::{Payer, ProbeError};

/// What `media.captions` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CaptionsRequest {
    /// The source.
    #[serde(flatten)]
    pub location: Location,
    /// Who asks: an upload is its owner's alone.
    pub account: AccountId,
    /// BCP 47 tag of the language that is wanted; without one it is the one that is spoken.
    pub language: Option<String>,
}

/// What `media.captions` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptionsAnswer {
    /// What is said.
    Captions {
        /// In order.
        segments: Vec<Segment>,
        /// Length of the source.
        duration: MediaTime,
    },
    /// The source has none.
    None(String),
    /// The source is at fault, and this is why.
    Failure(Failure),
}

/// Asks `media.captions`.
///
/// # Errors
/// [`ProbeError`].
pub async fn captions(app: &App, request: &CaptionsRequest) -> Result<CaptionsAnswer, ProbeError> {
    let asked = app.invoke(Var::CaptionsFunction, request);
    let payer = Payer::account(&request.account);
    let asked = payer.pays(app, time_limits::CAPTIONS, tokio::time::timeout(time_limits::INVOKE, asked));
    let answer = asked.await?.map_err(|_| SourceError::Stalled)??;
    match answer {
        CaptionsAnswer::Failure(failure) => Err(ProbeError::Failure(failure)),
        answer => Ok(answer),
    }
}
