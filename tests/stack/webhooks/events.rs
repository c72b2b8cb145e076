//! What is told of: jobs that fail, clips that expire, money that runs out.

use devstack::fileserver::{Behaviour, FileServer};
use domain::ids::JobId;
use domain::money::Amount;
use serde_json::json;

use super::hook;
use super::receiver::Receiver;
use crate::stack::cloud;
use crate::stack::cloud::now;
use crate::stack::library::{kept, pin, unpin};
use crate::stack::queue::{accept_job, accepted};
use crate::stack::source::{lavfi, made, served, usual};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_is_told_with_its_reason() {
    let (account, receiver) = (cloud().account(Amount::cents(500)).await, Receiver::willing().await);
    hook(&account, &receiver.url("/failed"), &["job.failed"]).await;
    hook(&account, &receiver.url("/completed"), &["job.completed", "job.cancelled"]).await;
    let input = lavfi("640x360", "30", 20);
    let big = made(
        "big.mp4",
        &format!("{input} -c:v libx264 -preset ultrafast -b:v 4M -g 30 -movflags +faststart"),
    );
    let server = FileServer::start(&big, Behaviour::Truncated(120_000)).await.unwrap();
    let job = account.ask(&json!({ "url": server.url(), "start": 1, "end": 4 })).await;
    let answer = account.finish(&job).await;
    let hits = receiver.heard(1).await;
    assert_eq!(hits[0].path, "/failed");
    let event = hits[0].json();
    assert_eq!(event["type"], "job.failed");
    assert_eq!(event["data"]["job_id"], job.as_str());
    for field in ["status", "error", "error_code", "format"] {
        assert_eq!(event["data"][field], answer[field], "{field}");
    }
    assert_eq!(receiver.so_far().len(), 1, "the other one did not ask for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_is_told_as_such() {
    let (account, receiver) = (cloud().account(Amount::cents(500)).await, Receiver::willing().await);
    hook(&account, &receiver.url("/cancelled"), &["job.cancelled"]).await;
    let mut job = accepted(&account, "https://example.com/a.mp4");
    job.webhook = Some(receiver.url("/job"));
    let job = accept_job(&account, job, 5).await;
    for _ in 0..2 {
        assert_eq!(account.post(&format!("/v1/clip/{}/cancel", job.id), &json!({})).await.0, 200);
    }
    let mut hits = receiver.heard(2).await;
    hits.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(hits.iter().map(|hit| hit.path.as_str()).collect::<Vec<_>>(), ["/cancelled", "/job"]);
    for hit in &hits {
        assert_eq!(hit.json()["type"], "job.cancelled");
        assert_eq!(hit.json()["data"], json!({ "job_id": job.id, "status": "cancelled", "format": "mp4" }));
    }
    assert_eq!(receiver.so_far().len(), 2, "one end, one event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_falls_below_a_dollar_is_told_once() {
    let (account, receiver) = (cloud().account(Amount::cents(115)).await, Receiver::willing().await);
    hook(&account, &receiver.url("/"), &["balance.low"]).await;
    let source = served(&usual()).await;
    for start in 1..=4 {
        account.clip(&json!({ "url": source.url(), "start": start, "end": start + 1 })).await;
    }
    assert_eq!(account.balance().await, 0.75);
    // The sweep gives the order.
    let hits = receiver.heard(1).await;
    let event = hits[0].json();
    assert_eq!(event["type"], "balance.low");
    assert_eq!(event["data"], json!({ "balance": 0.95, "threshold": 1.0, "currency": "usd" }));
    cloud().invoke("WebhooksSweepFunction", &json!({})).await;
    assert_eq!(receiver.so_far().len(), 1, "one crossing, one event");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_that_expires_within_the_hour_is_told_once_and_a_pinned_one_is_not() {
    const MINUTE_MS: i64 = 60_000;
    let (account, receiver) = (cloud().account(Amount::cents(500)).await, Receiver::willing().await);
    hook(&account, &receiver.url("/"), &["clip.expiring"]).await;
    let made_ago = |minutes: i64| now().plus_ms(-minutes * MINUTE_MS);
    let fresh = kept(cloud(), &account, 1, made_ago(22 * 60 + 59)).await;
    let pinned = kept(cloud(), &account, 1, made_ago(23 * 60 + 30)).await;
    assert_eq!(pin(&account, &pinned.id).await.0, 200);
    let soon = kept(cloud(), &account, 1, made_ago(23 * 60 + 1)).await;
    cloud().invoke("SweepFunction", &json!({})).await;
    let told =
        |hit: &super::receiver::Hit| JobId::parse(hit.json()["data"]["clip_id"].as_str().unwrap()).unwrap();
    let hits = receiver.heard(1).await;
    let event = hits[0].json();
    assert_eq!((event["type"].as_str().unwrap(), told(&hits[0])), ("clip.expiring", soon.id.clone()));
    assert_eq!(event["data"]["expires_at"], soon.expires_at.unwrap().rfc3339());
    assert_eq!(event["data"]["name"], soon.name);
    assert_eq!(event["data"]["share_url"], format!("/c/{}", soon.id));
    // The minute of `fresh` may have come meanwhile; `soon` and `pinned` stay as they are, however often it is swept.
    cloud().invoke("SweepFunction", &json!({})).await;
    cloud().invoke("WebhooksSweepFunction", &json!({})).await;
    let others: Vec<JobId> = receiver.so_far()[1..].iter().map(told).collect();
    assert!(others.iter().all(|id| *id == fresh.id), "{others:?}");
    // Unpinned, it has a day of its own, at whose end it is told.
    assert_eq!(unpin(&account, &pinned.id).await.0, 200);
    cloud().invoke("SweepFunction", &json!({})).await;
    let (_, list) = account.get("/v1/clips").await;
    assert_eq!(list["clips"].as_array().unwrap().len(), 3, "an early look clears nothing away");
}
