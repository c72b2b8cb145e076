//! What falls due as time passes, really or by the clock that is moved.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::objects::{checkout, invoice, subscription};
use crate::server::Server;
use crate::state::Record;
use crate::tx::Tx;

/// Between looks at the real clock.
const LOOK: Duration = Duration::from_secs(1);
/// The clock moves no further at once: ten years.
pub(crate) const ADVANCE_MAX: i64 = 10 * 366 * 24 * 3600;

/// What is to be done, and with which object.
#[derive(Clone, Copy)]
enum Due {
    Expire,
    Renew,
    Collect,
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
    while let Some((at, due, object)) = next(tx, until) {
        tx.now = tx.now.max(at);
        match due {
            Due::Expire => {
                checkout::expire(tx, object);
            }
            Due::Renew => subscription::renew(tx, object),
            Due::Collect => invoice::collect(tx, object["id"].as_str().unwrap_or_default()),
        }
    }
    tx.now = until;
}

/// What is due first, if it is by then.
fn next(tx: &Tx<'_>, until: i64) -> Option<(i64, Due, Value)> {
    let open = |status: &'static str| move |record: &&Record| record.object["status"] == status;
    let at = |record: &Record, name: &str| record.object[name].as_i64().unwrap_or(i64::MAX);
    let sessions = tx.all("checkout.session").into_iter().filter(open("open"));
    let sessions = sessions.map(|record| (at(record, "expires_at"), Due::Expire, record));
    let invoices = tx.all("invoice").into_iter().filter(open("open"));
    let invoices = invoices.map(|record| (at(record, "next_payment_attempt"), Due::Collect, record));
    let subscriptions =
        tx.all("subscription").into_iter().filter(|record| record.object["status"] != "canceled");
    let subscriptions = subscriptions.map(|record| (subscription::ends(&record.object), Due::Renew, record));
    let first = sessions.chain(invoices).chain(subscriptions).min_by_key(|(at, _, record)| (*at, record.seq));
    first.filter(|(at, ..)| *at <= until).map(|(at, due, record)| (at, due, record.object.clone()))
}
