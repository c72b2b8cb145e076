//! Webhooks: what is told, to whom, and how it is signed; what happens when nobody listens.

mod crash;
mod events;
mod manage;
pub(crate) mod receiver;
mod refuse;
mod retry;
pub(crate) mod secrets;
mod sign;
pub(crate) mod tls;
mod verify;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stack::Account;
use crate::stack::cloud::{Answer, answer};

/// A webhook as its owner has it.
pub(crate) struct Hook {
    pub(crate) id: String,
    secret: String,
}

/// Makes a webhook for `events`, all if there are none.
pub(crate) async fn hook(account: &Account, url: &str, events: &[&str]) -> Hook {
    let (status, made) = account.post("/v1/webhooks", &json!({ "url": url, "events": events })).await;
    assert_eq!(status, 200, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    assert!(text("secret").starts_with("whsec_"));
    Hook { id: text("id"), secret: text("secret") }
}

async fn patch(account: &Account, id: &str, change: &Value) -> Answer {
    answer(account.request(reqwest::Method::PATCH, &format!("/v1/webhooks/{id}")).json(change)).await
}

async fn delete(account: &Account, id: &str) -> Answer {
    answer(account.request(reqwest::Method::DELETE, &format!("/v1/webhooks/{id}"))).await
}

async fn act(account: &Account, id: &str, what: &str) -> Answer {
    account.post(&format!("/v1/webhooks/{id}/{what}"), &json!({})).await
}

/// The deliveries to a receiver, the latest first.
pub(crate) async fn log(account: &Account, id: &str) -> Vec<Value> {
    let (status, page) = account.get(&format!("/v1/webhooks/{id}/deliveries")).await;
    assert_eq!(status, 200, "{page}");
    page["deliveries"].as_array().unwrap().clone()
}

/// The latest delivery to a receiver, once `is_it` says so.
async fn latest(account: &Account, id: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let log = log(account, id).await;
        if let Some(found) = log.first().filter(|delivery| is_it(delivery)) {
            return found.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{log:#?}");
        // A key's requests are limited: not every moment.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

fn is(status: &str) -> impl Fn(&Value) -> bool {
    move |delivery| delivery["status"] == status
}
