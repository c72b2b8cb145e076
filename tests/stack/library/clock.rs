//! The whole life of a clip by the clock: its item says to the second when it is gone, and the bucket's rule takes the file.
//!
//! Time cannot be made to pass, but everything that tells how old a clip is can be moved back: the times of its items, in
//! whose keys some of them stand, and of its files. That is the same to whoever compares them with now.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use domain::ids::JobId;
use domain::money::Amount;
use domain::time::Timestamp;
use serde_json::json;
use store::clips::Clip;

use super::{agrees, kept, list, objects_of, pin, rename, send, unpin};
use crate::stack::cloud::{answer, http, now};
use crate::stack::door::secrets;
use crate::stack::source::{served, usual};
use crate::stack::upload::s3;
use crate::stack::{Account, Cloud, download};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

type Item = std::collections::HashMap<String, AttributeValue>;

fn number(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item[name].as_s().unwrap()
}

/// An item as it would be if it had been written `ms` earlier.
fn earlier(item: &Item, ms: i64) -> Item {
    let mut item = item.clone();
    for name in ["created_at", "updated_at", "expires_at", "due_at"] {
        if let Some(time) = number(&item, name) {
            item.insert(name.to_owned(), AttributeValue::N((time - ms).to_string()));
        }
    }
    // `CLIP#{time}#{id}` and `EXPIRES#{time}#{id}`.
    if let [kind, time, id] = text(&item, "sk").split('#').collect::<Vec<_>>()[..] {
        let time = time.parse::<i64>().unwrap() - ms;
        item.insert("sk".to_owned(), AttributeValue::S(format!("{kind}#{time:015}#{id}")));
    }
    item
}

/// Lets `ms` pass for a job, its clip if it has one, and the files.
async fn pass(cloud: &Cloud, account: &Account, id: &JobId, ms: i64) {
    let (client, table) = secrets::client(cloud);
    let query = |pk: String| {
        let query = client.query().table_name(&table).key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", AttributeValue::S(pk)).consistent_read(true).send()
    };
    let mut actions = Vec::new();
    for pk in [format!("ACCOUNT#{}", account.id), format!("JOB#{id}"), format!("CLIP#{id}")] {
        for item in query(pk).await.unwrap().items() {
            let is_theirs =
                text(item, "pk").ends_with(id.as_str()) || text(item, "sk").ends_with(id.as_str());
            if !is_theirs {
                continue;
            }
            let moved = earlier(item, ms);
            if moved["sk"] != item["sk"] {
                let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
                let delete = Delete::builder().table_name(&table).set_key(Some(key.into())).build().unwrap();
                actions.push(TransactWriteItem::builder().delete(delete).build());
            }
            let put = Put::builder().table_name(&table).set_item(Some(moved)).build().unwrap();
            actions.push(TransactWriteItem::builder().put(put).build());
        }
    }
    client.transact_write_items().set_transact_items(Some(actions)).send().await.unwrap();
    let bucket = cloud.info.state.join("s3").join(&cloud.info.buckets["MediaBucket"]);
    for key in objects_of(cloud, id).await {
        let file = std::fs::File::options().write(true).open(bucket.join(key)).unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written - Duration::from_millis(ms.try_into().unwrap())).unwrap();
    }
}

/// Runs the bucket's rules as of `at`, or as of now.
async fn run_rules(cloud: &Cloud, at: Option<Timestamp>) -> devstack::Expired {
    let at = at.map(|at| format!("?now={}", at.rfc3339())).unwrap_or_default();
    let url = cloud.url(&format!("/_local/lifecycle{at}"));
    http().post(url).send().await.unwrap().json().await.unwrap()
}

/// When S3 says that an object was written.
async fn written(cloud: &Cloud, key: &str) -> Timestamp {
    let head = s3(cloud).head_object().bucket(&cloud.info.buckets["MediaBucket"]).key(key).send().await;
    Timestamp(head.unwrap().last_modified().unwrap().to_millis().unwrap())
}

