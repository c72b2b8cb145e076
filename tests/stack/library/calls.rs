//! A request that changes what an account keeps may be killed behind any of its calls to AWS: all of them are tried. After
//! the sweep clips, files, places and sums agree, money and room match, and the same request, sent again, gets through.
//!
//! Each death has a clip and an account of its own, so that one sweep sees to all that a kind of request has left.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::JobId;
use domain::ledger::EntryKind;
use domain::money::Amount;
use reqwest::Method;
use serde_json::{Value, json};

use super::{FILE, agrees, kept, objects_of, pin, unpin};
use crate::stack::cloud::{Fragile, now};
use crate::stack::door::secrets;
use crate::stack::queue::accept;
use crate::stack::{Account, Cloud, With, fragile};

/// More calls than any of these requests makes.
const CALLS_MAX: usize = 60;

/// Enough for all that an account does here.
const MONEY: Amount = Amount::cents(10_000);

impl Fragile {
    /// Sends a request whose function dies behind its call number `call`; `false` if it does not make so many, and is
    /// answered.
    async fn dies(&self, handler: &str, call: usize, request: reqwest::RequestBuilder) -> bool {
        let fault = self.faults.join(format!("{handler}.call.{call}"));
        std::fs::write(&fault, "").unwrap();
        let status = request.send().await.unwrap().status();
        let has_died = !fault.exists();
        if has_died {
            assert!(status.is_server_error(), "{handler} {call}: {status}");
        } else {
            std::fs::remove_file(&fault).unwrap();
            assert_eq!(status, 200, "{handler}, unharmed");
        }
        has_died
    }

    /// Lets half an hour pass for everything that is left to do, and the sweeper see to it.
    async fn sweep(&self) {
        let (client, table) = secrets::client(self.cloud);
        for chore in chores(self.cloud).await {
            let due = client
                .update_item()
                .table_name(&table)
                .key("pk", AttributeValue::S(chore))
                .key("sk", AttributeValue::S("CHORE".to_owned()))
                .update_expression("SET due_at = :now")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":now", AttributeValue::N("1".to_owned()));
            due.send().await.unwrap();
        }
        self.cloud.invoke("SweepFunction", &json!({})).await;
        assert_eq!(chores(self.cloud).await, [""; 0], "something is left to do");
    }
}

