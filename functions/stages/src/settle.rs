//! Settle: charge for what was delivered, write the clips that are to be in the history, and complete the job, in one
//! transaction.

use std::sync::Arc;

use domain::{
    expiry,
    job::{Job, Output, Status},
    prices::PriceBook,
    spec::Spec,
    time::Timestamp,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::{clips::Clip, jobs::Ending};

use crate::end::{end, job_of};

/// Settles job `{job_id}`. A repeat changes nothing.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended in another way, [`StageError::Job`] if none of its clips could be made.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = job_of(&app, &input).await?;
    if job.status.is_final() && job.status != Status::Complete {
        return Err(StageError::Ended);
    }
    let book = PriceBook::edition(&job.price_book)
        .ok_or_else(|| StageError::Passing(format!("unknown price book {}", job.price_book)))?;
    let delivered = delivered(&app, &job).await?;
    let pictures: Vec<_> = delivered.iter().map(|(_, output)| output.picture).collect();
    let (cost, now) = (job.charge(book, &pictures), app.now());
    let saved = delivered.into_iter().filter(|(maker, _)| maker.spec.saved_to_library());
    let clips = saved.map(|(maker, output)| clip(maker, output, now)).collect();
    end(&app, &job, &Ending::Complete { cost, clips }).await?;
    Ok(json!({ "job_id": job.id }))
}

/// What the job delivers, each with the job that made it: itself, or one of its parts.
async fn delivered(app: &App, job: &Job) -> Result<Vec<(Job, Output)>, StageError> {
    if !matches!(job.spec, Spec::Moments(_)) {
        let output = job.output.clone();
        let output = output.ok_or_else(|| StageError::Passing("nothing was published".to_owned()))?;
        return Ok(vec![(job.clone(), output)]);
    }
    let (mut delivered, mut first_failure) = (Vec::new(), None);
    for (part, _) in app.table()?.parts(job).await? {
        match (part.output.clone(), part.failure.clone()) {
            (Some(output), None) => delivered.push((part, output)),
            (_, Some(failure)) => first_failure = first_failure.or(Some(failure)),
            (None, None) => {
                return Err(StageError::Passing("a clip was neither made nor given up".to_owned()));
            }
        }
    }
    match first_failure {
        Some(failure) if delivered.is_empty() => Err(StageError::Job(failure)),
        _ => Ok(delivered),
    }
}

fn clip(maker: Job, output: Output, now: Timestamp) -> Clip {
    Clip {
        id: maker.id,
        account: maker.account,
        name: output.file_name.clone(),
        source_title: maker.source.title,
        output,
        created_at: now,
        expires_at: Some(expiry::clip_expires_at(now)),
        rests_until: None,
    }
}
