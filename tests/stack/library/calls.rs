//! A request that changes what an account keeps may be killed behind any of its calls to AWS: all of them are tried. After
//! the sweep clips, files, places and sums agree, money and room match, and the same request, sent again, gets through.

use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::JobId;
use domain::ledger::EntryKind;
use domain::money::Amount;
use reqwest::Method;
use serde_json::{Value, json};

use super::{FILE, agrees, kept, objects_of, pin, unpin};
use crate::stack::Cloud;
use crate::stack::cloud::now;
use crate::stack::door::secrets;
use crate::stack::queue::accept;

/// More calls than any of these requests makes.
const CALLS_MAX: usize = 60;

/// Enough for all that an account does here.
const MONEY: Amount = Amount::cents(10_000);

/// A cloud whose functions can be killed, and how.
struct Fragile<'a> {
    cloud: &'a Cloud,
    faults: &'a Path,
}

impl Fragile<'_> {
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
    let faults = tempfile::tempdir().unwrap();
    let cloud = Cloud::fresh(&["--faults", faults.path().to_str().unwrap()]);
    let fragile = Fragile { cloud: &cloud, faults: faults.path() };
    // As many as the requests make when nothing happens to them, so that no loop below ends early.
    assert!(moves(&fragile).await >= [15, 12]);
    assert!(deletions(&fragile).await >= 5);
    assert!(purchases(&fragile).await >= 3);
    assert!(cancellations(&fragile).await >= 6);
    cloud.stop();
}

/// Pins and unpins a clip; answers how many calls each of them makes.
async fn moves(fragile: &Fragile<'_>) -> [usize; 2] {
    let cloud = fragile.cloud;
    let mut made = [0; 2];
    for (made, pins) in made.iter_mut().zip([true, false]) {
        let account = &cloud.account(MONEY).await;
        let id = kept(cloud, account, FILE.len() as u64, now()).await.id;
        let (handler, path) = if pins { ("clips.pin", "pin") } else { ("clips.unpin", "unpin") };
        let path = format!("/v1/clips/{id}/{path}");
        for call in 1..CALLS_MAX {
            // From the other side, each time.
            let before = if pins { unpin(account, &id).await } else { pin(account, &id).await };
            assert_eq!(before.0, 200, "{before:?}");
            if !fragile.dies(handler, call, account.request(Method::POST, &path)).await {
                *made = call - 1;
                break;
            }
            fragile.sweep().await;
            agrees(cloud, account, &id, now()).await;
            let clip = cloud.table().clip(&id, now()).await.unwrap().unwrap();
            let file = crate::stack::upload::bucket(cloud).get_bytes(&clip.output.object_key).await;
            assert_eq!(file.unwrap(), FILE, "{handler} {call}");
            let again = if pins { pin(account, &id).await } else { unpin(account, &id).await };
            assert_eq!(again.0, 200, "{handler} {call}: {again:?}");
            agrees(cloud, account, &id, now()).await;
        }
        agrees(cloud, account, &id, now()).await;
    }
    made
}

async fn deletions(fragile: &Fragile<'_>) -> usize {
    let (cloud, account) = (fragile.cloud, &fragile.cloud.account(MONEY).await);
    for call in 1..CALLS_MAX {
        let id = kept(cloud, account, FILE.len() as u64, now()).await.id;
        let delete = || account.request(Method::DELETE, &format!("/v1/clips/{id}"));
        let has_died = fragile.dies("clips.delete", call, delete()).await;
        fragile.sweep().await;
        agrees(cloud, account, &id, now()).await;
        if !has_died {
            return call - 1;
        }
        let again = delete().send().await.unwrap().status().as_u16();
        assert!(matches!(again, 200 | 404), "{call}: {again}");
        agrees(cloud, account, &id, now()).await;
        assert!(objects_of(cloud, &id).await.is_empty());
        assert_eq!(account.get(&format!("/v1/clip/{id}")).await.0, 404);
    }
    panic!("it makes more than {CALLS_MAX} calls");
}

/// Each purchase is paid once, and brings its room once, however often it is sent.
async fn purchases(fragile: &Fragile<'_>) -> usize {
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
async fn cancellations(fragile: &Fragile<'_>) -> usize {
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
        fragile.sweep().await;
        if !has_died {
            return call - 1;
        }
    }
    panic!("it makes more than {CALLS_MAX} calls");
}
