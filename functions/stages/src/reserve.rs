//! Reserve: confirm the hold and make it fit the true price, before anything is fetched or encoded.

use std::sync::Arc;

use domain::{prices::PriceBook, quote::Quote};
use runtime::{App, StageError};
use serde_json::{Value, json};

use crate::end::job_of;

/// Confirms the hold of job `{job_id}` and marks the start of the work. A repeat changes nothing.
///
/// # Errors
/// [`StageError::Job`] if the balance does not cover the true price or the owner allows less, [`StageError::Ended`] if
/// the job has ended.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = job_of(&app, &input).await?;
    let table = app.table()?;
    if job.status.is_final() || !table.begin(&job.id, app.now()).await? {
        return Err(StageError::Ended);
    }
    let book = PriceBook::edition(&job.price_book)
        .ok_or_else(|| StageError::Passing(format!("unknown price book {}", job.price_book)))?;
    let price = Quote::of(&job.spec, &job.source, book).cost;
    table.true_up(&job.id, price, app.now()).await?;
    Ok(json!({ "job_id": job.id, "kind": job.spec.kind() }))
}
