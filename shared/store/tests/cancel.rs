//! A job ends once: by its owner's cancellation or by its own end, whoever comes first, and the money goes one way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;
#[path = "kit/clips.rs"]
mod making;

use domain::clip::ClipSpec;
use domain::cut::Span;
use domain::ids::{AccountId, JobId};
use domain::job::{Cap, Failure, Job, Status};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::source::SourceInfo;
use domain::time::{MediaTime, Timestamp};
use kit::{NAME, table, table_and_client};
use making::{accept, clip};
use store::Table;
use store::accept::Acceptance;
use store::jobs::Ending;
use store::ledger::Immediate;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const USD: WalletKind = WalletKind::Usd;

fn account() -> AccountId {
    AccountId::from_random([0; 16])
}

fn job(number: u8) -> Job {
    let span = Span { start: MediaTime(0), end: MediaTime(1) };
    let spec = ClipSpec::new("https://example.com/a.mp4", span, Some("mp3"), None).unwrap();
    let price = ("fastclip-2026-03".to_owned(), Amount::new(10));
    let id = JobId::from_random([number; 16]);
    let cap = Cap { key: "digest".to_owned(), day_end: 1_800_057_600, amount: Amount::new(10) };
    Job { cap: Some(cap), ..Job::accepted(id, account(), spec, SourceInfo::default(), price, NOW) }
}

fn complete(job: &Job) -> Ending {
    Ending::Complete { cost: Amount::new(6), clips: vec![clip(&job.id, account(), NOW)] }
}

/// Tries all the endings at once; returns which of them, by their places, were told that they came first.
async fn race(table: &Table, id: &JobId, endings: Vec<Ending>) -> Vec<usize> {
    let tries = endings.into_iter().map(|ending| {
        let (table, id) = (table.clone(), id.clone());
        tokio::spawn(async move { table.end(&id, &ending, NOW).await.unwrap().is_some() })
    });
    let mut first = Vec::new();
    for (place, attempt) in tries.collect::<Vec<_>>().into_iter().enumerate() {
        if attempt.await.unwrap() {
            first.push(place);
        }
    }
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn of_cancellations_completions_and_failures_one_happens() {
    let table = table().await;
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(1000));
    table.transfer("grant", (&account(), USD), grant, NOW).await.unwrap();
    let (mut left, mut clips, mut cancelled) = (1000, 0, 0);
    for round in 0..10_u8 {
        let job = Job { cap: None, ..job(round + 1) };
        assert!(matches!(accept(&table, job.clone(), 1).await, Acceptance::Accepted(job) if job.has_slot));
        let fail = Ending::Failed { failure: Failure::internal(), expired: round % 2 == 0 };
        let mut endings: Vec<Ending> = (0..20).map(|_| Ending::Cancelled).collect();
        // Each of the others comes at another place in the crowd.
        endings.insert(usize::from(round) * 2, complete(&job));
        if round % 3 == 0 {
            endings.insert(usize::from(round) * 7 % 20, fail);
        }
        let kinds: Vec<Ending> = endings.clone();
        let first = race(&table, &job.id, endings).await;
        assert_eq!(first.len(), 1, "told that it came first: {first:?}");
        let job = table.job(&job.id).await.unwrap().unwrap();
        let (status, last) = match kinds[first[0]] {
            Ending::Complete { .. } => {
                (left, clips) = (left - 6, clips + 1);
                (Status::Complete, EntryKind::Refund)
            }
            Ending::Failed { .. } => (Status::Failed, EntryKind::Refund),
            Ending::Cancelled => {
                cancelled += 1;
                assert_eq!(job.cost, Some(Amount::ZERO));
                (Status::Cancelled, EntryKind::Refund)
            }
        };
        assert_eq!(job.status, status);
        let rows = table.entries(&account(), USD).await.unwrap();
        assert_eq!(rows.last().unwrap().entry.kind, last);
        let wallet = table.wallet(&account(), USD).await.unwrap();
        assert_eq!((wallet.available, wallet.held), (Amount::new(left), Amount::ZERO));
        assert_eq!(
            rows.iter().map(|row| row.entry.seq).collect::<Vec<_>>(),
            (1..=wallet.seq).collect::<Vec<_>>()
        );
        let later = NOW.plus_ms(24 * 3_600_000);
        assert_eq!(
            table.due_chores(later, None).await.unwrap().found.len(),
            cancelled,
            "one order for each cancelled job"
        );
        assert_eq!(table.storage(&account()).await.unwrap().clips, clips);
        assert!(!table.has_open_jobs(&account()).await.unwrap());
    }
    assert_eq!(table.due_jobs(Timestamp(i64::MAX), None).await.unwrap().found, []);
}

#[tokio::test]
async fn a_cancelled_job_gives_everything_back_but_its_place_in_the_hour() {
    let (table, client) = table_and_client().await;
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(100));
    table.transfer("grant", (&account(), USD), grant, NOW).await.unwrap();
    let (running, waiting) = (job(1), Job { cap: None, ..job(2) });
    assert!(matches!(accept(&table, running.clone(), 1).await, Acceptance::Accepted(job) if job.has_slot));
    assert!(matches!(accept(&table, waiting.clone(), 1).await, Acceptance::Accepted(job) if !job.has_slot));
    assert!(matches!(accept(&table, job(3), 1).await, Acceptance::Capped));
    let used = async || {
        let outlook = table.outlook(&account(), domain::rate::clip_jobs(20), None, NOW).await.unwrap();
        outlook.jobs.remaining
    };
    let before = used().await;
    assert!(table.advance(&running.id, Status::Processing, 40, NOW).await.unwrap());
    assert!(table.end(&running.id, &Ending::Cancelled, NOW).await.unwrap().is_some());
    assert!(table.end(&running.id, &Ending::Cancelled, NOW).await.unwrap().is_none());
    assert_eq!(used().await, before, "a job counts when it is asked for");
    let job_now = table.job(&running.id).await.unwrap().unwrap();
    assert_eq!((job_now.status, job_now.progress), (Status::Cancelled, 40));
    // The slot goes to the one that waits, the key may spend again, and no stage goes on.
    assert_eq!(table.next_waiting(&account(), 1, NOW).await.unwrap(), Some(waiting.id.clone()));
    assert!(table.end(&waiting.id, &Ending::Cancelled, NOW).await.unwrap().is_some());
    assert!(matches!(accept(&table, job(3), 1).await, Acceptance::Accepted(_)));
    assert!(!table.advance(&running.id, Status::Uploading, 95, NOW).await.unwrap());
    assert!(!table.set_upload(&running.id, "upload").await.unwrap());
    assert!(table.end(&running.id, &complete(&running), NOW).await.unwrap().is_none());
    assert!(table.clip(&running.id, NOW).await.unwrap().is_none());

    // What the order to clear away names: all that a stage may write.
    let items = client.scan().table_name(NAME).send().await.unwrap().items.unwrap();
    let chores: Vec<String> = items
        .iter()
        .filter(|item| item["sk"].as_s().is_ok_and(|sk| sk == "CHORE"))
        .map(|item| format!("{item:?}"))
        .collect();
    let of_running = chores.iter().find(|chore| chore.contains(running.id.as_str())).unwrap();
    for key in [
        store::keys::work_object(&running.id, "plan.json"),
        store::keys::work_object(&running.id, &store::keys::share_output(39)),
        store::keys::clip_object(&running.id, "mp3"),
        store::keys::clip_object(&running.id, "jpg"),
    ] {
        assert!(of_running.contains(&format!("\"{key}\"")), "{key}: {of_running}");
    }
}