/// The partitions of all chores.
async fn chores(cloud: &Cloud) -> Vec<String> {
    let (client, table) = secrets::client(cloud);
    let scan = client.scan().table_name(table).filter_expression("begins_with(pk, :chore)");
    let scan = scan.expression_attribute_values(":chore", AttributeValue::S("CHORE#".to_owned()));
    let mut items = scan.consistent_read(true).into_paginator().items().send();
    let mut found = Vec::new();
    while let Some(item) = items.next().await {
        found.push(item.unwrap()["pk"].as_s().unwrap().clone());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_may_be_killed_behind_any_of_its_calls() {
    let fragile = fragile(With::FragileRequests).await;
    // As many as the requests make when nothing happens to them, so that no loop below ends early.
    assert!(moves(&fragile).await >= [15, 12]);
    assert!(deletions(&fragile).await >= 5);
    assert!(purchases(&fragile).await >= 3);
    assert!(cancellations(&fragile).await >= 6);
}

/// An account and a clip of its.
type Kept = (Account, JobId);

/// Sends a request for one clip after the other, and lets it die one call later each time, until it does not die. Answers
/// the clips, of which the last one's request was answered.
async fn each_dies_later<F: Future<Output = Kept>>(
    fragile: &Fragile,
    handler: &str,
    prepared: impl Fn() -> F,
    request: impl Fn(&Kept) -> reqwest::RequestBuilder,
) -> Vec<Kept> {
    let mut clips = Vec::new();
    for call in 1..CALLS_MAX {
        let clip = prepared().await;
        let has_died = fragile.dies(handler, call, request(&clip)).await;
        clips.push(clip);
        if !has_died {
            return clips;
        }
    }
    panic!("{handler} makes more than {CALLS_MAX} calls");
}

/// A clip in an account of its own.
async fn alone(cloud: &Cloud) -> Kept {
    let account = cloud.account(MONEY).await;
    let id = kept(cloud, &account, FILE.len() as u64, now()).await.id;
    (account, id)
}

/// Pins and unpins clips; answers how many calls each of them makes.
async fn moves(fragile: &Fragile) -> [usize; 2] {
    let cloud = fragile.cloud;
    let mut made = [0; 2];
    for (made, pins) in made.iter_mut().zip([true, false]) {
        let (handler, path) = if pins { ("clips.pin", "pin") } else { ("clips.unpin", "unpin") };
        let from_the_other_side = || async {
            let (account, id) = alone(cloud).await;
            let before = if pins { unpin(&account, &id).await } else { pin(&account, &id).await };
            assert_eq!(before.0, 200, "{before:?}");
            (account, id)
        };
        let request = |(account, id): &Kept| account.request(Method::POST, &format!("/v1/clips/{id}/{path}"));
        let clips = each_dies_later(fragile, handler, from_the_other_side, request).await;
        fragile.sweep().await;
        for (call, (account, id)) in clips.iter().enumerate() {
            agrees(cloud, account, id, now()).await;
            let clip = cloud.table().clip(id, now()).await.unwrap().unwrap();
            let file = crate::stack::upload::bucket(cloud).get_bytes(&clip.output.object_key).await;
            assert_eq!(file.unwrap(), FILE, "{handler} {call}");
            let again = if pins { pin(account, id).await } else { unpin(account, id).await };
            assert_eq!(again.0, 200, "{handler} {call}: {again:?}");
            agrees(cloud, account, id, now()).await;
        }
        *made = clips.len() - 1;
    }
    made
}

async fn deletions(fragile: &Fragile) -> usize {
    let cloud = fragile.cloud;
    let delete = |(account, id): &Kept| account.request(Method::DELETE, &format!("/v1/clips/{id}"));
    let clips = each_dies_later(fragile, "clips.delete", || alone(cloud), delete).await;
    fragile.sweep().await;
    for (call, clip) in clips.iter().enumerate() {
        let (account, id) = clip;
        agrees(cloud, account, id, now()).await;
        let again = delete(clip).send().await.unwrap().status().as_u16();
        assert!(matches!(again, 200 | 404), "{call}: {again}");
        agrees(cloud, account, id, now()).await;
        assert!(objects_of(cloud, id).await.is_empty());
        assert_eq!(account.get(&format!("/v1/clip/{id}")).await.0, 404);
    }
    clips.len() - 1
}

/// Each purchase is paid once, and brings its room once, however often it is sent.
async fn purchases(fragile: &Fragile) -> usize {
    let (cloud, account) = (fragile.cloud, &fragile.cloud.account(MONEY).await);
    let (mut available, held) = account.audit().await;
    assert_eq!(held, Amount::ZERO);
    for call in 1..CALLS_MAX {
        let buy = || {
            let request = account.request(Method::POST, "/v1/storage/purchase").json(&json!({ "gb": 1 }));
            request.header("idempotency-key", format!("purchase-{call}"))
        };
        let has_died = fragile.dies("clips.storage_purchase", call, buy()).await;
        for _ in 0..2 {
            assert_eq!(buy().send().await.unwrap().status(), 200);
        }
        available = available.checked_sub(Amount::cents(100)).unwrap();
        assert_eq!(account.audit().await, (available, Amount::ZERO), "{call}");
        assert_eq!(cloud.table().storage(&account.id).await.unwrap().purchased_gb, call as u64);
        if !has_died {
            return call - 1;
        }
    }
    panic!("it makes more than {CALLS_MAX} calls");
}

/// A job that waits to be started, and is cancelled.
async fn cancellations(fragile: &Fragile) -> usize {
    let (cloud, account) = (fragile.cloud, &fragile.cloud.account(MONEY).await);
    let before = account.audit().await;
    for call in 1..CALLS_MAX {
        let job: JobId = accept(account, "http://127.0.0.1:9/a.mp4", 100).await.id;
        let path = format!("/v1/clip/{job}/cancel");
        let has_died = fragile.dies("clips.cancel", call, account.request(Method::POST, &path)).await;
        let (status, answer): (u16, Value) = account.post(&path, &json!({})).await;
        assert_eq!((status, &answer["status"], &answer["cost"]), (200, &json!("cancelled"), &json!(0.0)));
        assert_eq!(account.movements(&job).await, [EntryKind::Reservation, EntryKind::Refund], "{call}");
        assert_eq!(account.audit().await, before, "{call}");
        assert!(!cloud.table().has_open_jobs(&account.id).await.unwrap(), "its slot is free");
        if !has_died {
            fragile.sweep().await;
            return call - 1;
        }
    }
    panic!("it makes more than {CALLS_MAX} calls");
}
