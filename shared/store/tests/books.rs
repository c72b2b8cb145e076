//! The ledger against a real DynamoDB implementation: many writers at once, and everything twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use domain::clip::ClipSpec;
use domain::cut::Span;
use domain::ids::{AccountId, JobId};
use domain::job::{Failure, Job, Status};
use domain::ledger::{EntryKind, LedgerError};
use domain::money::{Amount, WalletKind};
use domain::source::SourceInfo;
use domain::time::{MediaTime, Timestamp};
use kit::table;
use store::accept::{Acceptance, Terms};
use store::jobs::Ending;
use store::ledger::Immediate;
use store::{StoreError, Table};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const USD: WalletKind = WalletKind::Usd;

fn id(number: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[15] = number % 36;
    bytes[14] = number / 36;
    bytes
}

fn account() -> AccountId {
    AccountId::from_random(id(0))
}

fn job(number: u8, reserved: u64) -> Job {
    let span = Span { start: MediaTime(0), end: MediaTime(1) };
    let spec = ClipSpec::new("https://example.com/a.mp4", span, None, None).unwrap();
    let source = SourceInfo {
        title: "a".to_owned(),
        duration: MediaTime(9),
        has_audio: true,
        ..SourceInfo::default()
    };
    let price = ("fastclip-2026-03".to_owned(), Amount::new(reserved));
    Job::accepted(JobId::from_random(id(number)), account(), spec, source, price, NOW)
}

fn failed() -> Ending {
    Ending::Failed { failure: Failure::internal(), expired: false }
}

/// What the hold grows to is bounded by what the owner allows, at acceptance and later.
#[tokio::test]
async fn a_hold_never_outgrows_what_the_job_may_cost() {
    let table = table().await;
    let grant = Immediate::Grant(EntryKind::SignupBonus, Amount::new(100));
    assert!(table.transfer("grant", (&account(), USD), grant, NOW).await.unwrap());
    let bounded = |number, reserved| Job { max_cost: Some(Amount::new(20)), ..job(number, reserved) };
    assert!(matches!(accept(&table, bounded(1, 21), 9).await, Err(StoreError::TooDear(_))));
    assert!(table.job(&bounded(1, 21).id).await.unwrap().is_none(), "nothing was written");
    let job = accept(&table, bounded(2, 10), 9).await.unwrap();
    table.true_up(&job.id, Amount::new(20), NOW).await.unwrap();
    assert!(matches!(table.true_up(&job.id, Amount::new(21), NOW).await, Err(StoreError::TooDear(_))));
    let held = table.wallet(&account(), USD).await.unwrap();
    assert_eq!((held.available, held.held), (Amount::new(80), Amount::new(20)));
    assert!(table.end(&job.id, &failed(), NOW).await.unwrap().is_some());
    let back = table.wallet(&account(), USD).await.unwrap();
    assert_eq!((back.available, back.held), (Amount::new(100), Amount::ZERO));
}

async fn accept(table: &Table, job: Job, slots_max: u32) -> Result<Job, StoreError> {
    let quota = domain::rate::clip_jobs(1000);
    let outlook = table.outlook(&job.account, quota, None, NOW).await?;
    match table.accept(job, &outlook, &Terms { slots_max, quota, intention: None }).await? {
        Acceptance::Accepted(job) => Ok(job),
        other => panic!("{other:?}"),
    }
}

async fn grant(table: &Table, transfer: &str, amount: u64) -> bool {
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(amount));
    table.transfer(transfer, (&account(), USD), grant, NOW).await.unwrap()
}

