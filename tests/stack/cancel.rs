//! A job that its owner cancels ends, whatever it is doing, and costs nothing; of a cancellation and the job's own end one
//! wins.

use aws_sdk_dynamodb::types::AttributeValue;
use devstack::fileserver::{Behaviour, FileServer};
use domain::ids::JobId;
use domain::ledger::EntryKind;
use domain::money::Amount;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::stack::cloud::{Answer, until};
use crate::stack::door::secrets;
use crate::stack::queue::{accept, states};
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::upload::s3;
use crate::stack::{Account, Cloud, cloud, download};

const REFUNDED: [EntryKind; 2] = [EntryKind::Reservation, EntryKind::Refund];

async fn cancel(account: &Account, job: &JobId) -> Answer {
    account.post(&format!("/v1/clip/{job}/cancel"), &json!({})).await
}

/// Cancels it and reads it again: it is over, and cost nothing.
async fn is_cancelled(account: &Account, job: &JobId) {
    let (status, answer) = cancel(account, job).await;
    assert_eq!(status, 200, "{answer}");
    for (field, value) in
        [("status", json!("cancelled")), ("status_message", json!("Cancelled")), ("cost", json!(0.0))]
    {
        assert_eq!(answer[field], value, "{answer}");
    }
    for field in ["reserved", "download_url", "error"] {
        assert_eq!(answer[field], Value::Null, "{answer}");
    }
    let read = account.get(&format!("/v1/clip/{job}?wait=20")).await;
    assert_eq!(read, (200, answer));
    assert_eq!(account.movements(job).await, REFUNDED);
}

async fn is_under_way(account: &Account, job: &JobId) -> bool {
    account.table().job(job).await.unwrap().unwrap().progress > 0
}

/// The keys of everything in the bucket that is named by a job.
async fn objects_of(cloud: &Cloud, job: &JobId) -> Vec<String> {
    let mut pages =
        s3(cloud).list_objects_v2().bucket(&cloud.info.buckets["MediaBucket"]).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        keys.extend(page.unwrap().contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
    }
    keys.retain(|key| key.contains(job.as_str()));
    keys
}