/// The first midnight that is at least a day after `written`.
fn midnight_behind(written: Timestamp) -> Timestamp {
    let day = (written.0 + DAY_MS).rem_euclid(DAY_MS);
    written.plus_ms(DAY_MS + (DAY_MS - day) % DAY_MS)
}

/// Every way that leads to a clip by GET, and what it answers.
async fn ways(cloud: &Cloud, account: &Account, id: &JobId) -> Vec<u16> {
    let base = &cloud.info.base_url;
    let mut statuses = vec![account.get(&format!("/v1/clip/{id}")).await.0];
    let open = [format!("/c/{id}"), format!("/embed/{id}"), format!("/v1/share/{id}")];
    for path in open.into_iter().chain([format!("/oembed?url={base}/c/{id}")]) {
        statuses.push(http().get(cloud.url(&path)).send().await.unwrap().status().as_u16());
    }
    statuses
}

/// One cloud, and one test, because the rules are for all that is in the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_a_clip_and_of_an_upload_that_nobody_ends() {
    let cloud = Cloud::fresh(&[]);
    let account = cloud.account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let (made, bytes) = account.clip(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    let id = JobId::parse(made["job_id"].as_str().unwrap()).unwrap();
    a_day_and_no_longer(&cloud, &account, &id, &bytes).await;
    the_rule_takes_what_nothing_names(&cloud, &account, server.url()).await;
    pinned_for_years_and_then_for_a_day(&cloud, &account).await;
    an_upload_in_parts_that_nobody_ends_is_given_up(&cloud).await;
    cloud.stop();
}

async fn a_day_and_no_longer(cloud: &Cloud, account: &Account, id: &JobId, bytes: &[u8]) {
    // 23:59 later it is all there, and the rule leaves its files alone.
    pass(cloud, account, id, DAY_MS - MINUTE_MS).await;
    let gone = run_rules(cloud, None).await.objects;
    assert!(!gone.iter().any(|object| object.contains("/clips/")), "{gone:?}");
    assert_eq!(ways(cloud, account, id).await, [200; 5]);
    let listed = list(account, "").await;
    assert_eq!((&listed["total_items"], &listed["clips"][0]["hours_left"]), (&json!(1), &json!(0.0)));
    let (_, job) = account.get(&format!("/v1/clip/{id}")).await;
    for links in [&listed["clips"][0], &job] {
        let link = links["download_url"].as_str().unwrap();
        assert_eq!(http().get(link).send().await.unwrap().bytes().await.unwrap(), bytes);
        let (_, seconds) = link.split_once("X-Amz-Expires=").unwrap();
        let seconds: u64 = seconds.split('&').next().unwrap().parse().unwrap();
        assert!(seconds <= 60, "a link outlives its clip: {link}");
    }
    agrees(cloud, account, id, now()).await;

    // 24:00 later it is not, whether or not anything has been cleared away.
    pass(cloud, account, id, MINUTE_MS).await;
    assert_eq!(ways(cloud, account, id).await, [404; 5]);
    assert_eq!(list(account, "").await["total_items"], 0);
    assert_eq!(rename(account, id, &json!({ "name": "x" })).await.0, 404);
    for (method, path) in [("POST", "/pin"), ("POST", "/unpin"), ("DELETE", "")] {
        let path = format!("/v1/clips/{id}{path}");
        assert_eq!(send(account, method, &path).await.0, 404, "{method} {path}");
    }
    let post = http().post(cloud.url(&format!("/v1/share/{id}/view")));
    assert_eq!(answer(post).await.0, 404);
}

