//! Erase: what is left to do for a closed account. Clips go with their files and with the jobs that made them, then
//! the address and the settings. The ledger's rows stay: they name jobs and amounts, and no person.
//!
//! Jobs that failed, idempotency records and sign-in links are not listed under the account; they expire by
//! themselves, within eight days.

use std::sync::Arc;

use domain::ids::AccountId;
use runtime::{App, StageError};
use serde::{Deserialize, Serialize};
use store::clips::ListedClip;
use tracing::info;

/// The order to erase an account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Erasure {
    /// Which account.
    pub account: String,
}

/// Clips looked at in one round.
const CLIPS_A_ROUND: i32 = 25;
/// Rounds in one run, well within the function's time; with more clips than that, the message comes again.
const ROUNDS_MAX: usize = 100;

/// Erases the account in `{account}`. A repeat does what is left to do.
///
/// # Errors
/// [`StageError::Passing`]: the message comes again, also while jobs of the account are still under way.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    let passing = |problem: &str| StageError::Passing(problem.to_owned());
    let order: Erasure = serde_json::from_str(&message).map_err(|error| passing(&error.to_string()))?;
    let account = AccountId::parse(&order.account).ok_or_else(|| passing("no account"))?;
    let table = app.table()?;
    table.close_account(&account, app.now()).await?;
    // A job that is under way would publish one more clip behind our back.
    if table.has_open_jobs(&account).await? {
        return Err(passing("jobs of this account are still under way"));
    }
    let mut erased = 0;
    for _ in 0..ROUNDS_MAX {
        let clips = table.oldest_clips(&account, CLIPS_A_ROUND).await?;
        if clips.is_empty() {
            table.forget_account(&account).await?;
            info!(%account, erased, "erased");
            return Ok(());
        }
        app.objects()?.delete(&files(&clips)).await?;
        for clip in &clips {
            table.erase_clip(&account, clip).await?;
        }
        erased += clips.len();
    }
    Err(passing("there are more clips than one run erases"))
}

fn files(clips: &[ListedClip]) -> Vec<String> {
    let clips = clips.iter().filter_map(|listed| listed.clip.as_ref());
    clips.flat_map(|clip| clip.output.keys()).cloned().collect()
}
