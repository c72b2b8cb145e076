//! Choose: hold the price of all the clips that are to be made of what was found, and divide the job among them.
//!
//! What was held at acceptance covers the first one. If the balance, the key's cap or the owner's `max_cost` does not
//! cover all of them, the best ones are made, and the job tells how many were left.

use std::sync::Arc;

use domain::{
    job::{Failure, Job},
    ledger::LedgerError,
    moments::Found,
    prices::PriceBook,
    quote::Quote,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::StoreError;
use tracing::info;

use crate::end::job_of;

/// Divides job `{job_id}`; returns its parts, none if no clips are made. A repeat changes nothing.
///
/// # Errors
/// [`StageError::Job`] if there is nothing to make clips of, [`StageError::Ended`] if the job has ended.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = job_of(&app, &input).await?;
    if job.status.is_final() {
        return Err(StageError::Ended);
    }
    let found = job.found.clone().ok_or_else(|| StageError::Passing("nobody has looked yet".to_owned()))?;
    let all = job.divided(&found, app.now()).len();
    if all == 0 && !job.spec.is_analysis() {
        return Err(StageError::Job(nothing_found()));
    }
    if all == 0 || job.parts > 0 {
        return Ok(told(&job));
    }
    let count = hold(&app, &job, all).await?;
    let found: Found = found.best(count);
    let parts = job.divided(&found, app.now());
    if !app.table()?.divide(&job.id, &found, &parts).await? {
        // It has ended, or an attempt before this one has divided it.
        let job = job_of(&app, &input).await?;
        return if job.status.is_final() { Err(StageError::Ended) } else { Ok(told(&job)) };
    }
    info!(found = all, made = count, "divided");
    Ok(json!({ "job_id": job.id, "parts": parts.iter().map(|part| &part.id).collect::<Vec<_>>() }))
}

fn told(job: &Job) -> Value {
    json!({ "job_id": job.id, "parts": job.part_ids().collect::<Vec<_>>() })
}

/// Holds the price of as many clips as can be paid, `most` at most; answers how many that are.
async fn hold(app: &App, job: &Job, most: usize) -> Result<usize, StageError> {
    let book = PriceBook::edition(&job.price_book)
        .ok_or_else(|| StageError::Passing(format!("unknown price book {}", job.price_book)))?;
    for count in (2..=most).rev() {
        let price = Quote::of_files(count, &job.spec, &job.source, book).cost;
        match app.table()?.true_up(&job.id, price, app.now()).await {
            Ok(()) => return Ok(count),
            Err(
                StoreError::Ledger(LedgerError::Insufficient { .. })
                | StoreError::TooDear(_)
                | StoreError::Capped,
            ) => {}
            Err(problem) => return Err(problem.into()),
        }
    }
    let price = Quote::of(&job.spec, &job.source, book).cost;
    app.table()?.true_up(&job.id, price, app.now()).await?;
    Ok(1)
}

fn nothing_found() -> Failure {
    Failure {
        code: "nothing_found".to_owned(),
        message: "Nothing in this video fits the query. You were not charged; describe it in other words."
            .to_owned(),
    }
}