/// A download that is not saved has no record of its own: only the rule clears its file away.
async fn the_rule_takes_what_nothing_names(cloud: &Cloud, account: &Account, url: &str) {
    let job = download::ask(account, &json!({ "url": url })).await;
    assert_eq!(account.finish(&job).await["status"], "complete");
    let file = objects_of(cloud, &job).await.into_iter().find(|key| key.ends_with(".mp4")).unwrap();
    assert!(file.starts_with("clips/24h/"), "{file}");
    pass(cloud, account, &job, DAY_MS).await;
    assert_eq!(account.get(&format!("/v1/clip/{job}")).await.0, 404);
    cloud.invoke("SweepFunction", &json!({})).await;
    let due = midnight_behind(written(cloud, &file).await);
    run_rules(cloud, Some(due.plus_ms(-1000))).await;
    assert!(objects_of(cloud, &job).await.contains(&file), "not a second before its midnight");
    let gone = run_rules(cloud, Some(due)).await.objects;
    assert!(gone.iter().any(|object| object.ends_with(&file)), "{gone:?}");
    assert!(objects_of(cloud, &job).await.is_empty());
}

async fn pinned_for_years_and_then_for_a_day(cloud: &Cloud, account: &Account) {
    let id = kept(cloud, account, 14, now()).await.id;
    assert_eq!(pin(account, &id).await.0, 200);
    pass(cloud, account, &id, 400 * DAY_MS).await;
    cloud.invoke("SweepFunction", &json!({})).await;
    run_rules(cloud, Some(now().plus_ms(400 * DAY_MS))).await;
    agrees(cloud, account, &id, now()).await;
    assert_eq!(ways(cloud, account, &id).await[1..], [200; 4]);
    assert_eq!(objects_of(cloud, &id).await.len(), 4, "no rule is for pinned clips");

    let begun = now();
    assert_eq!(unpin(account, &id).await.0, 200);
    let Clip { output, expires_at, .. } = cloud.table().clip(&id, now()).await.unwrap().unwrap();
    let expires_at = expires_at.unwrap();
    assert!(expires_at >= begun.plus_ms(DAY_MS) && expires_at <= now().plus_ms(DAY_MS));
    let mut last = begun;
    for key in output.keys() {
        let written = written(cloud, key).await;
        // S3 tells whole seconds.
        assert!(written.plus_ms(1000) > begun, "{key} was written at {written:?}");
        assert!(
            midnight_behind(written.plus_ms(1000)) >= expires_at,
            "the rule would be too early for {key}"
        );
        last = last.max(written);
    }
    run_rules(cloud, None).await;
    agrees(cloud, account, &id, now()).await;
    // The rule comes for these files, too, in its own time.
    let gone = run_rules(cloud, Some(midnight_behind(last.plus_ms(1000)))).await.objects;
    assert_eq!(gone.iter().filter(|object| object.contains(id.as_str())).count(), 4, "{gone:?}");
}

async fn an_upload_in_parts_that_nobody_ends_is_given_up(cloud: &Cloud) {
    let (client, bucket) = (s3(cloud), &cloud.info.buckets["MediaBucket"]);
    let key = "clips/24h/aaaaaaaaaaaaaaaa.mp4";
    let begin = client.create_multipart_upload().bucket(bucket).key(key).content_type("video/mp4");
    let upload = begin.send().await.unwrap().upload_id.unwrap();
    let part = client.upload_part().bucket(bucket).key(key).upload_id(&upload).part_number(1);
    part.body(vec![7; 1000].into()).send().await.unwrap();
    let parts = || client.list_parts().bucket(bucket).key(key).upload_id(&upload).send();
    let due = midnight_behind(now());
    assert!(run_rules(cloud, Some(due.plus_ms(-1000 - DAY_MS))).await.uploads.is_empty());
    assert_eq!(parts().await.unwrap().parts().len(), 1);
    assert_eq!(run_rules(cloud, Some(due.plus_ms(1000))).await.uploads, std::slice::from_ref(&upload));
    assert!(parts().await.unwrap_err().as_service_error().is_some(), "it is no more");
    let state = cloud.info.state.join("s3");
    let left = std::fs::read_dir(state).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains(&upload)).collect();
    assert!(left.is_empty(), "{left:?} stay");
    let asked = http().post(cloud.url("/_local/lifecycle?now=soon")).send().await.unwrap();
    assert_eq!(asked.status(), 400);
}
