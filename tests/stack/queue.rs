//! Slots, the queue behind them, and the sweeper below everything.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use domain::clip::ClipSpec;
use domain::cut::Span;
use domain::ids::JobId;
use domain::job::Job;
use domain::money::Amount;
use domain::prices::PriceBook;
use domain::quality::PictureSize;
use domain::source::SourceInfo;
use domain::time::MediaTime;
use serde_json::{Value, json};
use store::accept::{Acceptance, Terms};

use crate::stack::cloud::{http, now, until};
use crate::stack::door::secrets::client;
use crate::stack::source::{served, usual};
use crate::stack::webhooks::{hook, log};
use crate::stack::{Account, With, cloud, download, shared};

/// A job as `clips.create` accepts it, from 1 to 2 s of the usual source.
pub(crate) fn accepted(account: &Account, url: &str) -> Job {
    let mut random = [0; 16];
    getrandom::fill(&mut random).unwrap();
    let span = Span { start: MediaTime(1_000_000), end: MediaTime(2_000_000) };
    let spec = ClipSpec::new(url, span, None, None).unwrap();
    let source = SourceInfo {
        title: "usual".to_owned(),
        duration: MediaTime(8_000_000),
        picture: Some(PictureSize { width: 320, height: 180 }),
        has_audio: true,
        ..SourceInfo::default()
    };
    let book = PriceBook::current().unwrap();
    let price = (book.version.clone(), book.manual_clip(false));
    Job::accepted(JobId::from_random(random), account.id.clone(), spec, source, price, now())
}

/// As `clips.create` accepts it, and then the function died before it started anything.
pub(crate) async fn accept(account: &Account, url: &str, slots_max: u32) -> Job {
    accept_job(account, accepted(account, url), slots_max).await
}

/// The same with any job.
pub(crate) async fn accept_job(account: &Account, job: Job, slots_max: u32) -> Job {
    let (table, quota) = (account.table(), domain::rate::clip_jobs(1000));
    let outlook = table.outlook(&account.id, quota, None, job.created_at).await.unwrap();
    match table.accept(job, &outlook, &Terms { slots_max, quota, intention: None }).await.unwrap() {
        Acceptance::Accepted(job) => job,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_beyond_the_slots_wait_their_turn() {
    let cloud = shared(With::NarrowSettings);
    let account = cloud.account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 3 });
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(account.ask(&ask).await);
    }
    let mut finished = Vec::new();
    // A whole video waits in the same queue.
    jobs.push(download::ask(&account, &json!({ "url": server.url() })).await);
    for job in &jobs {
        let answer = account.finish(job).await;
        assert_eq!(answer["status"], "complete", "{answer}");
        finished.push(cloud.table().job(job).await.unwrap().unwrap().updated_at);
    }
    assert!(finished.is_sorted(), "the oldest comes first: {finished:?}");
    // So do moments. There are none here, which costs nothing.
    let mut jobs = Vec::new();
    for path in ["/v1/clip/auto", "/v1/clip/analyze", "/v1/clip/auto"] {
        let request = account.request(reqwest::Method::POST, path).header("prefer", "respond-async");
        let body = json!({ "url": server.url(), "query": "anything" });
        let (_, answer) = crate::stack::cloud::answer(request.json(&body)).await;
        jobs.push(JobId::parse(answer["job_id"].as_str().unwrap()).unwrap());
    }
    for job in &jobs {
        assert_eq!(account.finish(job).await["error_code"], "no_speech", "a tone");
    }
    assert_eq!(account.audit().await, (Amount::cents(55), Amount::ZERO));
}

/// Accepted, and then the function died before it started anything.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_starts_what_was_accepted_and_never_started() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let job = accept(&account, server.url(), 5).await;
    assert_eq!(account.get(&format!("/v1/clip/{}", job.id)).await.1["status"], "pending");
    assert!(cloud().table().set_due(&job.id, now().plus_ms(-1)).await.unwrap());
    cloud().invoke("SweepFunction", &json!({})).await;
    assert_eq!(account.finish(&job.id).await["status"], "complete");
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));
}

/// Waiting, and the message that should have woken the dispatcher got lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_wakes_what_waits_in_vain() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    // A first job holds the only slot there is, as far as the second one's acceptance knows.
    let first = accept(&account, server.url(), 1).await;
    let job = accept(&account, server.url(), 1).await;
    assert_eq!((first.has_slot, job.has_slot), (true, false));
    assert!(cloud().table().set_due(&job.id, now().plus_ms(-1)).await.unwrap());
    cloud().invoke("SweepFunction", &json!({})).await;
    assert_eq!(account.finish(&job.id).await["status"], "complete");
}

