//! What falls due as time passes, really or by the clock that is moved.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::objects::{checkout, invoice, subscription};
use crate::server::Server;
use crate::tx::Tx;

/// Between looks at the real clock.
const LOOK: Duration = Duration::from_secs(1);
/// The clock moves no further at once: ten years.
pub(crate) const ADVANCE_MAX: i64 = 10 * 366 * 24 * 3600;

/// What is to be done.
enum Due {
    Expire(Value),
    Renew(Value),
    Collect(String),
}

/// Does what falls due, for ever.
pub(crate) async fn run(server: Arc<Server>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let done = server.act(|tx| {
            let now = tx.now;
            catch_up(tx, now);
            Ok(())
        });
        if let Err(error) = done {
            tracing::error!("what is due was not done: {:?}", error.error);
        }
    }
}

/// Does everything that is due until then, in order, each at its time.
pub(crate) fn catch_up(tx: &mut Tx<'_>, until: i64) {
    while let Some((at, due)) = next(tx).filter(|(at, _)| *at <= until) {
        tx.now = tx.now.max(at);
        match due {
            Due::Expire(session) => {
                checkout::expire(tx, session);
            }
            Due::Renew(subscription) => subscription::renew(tx, subscription),
            Due::Collect(invoice) => invoice::collect(tx, &invoice),
        }
    }
    tx.now = until;
}

/// What is due first.
fn next(tx: &Tx<'_>) -> Option<(i64, Due)> {
    let mut first: Option<(i64, Due)> = None;
    let mut offer = |at: i64, due: Due| {
        if first.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
            first = Some((at, due));
        }
    };
    for record in tx.all("checkout.session") {
        if record.object["status"] == "open"
            && let Some(at) = record.object["expires_at"].as_i64()
        {
            offer(at, Due::Expire(record.object.clone()));
        }
    }
    for record in tx.all("invoice") {
        if record.object["status"] == "open"
            && let Some(at) = record.object["next_payment_attempt"].as_i64()
        {
            offer(at, Due::Collect(record.id().to_owned()));
        }
    }
    for record in tx.all("subscription") {
        if record.object["status"] != "canceled" {
            offer(subscription::ends(&record.object), Due::Renew(record.object.clone()));
        }
    }
    first
}
