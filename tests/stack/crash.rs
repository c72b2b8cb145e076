//! Whatever crashes, the job ends and its hold is resolved exactly once.

use devstack::fileserver::{Behaviour, FileServer};
use domain::ledger::EntryKind;
use domain::money::Amount;
use serde_json::json;

use crate::stack::download::download;
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::{With, fragile};

/// Kills every stage of a job once at its start (the event was delivered, nothing was done) and once at its end
/// (everything was done, the answer was not sent).
#[tokio::test(flavor = "multi_thread")]
async fn every_stage_may_be_killed_at_its_start_and_at_its_end() {
    let fragile = fragile(With::FragileJobs).await;
    let (cloud, faults) = (fragile.cloud, &fragile.faults);
    let account = cloud.account(Amount::cents(1000)).await;
    let good = served(&usual()).await;
    // Breaks during the transfer, so that its job is released.
    let input = lavfi("640x360", "30", 20);
    let big = made(
        "big.mp4",
        &format!("{input} -c:v libx264 -preset ultrafast -b:v 4M -g 30 -movflags +faststart"),
    );
    let bad = FileServer::start(&big, Behaviour::Truncated(120_000)).await.unwrap();
    let mut spent = 0;
    for stage in ["media.plan", "media.transfer", "media.assemble"] {
        for place in ["start", "end"] {
            let fault = faults.join(format!("{stage}.{place}"));
            std::fs::write(&fault, "").unwrap();
            let (answer, file) = download(&account, &json!({ "url": good.url() })).await;
            assert!(!fault.exists(), "{stage} was not killed at its {place}");
            assert_eq!((&answer["status"], &answer["cost"]), (&json!("complete"), &json!(0.05)), "{answer}");
            assert_eq!(answer["file_size"], file.len());
            spent += 5;
            assert_eq!(account.audit().await, (Amount::cents(1000 - spent), Amount::ZERO), "{stage} {place}");
        }
    }
    for stage in [
        "stages.reserve",
        "media.download",
        "media.process",
        "media.upload",
        "stages.settle",
        "stages.release",
    ] {
        for place in ["start", "end"] {
            let fault = faults.join(format!("{stage}.{place}"));
            std::fs::write(&fault, "").unwrap();
            let fails = stage == "stages.release";
            let url = if fails { bad.url() } else { good.url() };
            let job = account.ask(&json!({ "url": url, "start": 1, "end": 12 - 8 * u8::from(!fails) })).await;
            let answer = account.finish(&job).await;
            assert!(!fault.exists(), "{stage} was not killed at its {place}");
            let (status, last) =
                if fails { ("failed", EntryKind::Refund) } else { ("complete", EntryKind::Charge) };
            assert_eq!(answer["status"], status, "{stage} {place}: {answer}");
            spent += u64::from(!fails) * 10;
            assert_eq!(account.movements(&job).await, [EntryKind::Reservation, last], "{stage} {place}");
            assert_eq!(account.audit().await, (Amount::cents(1000 - spent), Amount::ZERO), "{stage} {place}");
        }
    }
}
