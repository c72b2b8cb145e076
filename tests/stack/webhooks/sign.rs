//! What is told is signed, and the libraries that receivers use accept it.

use std::collections::BTreeSet;

use domain::money::Amount;
use serde_json::json;

use super::receiver::Receiver;
use super::verify::accepts;
use super::{act, hook, is, latest};
use crate::stack::cloud;
use crate::stack::source::{served, usual};

#[tokio::test(flavor = "multi_thread")]
async fn the_libraries_accept_what_is_told_of_a_clip() {
    let (account, receiver) = (cloud().account(Amount::cents(500)).await, Receiver::willing().await);
    let all = hook(&account, &receiver.url("/all"), &[]).await;
    let failures = hook(&account, &receiver.url("/failures"), &["job.failed"]).await;
    let (status, jobs) = act(&account, "jobs", "rotate").await;
    assert_eq!(status, 200);
    let source = served(&usual()).await;
    let ask = json!({ "url": source.url(), "start": 1, "end": 2, "webhook": receiver.url("/job?key=x") });
    let (clip, _) = account.clip(&ask).await;

    let mut hits = receiver.heard(2).await;
    hits.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(hits.iter().map(|hit| hit.path.as_str()).collect::<Vec<_>>(), ["/all", "/job"]);
    assert_eq!((hits[0].id(), &hits[0].body), (hits[1].id(), &hits[1].body), "one event, two receivers");
    for hit in &hits {
        assert_eq!(hit.header("content-type"), "application/json");
        let event = hit.json();
        assert_eq!(event["type"], "job.completed");
        for field in [
            "job_id",
            "status",
            "format",
            "quality",
            "cost",
            "file_name",
            "file_size",
            "duration",
            "clip_id",
            "share_url",
            "expires_at",
            "saved_to_library",
        ] {
            assert_eq!(event["data"][field], clip[field], "{field}");
        }
        let secrets = [all.secret.as_str(), &failures.secret, jobs["secret"].as_str().unwrap()];
        let right = if hit.path == "/all" { 0 } else { 2 };
        for (n, secret) in secrets.into_iter().enumerate() {
            assert_eq!(accepts(secret, hit).await, n == right, "{} {n}", hit.path);
        }
    }
    let mut tampered = hits[0].clone();
    tampered.body = tampered.body.replace("complete", "failed  ");
    assert!(!accepts(&all.secret, &tampered).await);
    let mut other = hits[0].clone();
    other.headers.insert("webhook-id", "evt_0".parse().unwrap());
    assert!(!accepts(&all.secret, &other).await);

    // The log says so, to each receiver.
    for id in [&all.id, "jobs"] {
        let delivery = latest(&account, id, is("delivered")).await;
        assert_eq!((&delivery["id"], &delivery["event"]), (&json!(hits[0].id()), &json!("job.completed")));
        assert_eq!(delivery["payload"], hits[0].body);
        let attempts = delivery["attempts"].as_array().unwrap();
        assert_eq!((attempts.len(), &attempts[0]["status"]), (1, &json!(200)));
        assert!(attempts[0]["duration_ms"].is_u64() && attempts[0]["error"].is_null());
    }
    assert_eq!(
        account.get(&format!("/v1/webhooks/{}/deliveries", failures.id)).await.1["deliveries"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_sign_after_a_rotation() {
    let (account, receiver) = (cloud().account(Amount::ZERO).await, Receiver::willing().await);
    let made = hook(&account, &receiver.url("/"), &["balance.low"]).await;
    let (status, rotated) = act(&account, &made.id, "rotate").await;
    assert_eq!(status, 200);
    let second = rotated["secret"].as_str().unwrap();
    assert_ne!(second, made.secret);
    let (_, view) = account.get(&format!("/v1/webhooks/{}", made.id)).await;
    assert_eq!(view["former_secret_until"], rotated["former_secret_until"]);
    // A test passes every filter.
    let (status, sent) = act(&account, &made.id, "test").await;
    assert_eq!((status, &sent["event"]), (200, &json!("webhook.test")), "{sent}");
    let hit = receiver.heard(1).await.remove(0);
    assert_eq!(hit.id(), sent["id"].as_str().unwrap());
    assert_eq!(hit.header("webhook-signature").split(' ').count(), 2);
    assert!(accepts(&made.secret, &hit).await);
    assert!(accepts(second, &hit).await);
    let (_, jobs) = act(&account, "jobs", "rotate").await;
    assert!(!accepts(jobs["secret"].as_str().unwrap(), &hit).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_has_the_same_id_and_the_log_has_pages() {
    let (account, receiver) = (cloud().account(Amount::ZERO).await, Receiver::willing().await);
    let made = hook(&account, &receiver.url("/"), &[]).await;
    let mut sent = Vec::new();
    for n in 1..=3 {
        sent.push(act(&account, &made.id, "test").await.1["id"].as_str().unwrap().to_owned());
        receiver.heard(n).await;
    }
    latest(&account, &made.id, is("delivered")).await;
    let path = format!("/v1/webhooks/{}/deliveries", made.id);
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = account.get(&format!("{path}?limit=2{cursor}")).await;
        assert_eq!(status, 200);
        let ids = page["deliveries"].as_array().unwrap().iter();
        listed.extend(ids.map(|delivery| delivery["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    sent.reverse();
    assert_eq!(listed, sent, "newest first, each once");

    let (status, replayed) = account.post(&format!("{path}/{}/replay", sent[2]), &json!({})).await;
    assert_eq!((status, &replayed["status"]), (200, &json!("pending")), "{replayed}");
    let hits = receiver.heard(4).await;
    assert_eq!((hits[3].id(), &hits[3].body), (hits[0].id(), &hits[0].body));
    assert!(accepts(&made.secret, &hits[3]).await);
    let ids: BTreeSet<&str> = hits.iter().map(|hit| hit.id()).collect();
    assert_eq!(ids.len(), 3);
}
