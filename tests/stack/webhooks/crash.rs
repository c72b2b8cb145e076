//! Whatever crashes on the way, a receiver is told: at least once, under one id.

use domain::money::Amount;
use serde_json::json;

use super::receiver::Receiver;
use super::verify::accepts;
use super::{act, hook, is, latest};
use crate::stack::cloud::until;
use crate::stack::source::{served, usual};
use crate::stack::{With, fragile};

/// Kills the function that delivers before it begins and before its end is heard, and the stage that ends the job after it
/// has done all.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_told_whatever_is_killed() {
    let fragile = fragile(With::FragileJobs).await;
    let (cloud, faults) = (fragile.cloud, &fragile.faults);
    let account = cloud.account(Amount::cents(500)).await;
    let receiver = Receiver::willing().await;
    let made = hook(&account, &receiver.url("/"), &["job.completed"]).await;
    let source = served(&usual()).await;
    for (n, fault) in
        ["webhooks.deliver.start", "webhooks.deliver.end", "stages.settle.end"].into_iter().enumerate()
    {
        let file = faults.join(fault);
        std::fs::write(&file, "").unwrap();
        let (clip, _) = account.clip(&json!({ "url": source.url(), "start": n + 1, "end": n + 2 })).await;
        let hits = receiver.heard(n + 1).await;
        assert_eq!(hits[n].json()["data"]["job_id"], clip["job_id"], "{fault}");
        assert!(accepts(&made.secret, &hits[n]).await);
        let delivery = latest(&account, &made.id, is("delivered")).await;
        assert_eq!(delivery["id"], hits[n].id());
        // A kill at the end happens a moment after what it kills was written down.
        until(fault, || async { !file.exists() }).await;
    }
    // What was told and written down is not told again, although its order comes again.
    act(&account, &made.id, "test").await;
    let hits = receiver.heard(4).await;
    assert_eq!(hits[3].json()["type"], "webhook.test");
    assert_eq!(receiver.so_far().len(), 4);
}
