//! Erase: what is left to do for a closed account. Jobs that wait for their turn are cancelled, which gives their money back;
//! those that run may take an hour, and are waited for. Clips go with their files and with the jobs that made them, uploads
//! with theirs, then webhooks, the address and the settings. The ledger's rows stay: they name jobs and amounts, and no person.
//!
//! Jobs that failed, idempotency records and sign-in links are not listed under the account; they expire by
//! themselves, within eight days.

use std::sync::Arc;

use domain::ids::AccountId;
use runtime::{App, StageError};
use serde::{Deserialize, Serialize};
use store::{clips::ListedClip, jobs::Ending, keys, multipart::Upload};
use tracing::info;

/// The order to erase an account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Erasure {
    /// Which account.
    pub account: String,
}

/// Clips, uploads or jobs looked at in one round.
const A_ROUND: i32 = 25;
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
    cancel_waiting(&app, &account).await?;
    // A job that is under way would publish one more clip behind our back.
    if table.has_open_jobs(&account).await? {
        return Err(passing("jobs of this account are still under way"));
    }
    let mut erased = 0;
    for _ in 0..ROUNDS_MAX {
        if erase_uploads(&app, &account).await? {
            continue;
        }
        let clips = table.oldest_clips(&account, A_ROUND).await?;
        if clips.is_empty() {
            table.forget_storage(&account).await?;
            table.forget_webhooks(&account).await?;
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

/// Cancels the jobs that wait for a slot. They might wait for longer than this message comes again, and nobody is there any
/// more who wants what they would make.
async fn cancel_waiting(app: &App, account: &AccountId) -> Result<(), StageError> {
    for _ in 0..ROUNDS_MAX {
        let waiting = app.table()?.waiting_jobs(account, A_ROUND).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        for job in &waiting {
            let first = app.end_job::<StageError>(job, &Ending::Cancelled).await?;
            info!(job_id = %job.id, %account, first, "cancelled, because its account is closed");
        }
    }
    Err(StageError::Passing("there are more waiting jobs than one run cancels".to_owned()))
}

/// Erases some uploads with their files, also those that are still coming; `false` if there were none.
async fn erase_uploads(app: &App, account: &AccountId) -> Result<bool, StageError> {
    let uploads = app.table()?.uploads(account, A_ROUND).await?;
    for upload in &uploads {
        let key = keys::upload_object(account, &upload.id);
        if let Some(id) = &upload.multipart {
            app.objects()?.abort_upload(Upload { key: &key, id }).await?;
        }
        app.objects()?.delete(&[key]).await?;
        app.table()?.erase_upload(upload).await?;
    }
    Ok(!uploads.is_empty())
}

fn files(clips: &[ListedClip]) -> Vec<String> {
    let clips = clips.iter().filter_map(|listed| listed.clip.as_ref());
    clips.flat_map(|clip| clip.output.keys()).cloned().collect()
}