/// Lets half an hour pass for what a cancelled job has left to be done, and the sweeper see to it.
async fn sweep(cloud: &Cloud, job: &JobId) {
    let (client, table) = secrets::client(cloud);
    let of_job = client.scan().table_name(&table).filter_expression("begins_with(pk, :chore)");
    let of_job = of_job.expression_attribute_values(":chore", AttributeValue::S("CHORE#".to_owned()));
    let mut items = of_job.consistent_read(true).into_paginator().items().send();
    let mut found = 0;
    while let Some(item) = items.next().await {
        let item = item.unwrap();
        if !format!("{item:?}").contains(job.as_str()) {
            continue;
        }
        found += 1;
        let due = client.update_item().table_name(&table).key("pk", item["pk"].clone());
        let due = due.key("sk", item["sk"].clone()).update_expression("SET due_at = :now");
        let due = due.expression_attribute_values(":now", AttributeValue::N("1".to_owned()));
        due.send().await.unwrap();
    }
    assert_eq!(found, 1, "one order to clear away what the job has left");
    cloud.invoke("SweepFunction", &json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_before_it_has_begun_and_never_begins() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    // As far as the acceptance knows there is one slot: the second one waits for it.
    let (first, second) = (accept(&account, server.url(), 1).await, accept(&account, server.url(), 1).await);
    assert_eq!((first.has_slot, second.has_slot), (true, false));
    for job in [&second.id, &first.id, &second.id, &first.id] {
        is_cancelled(&account, job).await;
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    assert!(!account.table().has_open_jobs(&account.id).await.unwrap());
    // Whoever starts it after all, a message or the sweeper, starts nothing.
    for job in [&first.id, &second.id] {
        let (failed, problem) = cloud().try_invoke("ReserveFunction", &json!({ "job_id": job })).await;
        assert!(failed && problem["errorType"] == "JobEnded", "{problem}");
        assert_eq!(account.movements(job).await, REFUNDED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_cancelled_and_the_next_one_gets_its_slot() {
    let account = cloud().account(Amount::cents(100)).await;
    let stalled = FileServer::start(&usual(), Behaviour::Stalled(70_000)).await.unwrap();
    let server = served(&usual()).await;
    let ask = |url: &str| json!({ "url": url, "start": 1, "end": 3 });
    let running = join_all((0..5).map(|_| async { account.ask(&ask(stalled.url())).await })).await;
    let next = account.ask(&ask(server.url())).await;
    assert!(!account.table().job(&next).await.unwrap().unwrap().has_slot);
    let job = &running[0];
    until("it runs", || is_under_way(&account, job)).await;
    is_cancelled(&account, job).await;
    assert_eq!(account.finish(&next).await["status"], "complete", "it got the slot");

    // What else tells of its end changes nothing any more.
    let execution = cloud().info.state_machines["ClipMachine"].replace(":stateMachine:", ":execution:");
    let execution = json!({ "executionArn": format!("{execution}:{job}") });
    assert_eq!(states("DescribeExecution", &execution).await["status"], "ABORTED");
    let told = json!({ "detail": { "name": job, "status": "ABORTED" } }).to_string();
    let told = json!({ "Records": [{ "messageId": "1", "body": told }] });
    assert_eq!(cloud().invoke("ReleaseAbortedFunction", &told).await["batchItemFailures"], json!([]));
    cloud().invoke("ReleaseFunction", &json!({ "job_id": job })).await;
    is_cancelled(&account, job).await;
    for job in &running[1..] {
        is_cancelled(&account, job).await;
    }
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));
    sweep(cloud(), job).await;
    assert_eq!(objects_of(cloud(), job).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_cancelled_leaves_nothing() {
    let account = cloud().account(Amount::cents(100)).await;
    let input = lavfi("640x360", "30", 20);
    let big = made(
        "big.mp4",
        &format!("{input} -c:v libx264 -preset ultrafast -b:v 4M -g 30 -movflags +faststart"),
    );
    let server = FileServer::start(&big, Behaviour::Stalled(300_000)).await.unwrap();
    let job = download::ask(&account, &json!({ "url": server.url(), "save_to_library": true })).await;
    let upload = || async { account.table().job(&job).await.unwrap().unwrap().upload };
    until("its upload has begun", || async { upload().await.is_some() }).await;
    let upload = upload().await.unwrap();
    is_cancelled(&account, &job).await;
    let (client, bucket) = (s3(cloud()), &cloud().info.buckets["MediaBucket"]);
    let key = format!("clips/24h/{job}.mp4");
    let parts = || client.list_parts().bucket(bucket).key(&key).upload_id(&upload).send();
    until("its upload is given up", || async { parts().await.is_err() }).await;
    // A stage that was at work may have left something behind.
    let put = |key: String| client.put_object().bucket(bucket).key(key).body(vec![1].into()).send();
    for left in [key.clone(), format!("clips/24h/{job}.jpg"), format!("work/{job}/parts-0.json")] {
        put(left).await.unwrap();
    }
    sweep(cloud(), &job).await;
    assert_eq!(objects_of(cloud(), &job).await, [""; 0]);
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    assert_eq!(account.get("/v1/clips").await.1["total_items"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_or_is_anothers_is_not_cancelled() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let (done, _) = account.clip(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    let done = JobId::parse(done["job_id"].as_str().unwrap()).unwrap();
    let unsaved = download::ask(&account, &json!({ "url": server.url() })).await;
    account.finish(&unsaved).await;
    let broken = FileServer::start(&usual(), Behaviour::Truncated(70_000)).await.unwrap();
    let failed = account.ask(&json!({ "url": broken.url(), "start": 1, "end": 7 })).await;
    assert_eq!(account.finish(&failed).await["status"], "failed");
    let before = account.audit().await;
    for (job, code, says) in [
        (&done, "job_complete", format!("DELETE /v1/clips/{done}")),
        (&unsaved, "job_complete", "expires within a day".to_owned()),
        (&failed, "job_failed", "not charged".to_owned()),
    ] {
        let read = account.get(&format!("/v1/clip/{job}")).await.1["status"].clone();
        let (status, problem) = cancel(&account, job).await;
        assert_eq!((status, &problem["code"]), (409, &json!(code)), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&says), "{problem}");
        assert_eq!(account.get(&format!("/v1/clip/{job}")).await.1["status"], read);
    }
    assert_eq!(account.audit().await, before);

    let open = accept(&account, server.url(), 5).await.id;
    let stranger = cloud().account(Amount::cents(100)).await;
    for (job, account) in [(open.as_str(), &stranger), ("aaaaaaaaaaaaaaaa", &account), ("x", &account)] {
        let (status, problem) = account.post(&format!("/v1/clip/{job}/cancel"), &json!({})).await;
        assert_eq!((status, &problem["detail"]), (404, &json!("Job not found.")), "{problem}");
    }
    let reader = account.with_key(&[domain::account::Scope::ClipsRead], None).await;
    assert_eq!(cancel(&reader, &open).await.0, 403);
    is_cancelled(&account, &open).await;
}

/// Twenty cancellations against the job's completion: one of the two happens, and everybody is told the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_and_a_completion_exclude_each_other() {
    let server = served(&usual()).await;
    for round in 0..4_usize {
        let account = cloud().account(Amount::cents(100)).await;
        let job = accept(&account, server.url(), 5).await;
        let output = crate::stack::library::output(&job.id, 14);
        assert!(account.table().set_output(&job.id, &output).await.unwrap());
        let mut cancels: Vec<_> = Vec::new();
        // Now one side has a start, now the other.
        let early = [20, 0, 10, 4][round];
        for _ in 0..early {
            let (account, job) = (account.clone(), job.id.clone());
            cancels.push(tokio::spawn(async move { cancel(&account, &job).await }));
        }
        let settled = tokio::spawn(settle(job.id.clone()));
        for _ in early..20 {
            let (account, job) = (account.clone(), job.id.clone());
            cancels.push(tokio::spawn(async move { cancel(&account, &job).await }));
        }
        let told: Vec<u16> = join_all(cancels).await.into_iter().map(|answer| answer.unwrap().0).collect();
        settled.await.unwrap();
        settle(job.id.clone()).await;
        let (_, read) = account.get(&format!("/v1/clip/{}", job.id)).await;
        let (status, movements, left) = match read["status"].as_str().unwrap() {
            "cancelled" => (200, REFUNDED, 100),
            "complete" => (409, [EntryKind::Reservation, EntryKind::Charge], 90),
            other => panic!("{other}"),
        };
        assert!(told.iter().all(|told| *told == status), "{told:?}: {read}");
        assert_eq!(account.movements(&job.id).await, movements);
        assert_eq!(account.audit().await, (Amount::cents(left), Amount::ZERO));
        let clips = account.get("/v1/clips").await.1["total_items"].clone();
        assert_eq!(clips, json!(u8::from(status == 409)));
    }
}

async fn settle(job: JobId) -> (bool, Value) {
    cloud().try_invoke("SettleFunction", &json!({ "job_id": job })).await
}