/// The wallet is the sum of its entries, which are numbered without gaps.
async fn audit(table: &Table) -> (u64, u64) {
    let wallet = table.wallet(&account(), USD).await.unwrap();
    let rows = table.entries(&account(), USD).await.unwrap();
    domain::audit::audit(wallet, rows.iter().map(|row| (&row.entry, row.reference.as_str()))).unwrap();
    (wallet.available.units(), wallet.held.units())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_happens_once_however_often_it_is_tried() {
    let table = table().await;
    let tries = (0..16).map(|_| {
        let table = table.clone();
        tokio::spawn(async move { grant(&table, "purchase-1", 100).await })
    });
    let mut first = 0;
    for attempt in tries.collect::<Vec<_>>() {
        first += u32::from(attempt.await.unwrap());
    }
    assert_eq!((first, audit(&table).await), (1, (100, 0)));
    let charge = Immediate::Charge(Amount::new(100));
    assert!(table.transfer("charge-1", (&account(), USD), charge, NOW).await.unwrap());
    // The wallet is empty now; the repeat is still told from a charge that is not covered.
    assert!(!table.transfer("charge-1", (&account(), USD), charge, NOW).await.unwrap());
    let other = table.transfer("charge-2", (&account(), USD), charge, NOW).await;
    assert!(matches!(other, Err(StoreError::Ledger(LedgerError::Insufficient { .. }))), "{other:?}");
    assert_eq!(audit(&table).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_writers_lose_nothing() {
    let table = table().await;
    grant(&table, "start", 1000).await;
    let writers = (1..=32_u8).map(|number| {
        let table = table.clone();
        tokio::spawn(async move {
            let Ok(job) = accept(&table, job(number, 50), 100).await else { return 0 };
            match number % 3 {
                0 => assert!(table.end(&job.id, &failed(), NOW).await.unwrap().is_some()),
                1 => table.true_up(&job.id, Amount::new(20), NOW).await.unwrap(),
                _ => assert!(grant(&table, &format!("gift-{number}"), 7).await),
            }
            u64::from(number % 3 == 2) * 7
        })
    });
    let mut given = 0;
    for writer in writers.collect::<Vec<_>>() {
        given += writer.await.unwrap();
    }
    let (available, held) = audit(&table).await;
    assert_eq!(available + held, 1000 + given);
    assert!(held > 0 && given > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_once_whoever_comes_first() {
    let table = table().await;
    grant(&table, "start", 100).await;
    let job = accept(&table, job(1, 60), 5).await.unwrap();
    assert_eq!(audit(&table).await, (40, 60));
    let enders = (0..8).map(|_| {
        let (table, id) = (table.clone(), job.id.clone());
        tokio::spawn(async move { table.end(&id, &failed(), NOW).await.unwrap().is_some() })
    });
    let mut first = 0;
    for ender in enders.collect::<Vec<_>>() {
        first += u32::from(ender.await.unwrap());
    }
    assert_eq!((first, audit(&table).await), (1, (100, 0)));
    // What has ended changes no more.
    assert!(!table.advance(&job.id, Status::Processing, 50, NOW).await.unwrap());
    assert!(!table.begin(&job.id, NOW).await.unwrap());
    let true_up = table.true_up(&job.id, Amount::new(10), NOW).await;
    assert!(matches!(true_up, Err(StoreError::Ledger(LedgerError::Resolved(_)))), "{true_up:?}");
    assert_eq!(table.due_jobs(Timestamp(i64::MAX), None).await.unwrap().found, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_not_covered_leaves_nothing_behind() {
    let table = table().await;
    grant(&table, "start", 59).await;
    let refused = accept(&table, job(1, 60), 5).await;
    assert!(matches!(refused, Err(StoreError::Ledger(LedgerError::Insufficient { .. }))), "{refused:?}");
    assert_eq!(table.job(&job(1, 60).id).await.unwrap(), None);
    assert_eq!(audit(&table).await, (59, 0));
}

/// Those that wait crowd out nobody: they are listed apart, page by page, and those that an earlier release listed with the
/// others are moved as soon as they are looked at.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_are_listed_apart() {
    let (table, client) = kit::table_and_client().await;
    grant(&table, "start", 100).await;
    let running = accept(&table, job(1, 10), 1).await.unwrap();
    let waiting = accept(&table, job(2, 10), 1).await.unwrap();
    let earlier = accept(&table, job(3, 10), 1).await.unwrap();
    assert!(running.has_slot && !waiting.has_slot && !earlier.has_slot);
    let as_before = client.update_item().table_name(kit::NAME).update_expression("SET #open = :job");
    let key = |sk: &str| aws_sdk_dynamodb::types::AttributeValue::S(sk.to_owned());
    let as_before = as_before.key("pk", key(&format!("JOB#{}", earlier.id))).key("sk", key("JOB"));
    let as_before = as_before.expression_attribute_names("#open", "open");
    as_before.expression_attribute_values(":job", key("job")).send().await.unwrap();

    let later = NOW.plus_ms(3_600_000);
    let listed = async || {
        let of =
            |due: store::due::Due<JobId>| due.found.into_iter().collect::<std::collections::BTreeSet<_>>();
        (of(table.due_jobs(later, None).await.unwrap()), of(table.due_waiting(later, None).await.unwrap()))
    };
    let ids = |jobs: &[&Job]| jobs.iter().map(|job| job.id.clone()).collect();
    assert_eq!(listed().await, (ids(&[&running, &earlier]), ids(&[&waiting])));
    assert_eq!(table.open_jobs(None).await.unwrap(), 3);
    // Each is looked at once, whoever else looks; a job with a slot is not one of them.
    for (job, waits) in [(&running, false), (&waiting, true), (&earlier, true), (&waiting, false)] {
        let put_off = table.put_off_waiting(&job.id, later, later.plus_ms(60_000)).await.unwrap();
        assert_eq!(put_off.map(|job| job.id), waits.then(|| job.id.clone()));
    }
    assert_eq!(listed().await, (ids(&[&running]), ids(&[])));
    // With a slot it is one of those that run.
    assert!(table.end(&running.id, &failed(), NOW).await.unwrap().is_some());
    let next = table.next_waiting(&account(), 1, NOW).await.unwrap().unwrap();
    assert_eq!(listed().await.0, [next].into());
    assert_eq!(table.open_jobs(None).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_listed_page_by_page() {
    let table = table().await;
    grant(&table, "start", 1000).await;
    for number in 0..201 {
        let at = NOW.plus_ms(i64::from(number));
        accept(&table, Job { created_at: at, due_at: at, ..job(number, 1) }, 1000).await.unwrap();
    }
    let (mut found, mut from, mut pages) = (Vec::new(), None, 0);
    loop {
        let due = table.due_jobs(NOW.plus_ms(1000), from).await.unwrap();
        found.extend(due.found);
        pages += 1;
        from = due.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (201, 3));
    let ids: std::collections::BTreeSet<_> = found.iter().collect();
    assert_eq!(ids.len(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_get_freed_slots_in_order() {
    let table = table().await;
    grant(&table, "start", 100).await;
    let mut jobs = Vec::new();
    for number in 1..=3 {
        let mut job = job(number, 10);
        job.created_at = NOW.plus_ms(number.into());
        jobs.push(accept(&table, job, 1).await.unwrap());
    }
    assert_eq!(jobs.iter().map(|job| job.has_slot).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(table.next_waiting(&account(), 1, NOW).await.unwrap(), None, "no slot is free");
    // A waiting job that ends leaves the queue.
    assert!(table.end(&jobs[1].id, &failed(), NOW).await.unwrap().is_some());
    assert!(table.end(&jobs[0].id, &failed(), NOW).await.unwrap().is_some());
    assert_eq!(table.next_waiting(&account(), 1, NOW).await.unwrap(), Some(jobs[2].id.clone()));
    assert_eq!(table.next_waiting(&account(), 1, NOW).await.unwrap(), None);
    assert!(table.job(&jobs[2].id).await.unwrap().unwrap().has_slot);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_and_the_sweepers_index() {
    let table = table().await;
    grant(&table, "start", 100).await;
    let job = accept(&table, job(1, 10), 5).await.unwrap();
    let progress = async || table.job(&job.id).await.unwrap().unwrap().progress;
    assert!(table.advance(&job.id, Status::Processing, 40, NOW).await.unwrap());
    assert!(table.advance(&job.id, Status::Downloading, 20, NOW).await.unwrap(), "late, but the job is open");
    assert_eq!(progress().await, 40);
    let due = job.due_at;
    assert_eq!(
        table.due_jobs(due, None).await.unwrap().found,
        [],
        "due at the instant itself is not overdue"
    );
    assert_eq!(table.due_jobs(due.plus_ms(1), None).await.unwrap().found, std::slice::from_ref(&job.id));
}