/// More wait than anything else is due: one sweep looks after all of them, within the minute that it has, and a job of
/// somebody else that nobody ended is ended all the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_gets_through_a_crowd() {
    const CROWD: usize = 2000;
    let (account, other) = (cloud().account(Amount::ZERO).await, cloud().account(Amount::cents(100)).await);
    let overdue = now().plus_ms(-60_000);
    let jobs: Vec<Job> = (0..CROWD)
        .map(|_| Job { has_slot: false, due_at: overdue, ..accepted(&account, "http://127.0.0.1:9/a.mp4") })
        .collect();
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let item = |job: &Job| {
        let mut item: HashMap<String, AttributeValue> = serde_dynamo::to_item(job).unwrap();
        let pk = format!("JOB#{}", job.id);
        let keys = [("pk", pk.as_str()), ("sk", "JOB"), ("open", "waiting")];
        item.extend(keys.map(|(name, value)| (name.to_owned(), text(value))));
        item
    };
    let (client, name) = client(cloud());
    let write = async |request: &(dyn Fn(&Job) -> WriteRequest + Sync)| {
        for some in jobs.chunks(25) {
            let requests = some.iter().map(request).collect();
            client.batch_write_item().request_items(&name, requests).send().await.unwrap();
        }
    };
    write(&|job| {
        let put = PutRequest::builder().set_item(Some(item(job))).build().unwrap();
        WriteRequest::builder().put_request(put).build()
    })
    .await;
    let stuck = accept(&other, "http://127.0.0.1:9/a.mp4", 5).await;
    let status = domain::job::Status::Downloading;
    assert!(cloud().table().advance(&stuck.id, status, 10, now()).await.unwrap());
    assert!(cloud().table().set_due(&stuck.id, now().plus_ms(-1)).await.unwrap());

    let begun = Instant::now();
    cloud().invoke("SweepFunction", &json!({})).await;
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    let due = cloud().table().due_waiting(overdue.plus_ms(1), None).await.unwrap();
    let left = due.found.iter().filter(|id| jobs.iter().any(|job| job.id == **id)).count();
    assert_eq!(left, 0, "in {:?}", begun.elapsed());
    assert_eq!(other.finish(&stuck.id).await["status"], "failed");
    write(&|job| {
        let key = item(job).into_iter().filter(|(name, _)| matches!(name.as_str(), "pk" | "sk")).collect();
        let delete = DeleteRequest::builder().set_key(Some(key)).build().unwrap();
        WriteRequest::builder().delete_request(delete).build()
    })
    .await;
}

/// Its execution was stopped from outside: EventBridge, the queue and Release end the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_execution_is_released() {
    let account = cloud().account(Amount::cents(100)).await;
    let hook = hook(&account, "https://127.0.0.1:9/", &["job.failed"]).await;
    let path = usual();
    let stalled = devstack::fileserver::Behaviour::Stalled(70_000);
    let server = devstack::fileserver::FileServer::start(&path, stalled).await.unwrap();
    let job = accept(&account, server.url(), 5).await;
    let machine = &cloud().info.state_machines["ClipMachine"];
    let start = json!({ "stateMachineArn": machine, "name": job.id, "input": json!({ "job_id": job.id }).to_string() });
    let execution = states("StartExecution", &start).await["executionArn"].clone();
    states("StopExecution", &json!({ "executionArn": execution })).await;
    let answer = account.finish(&job.id).await;
    assert_eq!(
        (&answer["status"], &answer["error_code"]),
        (&json!("failed"), &json!("internal")),
        "{answer}"
    );
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    assert_eq!(log(&account, &hook.id).await.len(), 1, "its owner is told");
}

/// Under way for longer than any job may be: its execution is stopped, the money is given back, its owner is told.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_stops_what_takes_too_long() {
    let account = cloud().account(Amount::cents(100)).await;
    let hook = hook(&account, "https://127.0.0.1:9/", &["job.failed"]).await;
    let stalled = devstack::fileserver::Behaviour::Stalled(70_000);
    let server = devstack::fileserver::FileServer::start(&usual(), stalled).await.unwrap();
    let job = accept(&account, server.url(), 5).await;
    let machine = &cloud().info.state_machines["ClipMachine"];
    let start = json!({ "stateMachineArn": machine, "name": job.id, "input": json!({ "job_id": job.id }).to_string() });
    let execution = states("StartExecution", &start).await["executionArn"].clone();
    until("it is under way", async || {
        let job = cloud().table().job(&job.id).await.unwrap().unwrap();
        job.status == domain::job::Status::Downloading
    })
    .await;
    assert!(cloud().table().set_due(&job.id, now().plus_ms(-1)).await.unwrap());
    cloud().invoke("SweepFunction", &json!({})).await;
    let answer = account.finish(&job.id).await;
    assert_eq!((&answer["status"], &answer["error_code"]), (&json!("failed"), &json!("timeout")), "{answer}");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    let described = states("DescribeExecution", &json!({ "executionArn": execution })).await;
    assert_eq!(described["status"], "ABORTED", "{described}");
    assert_eq!(log(&account, &hook.id).await.len(), 1, "its owner is told once");
}

/// Overdue and its execution gone: the hold expires.
#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_ends_what_nobody_ends() {
    let account = cloud().account(Amount::cents(100)).await;
    let job = accept(&account, "http://127.0.0.1:9/a.mp4", 5).await;
    let status = domain::job::Status::Downloading;
    assert!(cloud().table().advance(&job.id, status, 10, now()).await.unwrap());
    assert!(cloud().table().set_due(&job.id, now().plus_ms(-1)).await.unwrap());
    cloud().invoke("SweepFunction", &json!({})).await;
    assert_eq!(account.finish(&job.id).await["status"], "failed");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

/// Calls Step Functions.
pub(crate) async fn states(action: &str, input: &Value) -> Value {
    let begun = Instant::now();
    let answer = http()
        .post(&cloud().info.ministack_url)
        .header("x-amz-target", format!("AWSStepFunctions.{action}"))
        .header("content-type", "application/x-amz-json-1.0")
        .body(input.to_string())
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{action}: {}", answer.text().await.unwrap());
    assert!(begun.elapsed() < Duration::from_secs(10));
    answer.json().await.unwrap()
}
