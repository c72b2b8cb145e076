//! Deliver: one attempt to tell one receiver of one event.
//!
//! At least once: an attempt is taken before it is made, so that an order that comes twice makes one request; a function that
//! dies in between makes a second one, with the same `webhook-id`.
//!
//! The delivery is taken for 40 s by a conditional update on its `due_at`, as is every change of it. Errors in the log
//! are fixed texts, because an address may contain a secret.

use std::{sync::Arc, time::Instant};

use domain::{
    ids::JobId,
    time::Timestamp,
    webhook::{Attempt, Receiver, SigningSecret, State, Verdict, Webhooks, signatures},
};
use runtime::{App, AppError, Metric, StageError, Var};
use serde_json::Value;
use sources::Poster;
use store::{
    StoreError,
    webhooks::{Delivery, DeliveryKey},
};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::root;

/// The longest that a queue holds a message back, in seconds. After a longer pause the sweeper gives the order.
const HELD_BACK_SECONDS_MAX: i32 = 900;
/// An order that comes this much too early is carried out all the same: queues and clocks are not that exact.
const EARLY_MS: i64 = 1000;

/// Made once for all requests: a new client reads all certificates that the machine trusts.
static POSTER: OnceCell<Poster> = OnceCell::const_new();

/// Carries out the order in `message`. A repeat, or an order for what is done, changes nothing.
///
/// # Errors
/// [`StageError::Passing`]: the message comes again.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    let key: DeliveryKey =
        serde_json::from_str(&message).map_err(|error| StageError::Passing(error.to_string()))?;
    let (table, now) = (app.table()?, app.now());
    let due = table.delivery(&key, now).await?;
    let due = due.filter(|one| one.state == State::Pending && one.next_at <= now.plus_ms(EARLY_MS));
    // An order that comes while an attempt is under way is a duplicate; if that attempt dies, the sweeper orders again.
    let Some(delivery) = due.filter(|one| !one.is_taken(now)) else { return Ok(()) };
    if let Some(job) = job_of(&delivery) {
        app.about(&job);
    }
    let webhooks = table.webhooks(&key.account).await?;
    let Some(url) = address(&webhooks, &delivery) else {
        table.cancel_delivery(&delivery, now).await?;
        info!(webhook = %key.receiver, event_id = %key.event, "nobody wants it any more");
        return Ok(());
    };
    let secrets = secrets(&app, &webhooks, &key, now).await?;
    let Some(taken) = table.take_delivery(&delivery, now).await? else { return Ok(()) };
    let attempt = attempt(&app, &taken, &url, &secrets).await?;
    let verdict = conclude(&app, &taken, attempt).await?;
    learn(&app, &webhooks, &key, verdict).await
}

/// The job that its event is about.
fn job_of(delivery: &Delivery) -> Option<JobId> {
    let payload: Value = serde_json::from_str(&delivery.payload).ok()?;
    JobId::parse(payload.get("data")?.get("job_id")?.as_str()?)
}

/// Where to send it; `None` if its receiver is gone or off.
fn address(webhooks: &Webhooks, delivery: &Delivery) -> Option<String> {
    match &delivery.key.receiver {
        Receiver::Jobs => delivery.url.clone(),
        Receiver::Endpoint(id) => webhooks
            .endpoint(id)
            .filter(|endpoint| endpoint.off.is_none())
            .map(|endpoint| endpoint.url.clone()),
    }
}

/// What it is signed with, the latest secret first.
async fn secrets(
    app: &App,
    webhooks: &Webhooks,
    key: &DeliveryKey,
    now: Timestamp,
) -> Result<Vec<SigningSecret>, StageError> {
    let root = root::secret(app).await?;
    let versions = webhooks.versions(&key.receiver).into_iter().flat_map(|versions| versions.signing(now));
    Ok(versions.map(|version| root.derive(&key.account, &key.receiver, version)).collect())
}

