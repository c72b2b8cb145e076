//! A job and its parts end together, and their clips are written at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;
#[path = "kit/clips.rs"]
mod making;

use domain::cut::Span;
use domain::ids::{AccountId, JobId};
use domain::job::{Cap, Failure, Job, Status};
use domain::ledger::EntryKind;
use domain::moments::{Confidence, Found, Moment, MomentsSpec, SEGMENTS_MAX, Wish};
use domain::money::{Amount, WalletKind};
use domain::source::{Location, SourceInfo};
use domain::time::{MediaTime, Timestamp};
use kit::table;
use making::{accept, clip};
use store::accept::Acceptance;
use store::jobs::Ending;
use store::ledger::Immediate;
use store::{StoreError, Table};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const USD: WalletKind = WalletKind::Usd;

fn account() -> AccountId {
    AccountId::from_random([0; 16])
}

fn found(count: usize) -> Found {
    let moment = |second: i64| Moment {
        span: Span { start: MediaTime(second), end: MediaTime(second + 1) },
        excerpt: "what is said".to_owned(),
        confidence: Confidence::of(0.5),
        why: None,
    };
    Found { moments: (0..).take(count).map(moment).collect(), ..Found::default() }
}

/// An accepted job of 20 that has what it found, and its parts.
async fn divided(table: &Table, count: usize) -> (Job, Vec<Job>) {
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(1000));
    table.transfer("grant", (&account(), USD), grant, NOW).await.unwrap();
    let location = Location::Url("https://example.com/a.mp4".to_owned());
    let spec =
        MomentsSpec::auto(location, Wish { query: "q", ..Wish::default() }, Some("mp3"), None).unwrap();
    let price = ("fastclip-2026-11".to_owned(), Amount::new(20));
    let job = Job::accepted(JobId::from_random([1; 16]), account(), spec, SourceInfo::default(), price, NOW);
    let cap = Cap { key: "digest".to_owned(), day_end: 1_800_057_600, amount: Amount::new(300) };
    let webhook = Some("https://example.com/hook".to_owned());
    let job = Job { cap: Some(cap), webhook, ..job };
    assert!(matches!(accept(table, job.clone(), 1).await, Acceptance::Accepted(_)));
    let parts = job.divided(&found(count), NOW);
    assert!(table.divide(&job.id, &found(count), &parts).await.unwrap());
    assert!(!table.divide(&job.id, &found(count), &parts).await.unwrap(), "once");
    (table.job(&job.id).await.unwrap().unwrap(), parts)
}

/// The most that one ending writes; DynamoDB takes 100 items.
#[tokio::test]
async fn as_many_clips_as_there_may_be_are_written_at_once() {
    let table = table().await;
    let (job, parts) = divided(&table, SEGMENTS_MAX).await;
    table.true_up(&job.id, Amount::new(210), NOW).await.unwrap();
    assert!(matches!(table.true_up(&job.id, Amount::new(301), NOW).await, Err(StoreError::Capped)));
    let lost = &parts[7].id;
    assert!(table.lose_part(lost, &Failure::internal(), NOW).await.unwrap());
    assert!(!table.lose_part(lost, &Failure::internal(), NOW).await.unwrap());
    assert!(!table.lose_part(&job.id, &Failure::internal(), NOW).await.unwrap(), "only a part");
    let made = parts.iter().filter(|part| part.id != *lost);
    let clips: Vec<_> = made.map(|part| clip(&part.id, account(), NOW)).collect();
    let ending = Ending::Complete { cost: Amount::new(200), clips };
    assert!(table.end(&job.id, &ending, NOW).await.unwrap().is_some());
    assert!(table.end(&job.id, &ending, NOW).await.unwrap().is_none());
    let wallet = table.wallet(&account(), USD).await.unwrap();
    assert_eq!((wallet.available, wallet.held), (Amount::new(800), Amount::ZERO));
    assert_eq!(table.storage(&account()).await.unwrap().clips, 19);
    for (part, clip) in table.parts(&job).await.unwrap() {
        let is_lost = part.id == *lost;
        assert_eq!(part.status, if is_lost { Status::Failed } else { Status::Complete });
        assert_eq!(clip.is_none(), is_lost);
    }
    assert_eq!(table.due_jobs(Timestamp(i64::MAX), None).await.unwrap().found, []);
}

#[tokio::test]
async fn parts_end_with_their_job() {
    let table = table().await;
    let (job, parts) = divided(&table, 3).await;
    assert!(table.advance(&parts[0].id, Status::Downloading, 10, NOW).await.unwrap());
    assert_eq!(
        table.due_jobs(Timestamp(i64::MAX), None).await.unwrap().found,
        std::slice::from_ref(&job.id),
        "no sweeper's work"
    );
    assert!(table.end(&job.id, &Ending::Cancelled, NOW).await.unwrap().is_some());
    for (part, _) in table.parts(&job).await.unwrap() {
        assert_eq!(part.status, Status::Cancelled);
        assert!(
            !table.advance(&part.id, Status::Processing, 50, NOW).await.unwrap(),
            "a stage that is at work stops"
        );
        assert!(!table.lose_part(&part.id, &Failure::internal(), NOW).await.unwrap());
    }
    let left: Vec<String> = store::leftovers::all(&job);
    for part in &parts {
        assert!(left.contains(&store::keys::clip_object(&part.id, "mp3")));
        assert!(left.contains(&store::keys::work_object(&part.id, "plan.json")));
    }
}

#[tokio::test]
async fn a_job_that_has_ended_is_not_divided() {
    let table = table().await;
    let location = Location::Url("https://example.com/a.mp4".to_owned());
    let spec = MomentsSpec::auto(location, Wish { query: "q", ..Wish::default() }, None, None).unwrap();
    let price = ("fastclip-2026-11".to_owned(), Amount::ZERO);
    let job = Job::accepted(JobId::from_random([1; 16]), account(), spec, SourceInfo::default(), price, NOW);
    assert!(matches!(accept(&table, job.clone(), 1).await, Acceptance::Accepted(_)));
    assert!(table.end(&job.id, &Ending::Cancelled, NOW).await.unwrap().is_some());
    let parts = job.divided(&found(2), NOW);
    assert!(!table.divide(&job.id, &found(2), &parts).await.unwrap());
    assert!(!table.set_found(&job.id, &found(2)).await.unwrap());
    assert!(table.job(&parts[0].id).await.unwrap().is_none());
}
