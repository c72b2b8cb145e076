//! The saved query tells a job's whole story: every line about a job names it, its invocation and its trace.

use domain::ids::JobId;
use domain::money::Amount;
use serde_json::{Value, json};

use super::{id, lines};
use crate::contract::template::template;
use crate::stack::cloud;
use crate::stack::cloud::until;
use crate::stack::source::{served, usual};
use crate::stack::webhooks::receiver::Receiver;

/// The fields that the query filters by, with dots between the names of nested ones.
fn filtered_by() -> Vec<String> {
    let query = template()["Resources"]["JobQuery"]["Properties"]["QueryString"].as_str().unwrap().to_owned();
    let filter = query.lines().next().unwrap().strip_prefix("filter ").unwrap();
    let fields = filter.split(" or ").map(|part| part.strip_suffix(" = \"JOB_ID\"").unwrap().to_owned());
    fields.collect()
}

/// What the query finds of a job, in the order of time.
fn found(job: &JobId) -> Vec<Value> {
    let fields = filtered_by();
    let field = |line: &Value, path: &str| {
        path.split('.').try_fold(line.clone(), |node, name| node.get(name).cloned())
    };
    let names_it = |line: &Value| fields.iter().any(|path| field(line, path) == Some(json!(job)));
    let mut found: Vec<Value> = lines(cloud()).into_iter().filter(names_it).collect();
    found.sort_by_key(|line| line["timestamp"].as_str().unwrap_or_default().to_owned());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_tells_the_whole_story_of_a_job() {
    let account = cloud().account(Amount::cents(100)).await;
    let (server, receiver) = (served(&usual()).await, Receiver::willing().await);
    let ask = json!({ "url": server.url(), "start": 1, "end": 2, "webhook": receiver.url("/") });
    let job = account.ask(&ask).await;
    assert_eq!(account.finish(&job).await["status"], "complete");
    receiver.heard(1).await;
    let has = |handler: &str, message: &str| {
        found(&job).iter().any(|line| id(line, "handler") == Some(handler) && line["message"] == message)
    };
    let story = [
        ("clips.create", "accepted"),
        ("clips.create", "answered"),
        ("clips.get", "answered"),
        ("stages.reserve", "done"),
        ("media.download", "fetched"),
        ("media.download", "done"),
        ("media.process", "done"),
        ("media.upload", "done"),
        ("stages.settle", "ended"),
        ("stages.settle", "done"),
        ("webhooks.deliver", "attempted"),
    ];
    let missing = || story.into_iter().find(|(handler, message)| !has(handler, message));
    until("the story is whole", || async { missing().is_none() }).await;

    let found = found(&job);
    for line in &found {
        for name in ["request_id", "trace_id"] {
            assert!(id(line, name).is_some_and(|id| !id.is_empty()), "no {name}: {line}");
        }
        assert!(id(line, "trace_id").unwrap().starts_with("1-"), "{line}");
    }
    // Whatever names the job in any way is found.
    let about = lines(cloud()).into_iter().filter(|line| line.to_string().contains(job.as_str()));
    for line in about {
        assert!(found.contains(&line), "the query misses {line}");
    }
    let numbers = found.iter().filter(|line| line["_aws"].is_object()).count();
    assert!(numbers >= 5, "each stage has its numbers: {numbers}");
}
