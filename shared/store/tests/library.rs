//! A clip's whole life by the clock, and who wins when two change it at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;
#[path = "kit/clips.rs"]
mod making;

use domain::clip::ClipSpec;
use domain::cut::Span;
use domain::ids::{AccountId, JobId};
use domain::job::Job;
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::source::SourceInfo;
use domain::storage::Storage;
use domain::time::{MediaTime, Timestamp};
use kit::table;
use store::Table;
use store::accept::Acceptance;
use store::clips::Clip;
use store::jobs::Ending;
use store::keys::Shelf;
use store::ledger::Immediate;
use store::library::Start;
use store::shelves::Moved;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY_MS: i64 = 24 * 3_600_000;

fn account() -> AccountId {
    AccountId::from_random([0; 16])
}

/// A clip of `size` bytes, made at `now` by a job of its own.
async fn made(table: &Table, number: u8, size: u64, now: Timestamp) -> Clip {
    let id = JobId::from_random([number; 16]);
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(1));
    table.transfer(id.as_str(), (&account(), WalletKind::Usd), grant, now).await.unwrap();
    let span = Span { start: MediaTime(0), end: MediaTime(1) };
    let spec = ClipSpec::new("https://example.com/a.mp4", span, None, None).unwrap();
    let price = ("fastclip-2026-03".to_owned(), Amount::new(1));
    let job = Job::accepted(id.clone(), account(), spec, SourceInfo::default(), price, now);
    assert!(matches!(making::accept(table, job, 9).await, Acceptance::Accepted(_)));
    let mut clip = making::clip(&id, account(), now);
    clip.output.size_bytes = size;
    let ending = Ending::Complete { cost: Amount::new(1), clips: vec![clip.clone()] };
    assert!(table.end(&id, &ending, now).await.unwrap().is_some());
    clip
}

/// What is listed at `now`, which is as many as there are said to be.
async fn listed(table: &Table, now: Timestamp) -> Vec<Clip> {
    let page = table.clip_page(&account(), Start::Skip(0), 100, now).await.unwrap();
    assert!(page.next.is_none());
    assert_eq!(table.clip_count(&account(), now).await.unwrap(), page.clips.len() as u64);
    page.clips
}

async fn moved(table: &Table, clip: &Clip, to: Shelf, now: Timestamp) -> Clip {
    let begun = table.begin_move(clip, to, now).await.unwrap();
    match table.finish_move(&begun).await.unwrap() {
        Moved::Done(clip) => *clip,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_clip_lives_for_a_day_to_the_millisecond_and_anew_once_it_is_unpinned() {
    let table = table().await;
    let clip = made(&table, 1, 7, NOW).await;
    let (last, end) = (NOW.plus_ms(DAY_MS - 1), NOW.plus_ms(DAY_MS));
    assert_eq!(listed(&table, last).await, std::slice::from_ref(&clip));
    assert_eq!(table.clip(&clip.id, last).await.unwrap(), Some(clip.clone()));
    assert!(listed(&table, end).await.is_empty());
    assert_eq!(table.clip(&clip.id, end).await.unwrap(), None);
    assert!(!table.rename_clip(&account(), &clip.id, "b", end).await.unwrap());
    // It is looked at an hour before, to tell its owner once, and when it is over.
    let hour_before = domain::expiry::clip_warned_at(end);
    assert!(table.due_clips(hour_before, None).await.unwrap().found.is_empty());
    let soon = hour_before.plus_ms(1);
    assert_eq!(table.due_clips(soon, None).await.unwrap().found, std::slice::from_ref(&clip.id));
    assert!(table.warn_of_expiry(&clip.id, soon).await.unwrap());
    assert!(!table.warn_of_expiry(&clip.id, soon).await.unwrap());
    assert!(table.due_clips(end, None).await.unwrap().found.is_empty());
    assert!(!table.warn_of_expiry(&clip.id, end).await.unwrap(), "it is over");
    assert_eq!(table.due_clips(end.plus_ms(1), None).await.unwrap().found, std::slice::from_ref(&clip.id));

    let pinned = moved(&table, &clip, Shelf::Pinned, last).await;
    let years = NOW.plus_ms(5 * 365 * DAY_MS);
    assert_eq!(listed(&table, years).await, std::slice::from_ref(&pinned));
    assert!(table.due_clips(years, None).await.unwrap().found.is_empty());
    assert!(!table.warn_of_expiry(&clip.id, years).await.unwrap(), "it has no end");
    let sums = Storage { clips: 1, pinned: 1, used: 7, purchased_gb: 0 };
    assert_eq!(table.storage(&account()).await.unwrap(), sums);

    let unpinned = moved(&table, &pinned, Shelf::Day, years).await;
    assert_eq!(unpinned.expires_at, Some(years.plus_ms(DAY_MS)));
    assert_eq!(listed(&table, years.plus_ms(DAY_MS - 1)).await, [unpinned]);
    assert!(listed(&table, years.plus_ms(DAY_MS)).await.is_empty());
    let sums = Storage { clips: 1, ..Storage::default() };
    assert_eq!(table.storage(&account()).await.unwrap(), sums);
}

#[tokio::test]
async fn of_two_moves_one_is_overtaken_and_of_two_clips_one_finds_room() {
    let table = table().await;
    let (a, b) = (made(&table, 1, 600_000_000, NOW).await, made(&table, 2, 600_000_000, NOW).await);
    let (first, second) = (
        table.begin_move(&a, Shelf::Pinned, NOW).await.unwrap(),
        table.begin_move(&a, Shelf::Pinned, NOW).await.unwrap(),
    );
    let (x, y) = tokio::join!(table.finish_move(&first), table.finish_move(&second));
    let both = [x.unwrap(), y.unwrap()];
    let done = both.iter().filter(|moved| matches!(moved, Moved::Done(_))).count();
    assert!(done == 1, "{both:?}");
    let late = table.begin_move(&b, Shelf::Pinned, NOW).await.unwrap();
    assert!(matches!(table.finish_move(&late).await.unwrap(), Moved::Full(full) if full.free == 400_000_000));
    let removed = table.discard_clip(&a, NOW).await.unwrap();
    assert!(removed.is_none(), "not as it was read any more");
    let a = table.clip(&a.id, NOW).await.unwrap().unwrap();
    assert!(table.discard_clip(&a, NOW).await.unwrap().is_some());
    assert!(matches!(table.finish_move(&late).await.unwrap(), Moved::Done(_)));
    let sums = Storage { clips: 1, pinned: 1, used: 600_000_000, purchased_gb: 0 };
    assert_eq!(table.storage(&account()).await.unwrap(), sums);
    let chores = table.due_chores(NOW.plus_ms(DAY_MS), None).await.unwrap().found;
    assert_eq!(chores.len(), 4, "each has something to delete");
}
