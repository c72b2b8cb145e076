//! Dispatch: start the waiting jobs of an account that has free slots.

use std::sync::Arc;

use domain::ids::AccountId;
use runtime::{App, StageError};
use serde::Deserialize;
use tracing::info;

#[derive(Deserialize)]
struct Wake {
    account: String,
}

/// Gives free slots of the account in `{account}` to its waiting jobs, oldest first, and starts them. A crash
/// between the two is mended by the sweeper.
///
/// # Errors
/// [`StageError::Passing`]: the message comes again.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    let passing = |problem: String| StageError::Passing(problem);
    let wake: Wake = serde_json::from_str(&message).map_err(|error| passing(error.to_string()))?;
    let account = AccountId::parse(&wake.account).ok_or_else(|| passing("no account".to_owned()))?;
    let slots = app.config().clip_slots()?;
    // Ends when there is no free slot or no waiting job: at most `slots` rounds.
    for _ in 0..slots {
        let Some(job) = app.table()?.next_waiting(&account, slots, app.now()).await? else { break };
        app.start_execution(&job).await?;
        info!(job_id = %job, %account, "dispatched");
    }
    Ok(())
}
