//! Sweep: once a minute, give the orders to deliver webhooks whose time has come: those after a pause that is longer than a
//! queue holds a message back, and those that were lost.

use std::sync::Arc;

use domain::webhook::State;
use runtime::{
    App, Metric, StageError, Var,
    sweep::{Budget, sweep},
};
use store::webhooks::DeliveryKey;
use tracing::error;

/// Gives what orders are due, as long as there is time. One that fails does not keep the others from being given.
///
/// # Errors
/// [`StageError::Passing`] if they cannot be listed.
pub async fn handle(app: Arc<App>) -> Result<(), StageError> {
    let (app, budget, now) = (&*app, Budget::of(&app), app.now());
    let table = app.table()?;
    let look = |key: DeliveryKey| async move {
        if let Err(problem) = order(app, &key).await {
            error!(event_id = %key.event, %problem, "could not be ordered");
        }
    };
    sweep("delivery", budget, |from| table.due_deliveries(now, from), look).await?;
    app.metrics().add(Metric::Sweeps.of("webhooks"), 1);
    Ok(())
}

async fn order(app: &App, key: &DeliveryKey) -> Result<(), StageError> {
    // The index lags behind: only the delivery itself tells whether it is still due.
    let (table, now) = (app.table()?, app.now());
    let due = table.delivery(key, now).await?.filter(|one| one.state == State::Pending && one.due_at <= now);
    let Some(delivery) = due else { return Ok(()) };
    // First the mark, then the order: a crash between the two costs a while, the other way round a second request.
    if table.order_again(&delivery, now).await? {
        app.enqueue(Var::WebhooksQueueUrl, key).await?;
    }
    Ok(())
}
