//! Every metric is emitted by what it counts, once.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::JobId;
use domain::money::Amount;
use runtime::{Dimension, Metric, NAMESPACE};
use serde_json::{Value, json};

use super::{counted, lines};
use crate::contract::template::AREAS;
use crate::stack::cloud::until;
use crate::stack::door::browser::{Browser, address};
use crate::stack::queue::accept;
use crate::stack::source::{served, usual};
use crate::stack::{Account, cloud};

/// The one release of a local cloud.
const RELEASE: &str = "0000000000";
/// What a job costs here, in micro-dollars.
const PRICE: u64 = 100_000;

/// What was counted for a job: the numbers of each metric, with the value of its dimension.
fn of_job(job: &JobId) -> BTreeMap<String, Vec<(String, Value)>> {
    let mut found: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    for line in lines(cloud()).into_iter().filter(|line| line["job_id"] == job.as_str()) {
        for metric in Metric::ALL {
            let value = metric.dimension().and_then(|it| line[it.name()].as_str()).unwrap_or_default();
            for number in line[metric.name()].as_array().into_iter().flatten() {
                found.entry(metric.name().to_owned()).or_default().push((value.to_owned(), number.clone()));
            }
        }
    }
    found
}

async fn is_counted(job: &JobId) -> BTreeMap<String, Vec<(String, Value)>> {
    until("the end is counted", || async { of_job(job).contains_key("Jobs") }).await;
    of_job(job)
}

