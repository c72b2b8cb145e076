//! `/v1/webhooks`: made, read, changed, deleted, by its owner alone.

use domain::account::Scope;
use domain::money::Amount;
use serde_json::json;

use super::{act, delete, hook, patch};
use crate::stack::cloud;

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_read_changed_and_deleted() {
    let account = cloud().account(Amount::ZERO).await;
    assert_eq!(account.get("/v1/webhooks").await, (200, json!({ "webhooks": [] })));
    let made =
        hook(&account, "https://127.0.0.1:9/a?b#c", &["job.failed", "job.completed", "job.failed"]).await;
    let path = format!("/v1/webhooks/{}", made.id);
    let (status, view) = account.get(&path).await;
    assert_eq!(status, 200);
    assert_eq!(view["url"], "https://127.0.0.1:9/a?b");
    assert_eq!(view["events"], json!(["job.completed", "job.failed"]));
    assert_eq!((&view["enabled"], &view["disabled_reason"]), (&json!(true), &json!(null)));
    assert!(view["secret"].is_null(), "shown once");
    assert_eq!(account.get("/v1/webhooks").await.1["webhooks"], json!([view]));

    let (status, changed) = patch(&account, &made.id, &json!({ "events": [], "enabled": false })).await;
    assert_eq!((status, &changed["events"], &changed["url"]), (200, &json!([]), &view["url"]));
    assert_eq!((&changed["enabled"], &changed["disabled_reason"]), (&json!(false), &json!("owner")));
    assert_eq!(act(&account, &made.id, "test").await.0, 409, "it is off");
    let (_, changed) =
        patch(&account, &made.id, &json!({ "url": "https://localhost/", "enabled": true })).await;
    assert_eq!((&changed["url"], &changed["enabled"]), (&json!("https://localhost/"), &json!(true)));
    assert_eq!(patch(&account, &made.id, &json!({})).await, (200, changed.clone()), "nothing changed");

    assert_eq!(delete(&account, &made.id).await, (200, json!({ "id": made.id, "deleted": true })));
    assert_eq!(delete(&account, &made.id).await.0, 404);
    assert_eq!(account.get(&path).await.0, 404);
    assert_eq!(account.get(&format!("{path}/deliveries")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_five_at_most_whatever_the_race() {
    let account = cloud().account(Amount::ZERO).await;
    let asked =
        (0..8).map(|_| async { account.post("/v1/webhooks", &json!({ "url": "https://localhost/" })).await });
    let answers = futures_util::future::join_all(asked).await;
    let made: Vec<_> = answers.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(made.len(), 5, "{answers:#?}");
    for (status, answer) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!((*status, &answer["code"]), (409, &json!("too_many_webhooks")));
    }
    assert_eq!(account.get("/v1/webhooks").await.1["webhooks"].as_array().unwrap().len(), 5);
    assert_eq!(delete(&account, made[2].1["id"].as_str().unwrap()).await.0, 200);
    hook(&account, "https://localhost/", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_is_not_found() {
    let (owner, other) = (cloud().account(Amount::ZERO).await, cloud().account(Amount::ZERO).await);
    let theirs = hook(&owner, "https://127.0.0.1:9/", &[]).await.id;
    let (_, sent) = act(&owner, &theirs, "test").await;
    let replay = format!("deliveries/{}/replay", sent["id"].as_str().unwrap());
    for id in [theirs.as_str(), "aaaaaaaaaaaaaaaa", "short", "jobs"] {
        let path = format!("/v1/webhooks/{id}");
        assert_eq!(other.get(&path).await.0, 404, "{id}");
        assert_eq!(patch(&other, id, &json!({ "enabled": false })).await.0, 404, "{id}");
        assert_eq!(delete(&other, id).await.0, 404, "{id}");
        assert_eq!(act(&other, id, "test").await.0, 404, "{id}");
        assert_eq!(act(&other, id, &replay).await.0, 404, "{id}");
        if id != "jobs" {
            assert_eq!(act(&other, id, "rotate").await.0, 404, "{id}");
            assert_eq!(other.get(&format!("{path}/deliveries")).await.0, 404, "{id}");
        }
    }
    // One's own webhook does not open somebody else's log.
    let own = hook(&other, "https://127.0.0.1:9/", &[]).await.id;
    assert_eq!(act(&other, &own, &replay).await.0, 404);
    assert_eq!(act(&owner, &theirs, "deliveries/evt_0/replay").await.0, 404);
    assert_eq!(owner.get(&format!("/v1/webhooks/{theirs}")).await.1["enabled"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_needs_the_scope() {
    let owner = cloud().account(Amount::ZERO).await;
    let clips = owner.with_key(&[Scope::ClipsRead, Scope::ClipsWrite, Scope::Billing], None).await;
    let (status, answer) = clips.get("/v1/webhooks").await;
    assert_eq!((status, &answer["code"]), (403, &json!("missing_scope")));
    assert_eq!(act(&clips, "jobs", "rotate").await.0, 403);
    let webhooks = owner.with_key(&[Scope::Webhooks], None).await;
    assert_eq!(webhooks.get("/v1/webhooks").await.0, 200);
    assert_eq!(webhooks.get("/v1/balance").await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_a_400() {
    let account = cloud().account(Amount::cents(100)).await;
    let id = hook(&account, "https://localhost/", &[]).await.id;
    let long = format!("https://localhost/{}", "a".repeat(2048));
    for url in [
        "http://localhost/",
        "localhost",
        "",
        "ftp://localhost/",
        "https://",
        "https://me:secret@localhost/",
        &long,
    ] {
        for (path, body) in [
            ("/v1/webhooks", json!({ "url": url })),
            ("/v1/clip", json!({ "url": "https://localhost/a.mp4", "start": 1, "end": 2, "webhook": url })),
            ("/v1/download", json!({ "url": "https://localhost/a.mp4", "webhook": url })),
        ] {
            let (status, answer) = account.post(path, &body).await;
            assert_eq!((status, &answer["code"]), (400, &json!("bad_request")), "{path} {url}: {answer}");
        }
        assert_eq!(patch(&account, &id, &json!({ "url": url })).await.0, 400, "{url}");
    }
    for body in [
        json!({}),
        json!({ "url": 5 }),
        json!({ "url": "https://localhost/", "events": ["job.started"] }),
        json!({ "url": "https://localhost/", "events": ["webhook.test"] }),
        json!({ "url": "https://localhost/", "events": "job.failed" }),
    ] {
        assert_eq!(account.post("/v1/webhooks", &body).await.0, 400, "{body}");
    }
    for query in ["cursor=x", "limit=0", "limit=101"] {
        assert_eq!(account.get(&format!("/v1/webhooks/{id}/deliveries?{query}")).await.0, 400, "{query}");
    }
    assert_eq!(account.get("/v1/webhooks").await.1["webhooks"].as_array().unwrap().len(), 1);
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO), "nothing was spent");
}
