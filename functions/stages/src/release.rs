//! Release: give the money back and fail the job, with a message that its owner can act on.

use std::sync::Arc;

use domain::job::Failure;
use runtime::{App, StageError};
use serde_json::{Value, json};

use crate::end::{fail, job_of};

/// Releases job `{job_id, error: {Error, Cause}}`, as the state machine's `Catch` hands it over. A repeat, or a
/// release after the job was settled, changes nothing.
///
/// # Errors
/// [`StageError::Passing`] only.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = job_of(&app, &input).await?;
    fail(&app, &job, failure(&input), false).await?;
    Ok(json!({ "job_id": job.id }))
}

/// What to tell the owner. A stage's own verdict travels as JSON within the cause's JSON (`errorMessage` of
/// Lambda's error object); anything else is our fault and told without internals.
pub(crate) fn failure(input: &Value) -> Failure {
    let told = || {
        let error = input.get("error")?;
        if error.get("Error")?.as_str()? != "JobFailure" {
            return None;
        }
        let cause: Value = serde_json::from_str(error.get("Cause")?.as_str()?).ok()?;
        serde_json::from_str(cause.get("errorMessage")?.as_str()?).ok()
    };
    told().unwrap_or_else(Failure::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stages_verdict_is_told_and_a_crash_is_not() {
        let verdict = Failure { code: "source_unavailable".to_owned(), message: "it is gone".to_owned() };
        let message = StageError::Job(verdict.clone()).message();
        let cause = json!({ "errorType": "JobFailure", "errorMessage": message }).to_string();
        assert_eq!(failure(&json!({ "error": { "Error": "JobFailure", "Cause": cause } })), verdict);
        let crash = json!({ "error": { "Error": "Runtime.ExitError", "Cause": "signal: killed" } });
        assert_eq!(failure(&crash), Failure::internal());
        assert_eq!(failure(&json!({})), Failure::internal());
    }
}
