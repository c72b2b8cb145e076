//! Sweep: once a minute, look after payments whose outcome should be known by now: those whose request died or had no answer,
//! and those whose event never came.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use domain::payment::{Purpose, State};
use runtime::{
    App, Metric, StageError,
    sweep::{Budget, sweep},
};
use store::{StoreError, payments::PaymentKey};
use tracing::error;

use crate::{secret::keys_if_on, till::Till};

/// Looks after what is due, as long as there is time. One that fails does not keep the others from being looked after.
///
/// # Errors
/// [`StageError::Passing`] if they cannot be listed.
pub async fn handle(app: Arc<App>) -> Result<(), StageError> {
    let (app, budget, now) = (&*app, Budget::of(&app), app.now());
    if let Some(keys) = keys_if_on(app).await? {
        let table = app.table()?;
        let till = Till { app, table, stripe: &keys.stripe };
        let oldest_ms = &AtomicI64::new(0);
        let look = |key: PaymentKey| async move {
            match look(till, &key).await {
                Ok(age_ms) => drop(oldest_ms.fetch_max(age_ms, Ordering::Relaxed)),
                Err(problem) => error!(payment = %key.payment, %problem, "could not be looked after"),
            }
        };
        sweep("payment", budget, |from| table.due_payments(now, from), look).await?;
        app.metrics().add_ms(Metric::PaymentAge, oldest_ms.load(Ordering::Relaxed));
    }
    app.metrics().add(Metric::Sweeps.of("billing"), 1);
    Ok(())
}

/// Looks after one payment; answers how long it has waited, in milliseconds, if it still waits.
async fn look(till: Till<'_>, key: &PaymentKey) -> Result<i64, StoreError> {
    // The index lags behind: only the payment itself tells whether it still waits.
    let Some(payment) = till.table.payment(key).await?.filter(|one| one.state == State::Pending) else {
        return Ok(0);
    };
    let payment = till.follow(payment).await?;
    if payment.state != State::Pending {
        return Ok(0);
    }
    let now = till.app.now();
    till.table.postpone_payment(&payment, now).await?;
    let since = match payment.purpose {
        Purpose::Reload => payment.created_at,
        Purpose::Deposit => payment.checkout_ends(),
    };
    Ok((now.0 - since.0).max(0))
}
