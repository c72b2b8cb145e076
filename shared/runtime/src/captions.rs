//! What is said in a source, as `media.captions` finds it.

use domain::{ids::AccountId, job::Failure, source::Location, time::MediaTime};
use serde::{Deserialize, Serialize};
use sources::{SourceError, captions::Segment};

use crate::{App, AppError, ProbeError, env::Var, invoke::invoke, time_limits};

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

impl App {
    /// Asks `media.captions`.
    ///
    /// # Errors
    /// [`ProbeError`].
    pub async fn captions(&self, request: &CaptionsRequest) -> Result<CaptionsAnswer, ProbeError> {
        let function = self.config().get(Var::CaptionsFunction).map_err(AppError::from)?;
        let asked = invoke(self.functions(), function, request);
        let answer =
            tokio::time::timeout(time_limits::LOOK, asked).await.map_err(|_| SourceError::Stalled)??;
        match answer {
            CaptionsAnswer::Failure(failure) => Err(ProbeError::Failure(failure)),
            answer => Ok(answer),
        }
    }
}
