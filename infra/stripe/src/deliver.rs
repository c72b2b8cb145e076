//! Events on their way to the shop: signed, posted, and posted again until they are taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server::Server;
use crate::{Network, Webhook};

/// How many are under way at once.
const AT_ONCE: usize = 8;
/// How long the shop may take.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Between the first two tries; it doubles.
const RETRY_MS: i64 = 250;
const RETRY_MS_MAX: i64 = 15_000;
/// From when on nobody tries again.
const GIVE_UP_MS: i64 = 3 * 24 * 3600 * 1000;
/// How long events gather before they are sent in another order.
const GATHER_MS: i64 = 300;
/// A look at what is due, if nobody wakes us.
const LOOK: Duration = Duration::from_millis(100);

/// How far an event's way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Carried {
    Pending,
    Delivered,
    Dropped,
}

/// An event's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) event: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) state: Carried,
    pub(crate) attempts: u32,
    /// What the shop answered last.
    pub(crate) status: Option<u16>,
    /// When it was first seen here, and when it is sent next, in real milliseconds; 0 is not yet.
    #[serde(default)]
    seen_ms: i64,
    #[serde(default)]
    due_ms: i64,
}

impl Delivery {
    pub(crate) fn new(event: String, kind: &str) -> Self {
        let kind = kind.to_owned();
        Self { event, kind, state: Carried::Pending, attempts: 0, status: None, seen_ms: 0, due_ms: 0 }
    }

    /// After a try.
    fn tried(mut self, status: Option<u16>, now_ms: i64) -> Self {
        self.attempts += 1;
        self.status = status;
        if status.is_some_and(|status| (200..300).contains(&status)) {
            self.state = Carried::Delivered;
        } else if now_ms - self.seen_ms > GIVE_UP_MS {
            self.state = Carried::Dropped;
        } else {
            let doublings = (self.attempts - 1).min(16);
            self.due_ms = now_ms + (RETRY_MS << doublings).min(RETRY_MS_MAX);
        }
        self
    }
}

/// The value of `Stripe-Signature` for a body sent at this second.
pub(crate) fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        // HMAC takes keys of any length.
        Err(_) => return String::new(),
    };
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={hex}")
}

/// Sends what is due, for ever.
pub(crate) async fn run(server: Arc<Server>) {
    let mut under_way = JoinSet::new();
    let mut busy = std::collections::BTreeSet::new();
    loop {
        while let Some(done) = under_way.try_join_next() {
            if let Ok(seq) = done {
                busy.remove(&seq);
            }
        }
        // An order is one only if each waits for the one before.
        let at_once = if server.look(|state| state.settings.network.reorder) { 1 } else { AT_ONCE };
        for seq in due(&server) {
            if busy.len() < at_once && busy.insert(seq) {
                let server = Arc::clone(&server);
                under_way.spawn(async move {
                    carry(&server, seq).await;
                    seq
                });
            }
        }
        tokio::select! {
            () = server.wake.notified() => {}
            Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                if let Ok(seq) = done {
                    busy.remove(&seq);
                }
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// The numbers of the events that are to be sent now, in the order in which the network carries them.
fn due(server: &Server) -> Vec<u64> {
    let now_ms = crate::server::real_ms();
    server.change(|state| {
        let mut change = crate::state::Change::default();
        let mut due = Vec::new();
        if state.settings.webhook.is_none() {
            return (due, change);
        }
        let network = &state.settings.network;
        for (seq, delivery) in state.pending.iter().filter_map(|seq| state.deliveries.get_key_value(seq)) {
            if delivery.seen_ms == 0 {
                // Seen for the first time: what the network does to it is decided once.
                let mut delivery = delivery.clone();
                let meant = network.means(&delivery.kind);
                delivery.seen_ms = now_ms;
                let gather = if network.reorder { GATHER_MS } else { 0 };
                delivery.due_ms = if meant { now_ms + network.delay_ms.max(gather) } else { now_ms };
                if meant && network.drop {
                    delivery.state = Carried::Dropped;
                }
                let at_once = delivery.state == Carried::Pending && delivery.due_ms <= now_ms;
                if at_once && !(meant && network.hold) {
                    due.push(*seq);
                }
                change.deliveries.insert(*seq, delivery);
            } else if delivery.due_ms <= now_ms && !(network.hold && network.means(&delivery.kind)) {
                due.push(*seq);
            }
        }
        if network.reorder {
            due.reverse();
        }
        (due, change)
    })
}

/// Sends one event as often as the network does, and notes what came of it.
async fn carry(server: &Server, seq: u64) {
    let Some((event, webhook, times)) = server.look(|state| {
        let delivery = state.deliveries.get(&seq)?;
        let network: &Network = &state.settings.network;
        let times = if network.means(&delivery.kind) { network.duplicate.saturating_add(1) } else { 1 };
        let event = state.get(&delivery.event)?.object.clone();
        Some((event, state.settings.webhook.clone()?, times))
    }) else {
        return;
    };
    let mut status = None;
    for _ in 0..times {
        status = post(&webhook, &event).await;
    }
    server.change(|state| {
        let mut change = crate::state::Change::default();
        if let Some(delivery) = state.deliveries.get(&seq) {
            let tried = delivery.clone().tried(status, crate::server::real_ms());
            if tried.state == Carried::Delivered
                && let Some(record) = state.get(&tried.event)
            {
                let mut record = record.clone();
                record.object["pending_webhooks"] = 0.into();
                change.put.insert(tried.event.clone(), record);
            }
            change.deliveries.insert(seq, tried);
        }
        ((), change)
    });
}

/// Posts an event once. The status, if there was an answer.
pub(crate) async fn post(webhook: &Webhook, event: &Value) -> Option<u16> {
    let body = serde_json::to_vec_pretty(event).ok()?;
    let signature = signature(&webhook.secret, crate::server::real_ms() / 1000, &body);
    match timeout(ANSWER_WAIT, send(&webhook.url, signature, body)).await {
        Ok(Ok(status)) => Some(status),
        Ok(Err(error)) => {
            tracing::debug!("the event was not taken: {error:#}");
            None
        }
        Err(_) => None,
    }
}

async fn send(url: &str, signature: String, body: Vec<u8>) -> anyhow::Result<u16> {
    let uri: hyper::Uri = url.parse()?;
    let host = uri.host().unwrap_or_default();
    let stream = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post(uri.path_and_query().map_or("/", |target| target.as_str()))
        .header("Host", uri.authority().map_or(host, |authority| authority.as_str()))
        .header("Content-Type", "application/json; charset=utf-8")
        .header("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("Stripe-Signature", signature)
        .header("Connection", "close")
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await;
    connection.abort();
    Ok(answer?.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_openssl_makes() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
        assert_eq!(
            signature("whsec_test", 1_700_000_000, br#"{"a":1}"#),
            "t=1700000000,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789"
        );
    }

    #[test]
    fn tries_come_ever_later_and_end() {
        let mut delivery = Delivery { seen_ms: 1000, ..Delivery::new("evt_1".to_owned(), "x") };
        let mut waits = Vec::new();
        for _ in 0..9 {
            delivery = delivery.tried(Some(500), 1000);
            waits.push(delivery.due_ms - 1000);
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
        assert_eq!(delivery.clone().tried(None, 1001 + GIVE_UP_MS).state, Carried::Dropped);
        assert_eq!(delivery.clone().tried(Some(302), 1000).state, Carried::Pending);
        assert_eq!(delivery.tried(Some(204), 1000).state, Carried::Delivered);
    }
}
