//! No money is lost or made.

use domain::ledger::EntryKind;
use domain::money::Amount;
use serde_json::json;

use crate::stack::cloud;
use crate::stack::cloud::http;
use crate::stack::source::{served, usual};

/// 32 clients spend an account's last 80 cents at once: 8 clips at 10 cents are accepted, the rest is told so.
#[tokio::test(flavor = "multi_thread")]
async fn many_clients_spend_the_last_dollars() {
    let account = cloud().account(Amount::cents(85)).await;
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 1.5, "format": "mp3" });
    let clients = (0..32).map(|_| {
        let (account, ask) = (account.clone(), ask.clone());
        tokio::spawn(async move { account.post("/v1/clip", &ask).await })
    });
    let mut accepted = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        let (status, answer) = client.await.unwrap();
        match status {
            200 => accepted.push(domain::ids::JobId::parse(answer["job_id"].as_str().unwrap()).unwrap()),
            402 => {}
            _ => panic!("{status}: {answer}"),
        }
    }
    assert_eq!(accepted.len(), 8);
    for job in &accepted {
        assert_eq!(account.finish(job).await["status"], "complete");
        assert_eq!(account.movements(job).await, [EntryKind::Reservation, EntryKind::Charge]);
    }
    assert_eq!(account.audit().await, (Amount::cents(5), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_settle_and_a_late_release_change_nothing() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let job = account.ask(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    let before = account.finish(&job).await;
    let movements = account.movements(&job).await;
    let input = json!({ "job_id": job, "error": { "Error": "States.Timeout", "Cause": "late" } });
    let aborted = json!({ "Records": [{ "messageId": "m", "body":
        json!({ "detail": { "name": job, "status": "ABORTED" } }).to_string() }] });
    for _ in 0..2 {
        cloud().invoke("SettleFunction", &input).await;
        cloud().invoke("ReleaseFunction", &input).await;
        let answer = cloud().invoke("ReleaseAbortedFunction", &aborted).await;
        assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");
    }
    assert_eq!(account.movements(&job).await, movements);
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));
    let (_, after) = account.get(&format!("/v1/clip/{job}")).await;
    assert_eq!((&after["status"], &after["cost"]), (&before["status"], &before["cost"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_job_cannot_be_settled() {
    let account = cloud().account(Amount::cents(100)).await;
    let folder = tempfile::tempdir().unwrap();
    // Gone between the look and the transfer.
    let path = folder.path().join("gone.mp4");
    std::fs::copy(usual(), &path).unwrap();
    let server = served(&path).await;
    let job = crate::stack::queue::accept(&account, server.url(), 5).await;
    drop(server);
    let error = json!({ "Error": "JobFailure", "Cause": "{}" });
    cloud().invoke("ReleaseFunction", &json!({ "job_id": job.id, "error": error })).await;
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    let url = format!(
        "{}/2015-03-31/functions/{}/invocations",
        cloud().info.ministack_url,
        cloud().info.functions["SettleFunction"]
    );
    let late = http().post(url).json(&json!({ "job_id": job.id })).send().await.unwrap();
    assert!(late.headers().contains_key("x-amz-function-error"), "a failed job was settled");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    assert_eq!(account.movements(&job.id).await, [EntryKind::Reservation, EntryKind::Refund]);
}
