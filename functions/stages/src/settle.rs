//! Settle: charge for what was delivered, write the clip if it is to be in the history, and complete the job, in one transaction.

use std::sync::Arc;

use domain::{expiry, job::Status, prices::PriceBook};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::{clips::Clip, jobs::Ending};

use crate::end::{end, job_of};

/// Settles job `{job_id}`. A repeat changes nothing.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended in another way.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = job_of(&app, &input).await?;
    if job.status.is_final() && job.status != Status::Complete {
        return Err(StageError::Ended);
    }
    let output = job.output.clone().ok_or_else(|| StageError::Passing("nothing was published".to_owned()))?;
    let book = PriceBook::edition(&job.price_book)
        .ok_or_else(|| StageError::Passing(format!("unknown price book {}", job.price_book)))?;
    let cost = job.charge(book, output.picture);
    let now = app.now();
    let clip = job.spec.saved_to_library().then(|| Clip {
        id: job.id.clone(),
        account: job.account.clone(),
        name: output.file_name.clone(),
        source_title: job.source.title.clone(),
        output,
        created_at: now,
        expires_at: Some(expiry::clip_expires_at(now)),
    });
    end(&app, &job, &Ending::Complete { cost, clip: clip.map(Box::new) }).await?;
    Ok(json!({ "job_id": job.id }))
}