fn one(value: &str, number: impl Into<Value>) -> Vec<(String, Value)> {
    vec![(value.to_owned(), number.into())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_counted_once_however_it_ends() {
    let account = cloud().account(Amount::cents(500)).await;
    let server = served(&usual()).await;
    completes(&account, server.url()).await;
    let cancelled = accept(&account, server.url(), 5).await.id;
    for _ in 0..2 {
        let (status, _) = account.post(&format!("/v1/clip/{cancelled}/cancel"), &json!({})).await;
        assert_eq!(status, 200);
    }
    let counted = is_counted(&cancelled).await;
    assert_eq!((&counted["Jobs"], &counted["JobFaults"]), (&one("cancelled", 1), &one("", 0)));
    assert_eq!(counted["Refunds"], one("", PRICE));
    assert!(!counted.contains_key("JobsMade") && !counted.contains_key("MoneyOut"));

    let verdict = json!({ "code": "source_unavailable", "message": "it is gone" }).to_string();
    let cause = json!({ "errorType": "JobFailure", "errorMessage": verdict }).to_string();
    let refused = json!({ "Error": "JobFailure", "Cause": cause });
    let crashed = json!({ "Error": "Runtime.ExitError", "Cause": "signal: killed" });
    for (error, result, fault) in [(refused, "refused", 0), (crashed, "failed", 1)] {
        let job = accept(&account, server.url(), 5).await.id;
        for _ in 0..2 {
            cloud().invoke("ReleaseFunction", &json!({ "job_id": job, "error": error })).await;
        }
        let counted = is_counted(&job).await;
        assert_eq!((&counted["Jobs"], &counted["JobFaults"]), (&one(result, 1), &one("", fault)));
        assert_eq!(counted["Refunds"], one("", PRICE));
    }
}

/// A clip through the whole stack, and settled twice more.
async fn completes(account: &Account, url: &str) {
    let (answer, _) = account.clip(&json!({ "url": url, "start": 1.2, "end": 2.7 })).await;
    let job = JobId::parse(answer["job_id"].as_str().unwrap()).unwrap();
    until("settling is through", || async {
        of_job(&job)
            .get("StageSeconds")
            .is_some_and(|stages| stages.iter().any(|(stage, _)| stage == "settle"))
    })
    .await;
    for _ in 0..2 {
        cloud().invoke("SettleFunction", &json!({ "job_id": job })).await;
    }
    let counted = of_job(&job);
    assert_eq!((&counted["Jobs"], &counted["JobFaults"]), (&one("complete", 1), &one("", 0)));
    assert_eq!(counted["JobsMade"], one(answer["method"].as_str().unwrap(), 1));
    assert_eq!(counted["MoneyOut"], one("", PRICE));
    assert_eq!(counted["BytesWritten"], one("", answer["file_size"].clone()));
    assert_eq!(counted["BytesRead"].len(), 1);
    assert!(counted["BytesRead"][0].1.as_u64().unwrap() > 10_000);
    let seconds = counted["JobSeconds"][0].1.as_f64().unwrap();
    let stages: f64 = counted["StageSeconds"].iter().map(|(_, seconds)| seconds.as_f64().unwrap()).sum();
    assert!(seconds > 0.05 && stages > 0.05 && seconds < 120.0, "{seconds} s, of it {stages} s in stages");
    let stages: BTreeSet<&str> = counted["StageSeconds"].iter().map(|(stage, _)| stage.as_str()).collect();
    assert_eq!(stages, BTreeSet::from(["download", "process", "reserve", "settle", "upload"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_emitted_and_nothing_else() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    account.clip(&json!({ "url": server.url(), "start": 1, "end": 2, "format": "mp3" })).await;
    let cancelled = accept(&account, server.url(), 5).await.id;
    account.post(&format!("/v1/clip/{cancelled}/cancel"), &json!({})).await;
    let (mut browser, email) = (Browser::new(cloud()), address("counted"));
    let mail = browser.ask_for_mail(cloud(), &email).await;
    let (status, _) = browser.post("/v1/auth/verify", &json!({ "email": email, "code": mail.code })).await;
    assert_eq!(status, 200);
    // A mailbox to be thrown away: its bonus waits.
    Browser::new(cloud())
        .sign_in(cloud(), &address("counted").replace("example.com", "mailinator.com"))
        .await;
    for function in ["SweepFunction", "WebhooksSweepFunction", "BillingSweepFunction", "ReconcileFunction"] {
        cloud().invoke(function, &json!({})).await;
    }
    // What nobody takes for a day is counted where the day passes: webhooks/retry.rs. What comes of mail is in
    // bounds.rs, and what comes of payments in billing. Errors of ours do not come on demand.
    let elsewhere = [
        "DeadDeliveries",
        "ReleaseErrors",
        "MailsHeld",
        "MailsReturned",
        "Payments",
        "Disputes",
        "EventsRefused",
        "MoneyTakenBack",
    ];
    let expected: BTreeSet<&str> =
        Metric::ALL.iter().map(|metric| metric.name()).filter(|name| !elsewhere.contains(name)).collect();
    let missing = || {
        let lines = lines(cloud());
        expected.iter().filter(|name| !lines.iter().any(|line| line[**name].is_array())).copied().collect()
    };
    until("all of them are seen", || async { BTreeSet::<&str>::is_empty(&missing()) }).await;
    for line in lines(cloud()).iter().filter(|line| line["_aws"].is_object()) {
        is_well_formed(line);
    }
    requests_are_one_line_at_most();
}

/// As the specification wants it, with names and values of the list alone.
fn is_well_formed(line: &Value) {
    assert!(line["_aws"]["Timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
    assert!(!directives.is_empty());
    for directive in directives {
        assert_eq!(directive["Namespace"], format!("{NAMESPACE}/{}", cloud().info.stack_name));
        let [dimensions] = directive["Dimensions"].as_array().unwrap().as_slice() else { panic!("{line}") };
        for definition in directive["Metrics"].as_array().unwrap() {
            let name = definition["Name"].as_str().unwrap();
            let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name).unwrap();
            let expected: Vec<&str> = metric.dimension().map(|it| it.name()).into_iter().collect();
            assert_eq!(dimensions, &json!(expected), "{line}");
            if let Some(dimension) = metric.dimension() {
                let value = line[dimension.name()].as_str().unwrap();
                match dimension {
                    Dimension::Area => {
                        assert!(AREAS.iter().any(|area| area.name == value), "{value}: {line}")
                    }
                    Dimension::Release => assert_eq!(value, RELEASE, "{line}"),
                    _ => assert!(dimension.values().contains(&value), "{value}: {line}"),
                }
            }
            let numbers = line[name].as_array().unwrap();
            assert!(!numbers.is_empty() && numbers.iter().all(Value::is_number), "{line}");
        }
    }
    let bytes = line.to_string().len();
    assert!(bytes < 1500, "{bytes} bytes: {line}");
}

/// Logs are paid by the byte: a request has one line of numbers at most, and one that only reads has none once its
/// environment is warm.
fn requests_are_one_line_at_most() {
    let mut requests: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines(cloud()).iter().filter(|line| line["_aws"].is_object()) {
        let handler = line["handler"].as_str().unwrap();
        if handler.starts_with("clips.") || handler.starts_with("accounts.") || handler.starts_with("pages.")
        {
            *requests.entry(line["request_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        if handler == "clips.get" {
            assert_eq!(line["ColdStarts"], json!([1]), "{line}");
        }
    }
    assert!(requests.values().all(|lines| *lines == 1), "{requests:?}");
    assert!(!counted(cloud(), "ColdStarts").is_empty());
}