/// Sends the request.
async fn attempt(
    app: &App,
    delivery: &Delivery,
    url: &str,
    secrets: &[SigningSecret],
) -> Result<Attempt, StageError> {
    let poster = POSTER.get_or_try_init(|| async { Ok::<_, AppError>(Poster::new(app.guard()?)?) }).await?;
    let (id, payload, at) = (&delivery.key.event, &delivery.payload, app.now());
    let headers = [
        ("webhook-id", id.to_string()),
        ("webhook-timestamp", at.epoch_seconds().to_string()),
        ("webhook-signature", signatures(secrets, id, at, payload)),
    ];
    let begun = Instant::now();
    let answer = poster.post(url, &headers, payload.clone()).await;
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, error) = match answer {
        Ok(status @ 200..=299) => (Some(status), None),
        Ok(status @ 300..=399) => (Some(status), Some("redirects are not followed")),
        Ok(status) => (Some(status), Some("the answer was not 2xx")),
        Err(problem) => {
            return Ok(Attempt { at, duration_ms, status: None, error: Some(problem.to_string()) });
        }
    };
    Ok(Attempt { at, duration_ms, status, error: error.map(str::to_owned) })
}

/// Writes down what came of an attempt, and sees to the next one.
async fn conclude(app: &App, taken: &Delivery, attempt: Attempt) -> Result<Verdict, StageError> {
    let (key, now) = (&taken.key, app.now());
    let random = getrandom::u32().map_err(|error| AppError::aws("getrandom", &error))?;
    let verdict = attempt.verdict(taken.tries, random, now);
    let (status, duration_ms) = (attempt.status, attempt.duration_ms);
    info!(webhook = %key.receiver, event_id = %key.event, tries = taken.tries, status, duration_ms, ?verdict, "attempted");
    if verdict == Verdict::GivenUp {
        warn!(webhook = %key.receiver, event_id = %key.event, "nobody took it for a day");
        // Before it ends: a crash in between leaves two dead letters rather than none.
        app.enqueue(Var::WebhooksDeadLettersUrl, key).await?;
    }
    let (next_at, held_back) = match verdict {
        Verdict::Retry(next) => (next, held_back_seconds(next, now)),
        _ => (now, None),
    };
    let logged =
        app.table()?.log_attempt(taken, attempt, verdict.state(), (next_at, held_back.is_some())).await?;
    if logged && verdict == Verdict::GivenUp {
        app.metrics().add(Metric::DeadDeliveries, 1);
    }
    // If it is not, it took so long that somebody else has it.
    if let (true, Some(seconds)) = (logged, held_back) {
        app.enqueue_for_later(Var::WebhooksQueueUrl, key, seconds).await?;
    }
    Ok(verdict)
}

/// For how long a queue is to hold an order back that is due at `next`; `None` if that is longer than it can.
fn held_back_seconds(next: Timestamp, now: Timestamp) -> Option<i32> {
    let seconds = (next.0 - now.0 + 999).div_euclid(1000).max(0);
    i32::try_from(seconds).ok().filter(|seconds| *seconds <= HELD_BACK_SECONDS_MAX)
}

/// Writes the outcome to the receiver's record, if it changes it.
async fn learn(
    app: &App,
    webhooks: &Webhooks,
    key: &DeliveryKey,
    verdict: Verdict,
) -> Result<(), StageError> {
    let (Receiver::Endpoint(id), now) = (&key.receiver, app.now()) else { return Ok(()) };
    if !webhooks.endpoint(id).cloned().is_some_and(|mut endpoint| endpoint.learn(verdict, now)) {
        return Ok(());
    }
    let learnt = app.table()?.change_webhooks(&key.account, |webhooks| {
        let endpoint = webhooks.endpoint_mut(id).ok_or(StoreError::NotFound)?;
        endpoint.learn(verdict, now);
        Ok(endpoint.off)
    });
    match learnt.await.and_then(std::convert::identity) {
        Ok(Some(off)) => warn!(webhook = %id, why = off.word(), "is off"),
        // Or the receiver, or the account, is gone meanwhile.
        Ok(None) | Err(StoreError::NotFound) => {}
        Err(problem) => return Err(problem.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_holds_back_for_15_minutes_at_most() {
        let seconds = |ms| held_back_seconds(Timestamp(ms), Timestamp(0));
        assert_eq!(
            (seconds(-5), seconds(0), seconds(1), seconds(4999)),
            (Some(0), Some(0), Some(1), Some(5))
        );
        assert_eq!((seconds(900_000), seconds(900_001)), (Some(900), None));
    }
}
