//! Counting and remembering against a real DynamoDB implementation, with a clock that the test holds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::clip::ClipSpec;
use domain::cut::Span;
use domain::idempotency::{Intention, kept_until};
use domain::ids::{AccountId, ApiKey, JobId};
use domain::job::{Cap, Failure, Job};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::rate::{NEW_KEYS, Quota, REQUESTS, STATUS_READS, Tier, Window, clip_jobs, look_seconds};
use domain::source::SourceInfo;
use domain::time::{MediaTime, Timestamp};
use kit::{NAME, table, table_and_client};
use store::Table;
use store::accept::{Acceptance, Terms};
use store::accounts::{Account, KeyRecord};
use store::api_keys::NewKey;
use store::idempotency::{Answer, Earlier};
use store::jobs::Ending;
use store::ledger::Immediate;
use store::rate::Who;

/// A full minute, hour and day.
const MIDNIGHT: Timestamp = Timestamp(1_800_057_600_000);

fn account() -> AccountId {
    AccountId::from_random([1; 16])
}

async fn with_key(table: &Table) -> ApiKey {
    let key = ApiKey::from_random([7; 32]);
    assert!(table.open_account(&Account::new(account(), None, MIDNIGHT), &key, "test").await.unwrap());
    key
}

/// Whether a request passes, and how many are left.
async fn ask(table: &Table, key: &ApiKey, quota: Quota, now: Timestamp) -> (bool, u32) {
    let admission = table.admit(key, &[quota], now).await.unwrap().unwrap();
    assert_eq!(admission.key.account, account());
    (admission.decisions[0].allowed, admission.decisions[0].remaining)
}

#[tokio::test]
async fn windows_are_exact_at_their_borders() {
    let table = table().await;
    let key = with_key(&table).await;
    let two = Quota { max: 2, ..REQUESTS };
    assert_eq!(ask(&table, &key, two, MIDNIGHT).await, (true, 1));
    let last = MIDNIGHT.plus_ms(59_999);
    assert_eq!(ask(&table, &key, two, last).await, (true, 0));
    assert_eq!(ask(&table, &key, two, last).await, (false, 0));
    let next = MIDNIGHT.plus_ms(60_000);
    assert_eq!(ask(&table, &key, two, next).await, (true, 1));
    // A function whose clock is behind by a millisecond finds the old window as full as it was.
    assert_eq!(ask(&table, &key, two, last).await, (false, 0));
    // Another quota of the same key has a count of its own.
    assert_eq!(ask(&table, &key, STATUS_READS, last).await, (true, 299));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_at_once_exactly_60_pass() {
    let table = table().await;
    let key = with_key(&table).await;
    let asks = (0..64).map(|_| {
        let (table, key) = (table.clone(), key.clone());
        tokio::spawn(async move { ask(&table, &key, REQUESTS, MIDNIGHT).await })
    });
    let mut left = Vec::new();
    for (allowed, remaining) in futures(asks).await {
        if allowed {
            left.push(remaining);
        }
    }
    left.sort_unstable();
    assert_eq!(left, (0..60).collect::<Vec<_>>());
}

async fn futures<T>(tasks: impl Iterator<Item = tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut all = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        all.push(task.await.unwrap());
    }
    all
}

#[tokio::test]
async fn a_request_counts_in_all_of_its_quotas_or_in_none() {
    let table = table().await;
    let key = with_key(&table).await;
    for minute in 0..10 {
        for _ in 0..5 {
            let admission =
                table.admit(&key, Tier::Free.quotas(), MIDNIGHT.plus_ms(minute * 60_000)).await.unwrap();
            assert!(admission.unwrap().decisions.iter().all(|decision| decision.allowed), "{minute}");
        }
        let now = MIDNIGHT.plus_ms(minute * 60_000 + 1);
        let [minute, day] = table.admit(&key, Tier::Free.quotas(), now).await.unwrap().unwrap().decisions[..]
        else {
            panic!("two quotas, two decisions")
        };
        assert!(!minute.allowed);
        assert_eq!(day.window, Window::Day);
    }
    // The 50 of the day are used up: a fresh minute does not help, the next day does.
    let late = table.admit(&key, Tier::Free.quotas(), MIDNIGHT.plus_ms(3_600_000)).await.unwrap().unwrap();
    assert_eq!(late.decisions.iter().map(|d| d.allowed).collect::<Vec<_>>(), [true, false]);
    assert_eq!((late.decisions[0].remaining, late.decisions[1].remaining), (5, 0));
    let tomorrow =
        table.admit(&key, Tier::Free.quotas(), MIDNIGHT.plus_ms(86_400_000)).await.unwrap().unwrap();
    assert_eq!(tomorrow.decisions.iter().map(|d| d.remaining).collect::<Vec<_>>(), [4, 49]);
}

async fn make_key(table: &Table, number: u8, now: Timestamp) -> (ApiKey, NewKey) {
    let key = ApiKey::from_random([number; 32]);
    let record = KeyRecord {
        account: account(),
        name: "more".to_owned(),
        created_at: now,
        scopes: Vec::new(),
        daily_cap: None,
    };
    let made = table.create_key(&key, &record).await.unwrap();
    (key, made)
}

/// However an account changes its keys, no more than ten windows are of use to it within a minute, and no more than 20 new
/// ones in a day.
#[tokio::test]
async fn fresh_keys_bring_no_fresh_windows() {
    let table = table().await;
    let first = with_key(&table).await;
    for _ in 0..REQUESTS.max {
        assert!(ask(&table, &first, REQUESTS, MIDNIGHT).await.0);
    }
    // Beside the first one, a second key has its own window.
    let (second, _) = make_key(&table, 20, MIDNIGHT).await;
    assert!(ask(&table, &second, REQUESTS, MIDNIGHT).await.0);
    let id = table.keys_of(&account()).await.unwrap().remove(0).id;
    assert!(table.delete_key(&account(), &id, MIDNIGHT.plus_ms(10)).await.unwrap());
    let (third, _) = make_key(&table, 21, MIDNIGHT.plus_ms(20)).await;
    let last = MIDNIGHT.plus_ms(59_999);
    for quota in [REQUESTS, STATUS_READS] {
        assert!(
            !ask(&table, &third, quota, last).await.0,
            "it has the window of the one whose place it takes"
        );
        assert!(ask(&table, &third, quota, MIDNIGHT.plus_ms(60_000)).await.0);
    }
    let (fourth, _) = make_key(&table, 22, MIDNIGHT.plus_ms(60_000)).await;
    assert!(ask(&table, &fourth, REQUESTS, MIDNIGHT.plus_ms(60_000)).await.0);

    // Three were made today, and 17 more can be, if others go.
    for number in 3..NEW_KEYS.max as u8 {
        let (_, made) = make_key(&table, 30 + number, MIDNIGHT.plus_ms(120_000)).await;
        let NewKey::Made(listing) = made else { panic!("{number}: {made:?}") };
        assert!(table.delete_key(&account(), &listing.id, MIDNIGHT.plus_ms(120_000)).await.unwrap());
    }
    let (_, refused) = make_key(&table, 60, MIDNIGHT.plus_ms(86_399_999)).await;
    assert!(matches!(&refused, NewKey::TooManyToday(limit) if limit.retry_after == 1), "{refused:?}");
    let (_, made) = make_key(&table, 60, MIDNIGHT.plus_ms(86_400_000)).await;
    assert!(matches!(made, NewKey::Made(_)), "{made:?}");
}

/// What is large is taken before it begins, so that no number of them at once gets more.
#[tokio::test(flavor = "multi_thread")]
async fn time_is_taken_at_once_and_the_rest_given_back() {
    let table = table().await;
    let (quota, account) = (look_seconds(60), account());
    let take =
        async |amount, now| table.take(Who::Account(&account), quota, amount, now).await.unwrap().allowed;
    let takers = (0..10).map(|_| {
        let (table, account) = (table.clone(), account.clone());
        tokio::spawn(
            async move { table.take(Who::Account(&account), quota, 20, MIDNIGHT).await.unwrap().allowed },
        )
    });
    assert_eq!(futures(takers).await.into_iter().filter(|allowed| *allowed).count(), 3);
    let later = MIDNIGHT.plus_ms(59_999);
    table.give_back(Who::Account(&account), quota, 19, (MIDNIGHT, later)).await.unwrap();
    assert!(!take(20, later).await);
    assert!(take(19, later).await);
    // What is given back too late is nobody's; what is larger than all there is takes all there is.
    let next = MIDNIGHT.plus_ms(60_000);
    table.give_back(Who::Account(&account), quota, 19, (later, next)).await.unwrap();
    assert!(take(1000, next).await);
    assert!(!take(1, next).await);
}

#[tokio::test]
async fn a_key_that_nobody_has_is_none() {
    let table = table().await;
    let key = with_key(&table).await;
    let stranger = ApiKey::from_random([8; 32]);
    assert!(table.admit(&stranger, &[REQUESTS], MIDNIGHT).await.unwrap().is_none());
    assert!(table.admit(&stranger, &[REQUESTS], MIDNIGHT).await.unwrap().is_none(), "the first left an item");
    assert!(table.admit(&key, &[REQUESTS], MIDNIGHT).await.unwrap().is_some());
}

/// A key that is used for a minute now and then leaves a count each time; they are taken away before they are many.
#[tokio::test]
async fn a_keys_item_does_not_grow() {
    let (table, client) = table_and_client().await;
    let key = with_key(&table).await;
    let size = async || {
        let item = client
            .get_item()
            .table_name(NAME)
            .key("pk", AttributeValue::S(format!("KEY#{}", key.digest())))
            .key("sk", AttributeValue::S("KEY".to_owned()))
            .send();
        let item = item.await.unwrap().item.unwrap();
        item.keys().filter(|name| name.starts_with("rate_")).count()
    };
    let mut largest = 0;
    for visit in 0..60 {
        ask(&table, &key, REQUESTS, MIDNIGHT.plus_ms(visit * 1_000_000)).await;
        largest = largest.max(size().await);
    }
    assert!((10..=18).contains(&largest), "{largest}");
    // In steady use the update itself takes the old ones away.
    let before = size().await;
    for minute in 0..60 {
        ask(&table, &key, REQUESTS, MIDNIGHT.plus_ms(100_000_000 + minute * 60_000)).await;
    }
    assert!(size().await <= before + 2, "{before} {}", size().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_key_is_counted_by_name() {
    let (table, client) = table_and_client().await;
    let quota = domain::rate::open_requests(3);
    let asks = (0..5).map(|_| {
        let table = table.clone();
        tokio::spawn(async move { table.count("192.0.2.7", quota, MIDNIGHT).await.unwrap().allowed })
    });
    assert_eq!(futures(asks).await.into_iter().filter(|allowed| *allowed).count(), 3);
    assert!(table.count("192.0.2.8", quota, MIDNIGHT).await.unwrap().allowed);
    assert!(table.count("192.0.2.7", quota, MIDNIGHT.plus_ms(60_000)).await.unwrap().allowed);
    let items = client.scan().table_name(NAME).send().await.unwrap().items.unwrap();
    assert_eq!(items.len(), 3);
    for item in items {
        assert!(item["ttl"].as_n().unwrap().parse::<i64>().unwrap() > MIDNIGHT.epoch_seconds());
        assert!(!format!("{item:?}").contains("192.0.2"), "an address is personal data: {item:?}");
    }
}

fn job(number: u8, now: Timestamp) -> Job {
    let span = Span { start: MediaTime(0), end: MediaTime(1) };
    let spec = ClipSpec::new("https://example.com/a.mp4", span, None, None).unwrap();
    let source = SourceInfo {
        title: "a".to_owned(),
        duration: MediaTime(9),
        has_audio: true,
        ..SourceInfo::default()
    };
    let price = ("fastclip-2026-03".to_owned(), Amount::new(10));
    Job::accepted(JobId::from_random([number; 16]), account(), spec, source, price, now)
}

fn intention(key: &str, body: &str) -> Intention {
    Intention::new(key.as_bytes(), "POST", "/v1/clip", body.as_bytes()).unwrap()
}

/// Asks for job `number`; the answer is its number.
async fn accept(table: &Table, number: u8, quota: Quota, named: &Intention, now: Timestamp) -> Acceptance {
    let outlook = table.outlook(&account(), quota, Some(named), now).await.unwrap();
    if let Some(earlier) = outlook.earlier {
        return Acceptance::Earlier(earlier);
    }
    let answer = Answer { status: 200, body: number.to_string(), object: None };
    let terms = Terms { slots_max: 100, quota, intention: Some((named, &answer)) };
    table.accept(job(number, now), &outlook, &terms).await.unwrap()
}

async fn rich(table: &Table, amount: u64) {
    let gift = Immediate::Grant(EntryKind::Gift, Amount::new(amount));
    assert!(table.transfer("gift", (&account(), WalletKind::Usd), gift, MIDNIGHT).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_intention_is_carried_out_once() {
    let table = table().await;
    // Enough for one job: a second hold would not even be possible.
    rich(&table, 10).await;
    let tries = (1..=20).map(|number| {
        let table = table.clone();
        tokio::spawn(async move {
            match accept(&table, number, clip_jobs(1), &intention("k", "{}"), MIDNIGHT).await {
                Acceptance::Accepted(job) => (true, job.id.to_string()),
                Acceptance::Earlier(Earlier::Same(answer)) => {
                    (false, JobId::from_random([answer.body.parse().unwrap(); 16]).to_string())
                }
                other => panic!("{other:?}"),
            }
        })
    });
    let heard = futures(tries).await;
    assert_eq!(heard.iter().filter(|(first, _)| *first).count(), 1);
    assert!(heard.iter().all(|(_, job)| *job == heard[0].1), "{heard:?}");
    let wallet = table.wallet(&account(), WalletKind::Usd).await.unwrap();
    assert_eq!((wallet.available, wallet.held), (Amount::new(0), Amount::new(10)));
}

#[tokio::test]
async fn a_key_is_kept_for_24_hours_and_no_longer() {
    let table = table().await;
    rich(&table, 100).await;
    let quota = clip_jobs(20);
    let first = accept(&table, 1, quota, &intention("k", "{}"), MIDNIGHT).await;
    assert!(matches!(first, Acceptance::Accepted(_)));
    let last = kept_until(MIDNIGHT).plus_ms(-1);
    let again = accept(&table, 2, quota, &intention("k", "{}"), last).await;
    let Acceptance::Earlier(Earlier::Same(answer)) = again else { panic!("{again:?}") };
    assert_eq!(answer, Answer { status: 200, body: "1".to_owned(), object: None });
    let other = accept(&table, 3, quota, &intention("k", r#"{"start":2}"#), last).await;
    assert!(matches!(other, Acceptance::Earlier(Earlier::Other)), "{other:?}");
    // DynamoDB has not deleted the record yet; the clock says that it is over.
    let late = accept(&table, 4, quota, &intention("k", "[]"), kept_until(MIDNIGHT)).await;
    assert!(matches!(late, Acceptance::Accepted(_)), "{late:?}");
    assert_eq!(table.wallet(&account(), WalletKind::Usd).await.unwrap().held, Amount::new(20));
}

/// What counts is what the body means; of what an earlier release wrote down only the bytes are known.
#[tokio::test]
async fn the_same_request_in_other_words_is_the_same() {
    let (table, client) = table_and_client().await;
    rich(&table, 100).await;
    let quota = clip_jobs(20);
    let (body, reworded) = (r#"{"start":2,"end":4}"#, "{ \"end\": 4.0, \"start\": 2e0 }");
    let first = accept(&table, 1, quota, &intention("k", body), MIDNIGHT).await;
    assert!(matches!(first, Acceptance::Accepted(_)));
    let heard = async |body: &str| match accept(&table, 2, quota, &intention("k", body), MIDNIGHT).await {
        Acceptance::Earlier(Earlier::Same(_)) => true,
        Acceptance::Earlier(Earlier::Other) => false,
        other => panic!("{other:?}"),
    };
    assert!(heard(body).await && heard(reworded).await);
    assert!(!heard(r#"{"start":2,"end":5}"#).await);
    let key = |text: String| AttributeValue::S(text);
    let pk = format!("IDEM#{}#{}", account(), intention("k", body).key);
    let earlier = client.update_item().table_name(NAME).key("pk", key(pk)).key("sk", key("IDEM".to_owned()));
    earlier.update_expression("REMOVE meaning").send().await.unwrap();
    assert!(heard(body).await && !heard(reworded).await);
}

#[tokio::test]
async fn a_job_past_the_hours_quota_spends_nothing() {
    let table = table().await;
    rich(&table, 1000).await;
    let quota = clip_jobs(2);
    let mut numbers = 1..;
    let mut next = async |now| {
        let number = numbers.next().unwrap();
        accept(&table, number, quota, &intention(&number.to_string(), "{}"), now).await
    };
    for _ in 0..2 {
        assert!(matches!(next(MIDNIGHT).await, Acceptance::Accepted(_)));
    }
    let before = table.wallet(&account(), WalletKind::Usd).await.unwrap();
    let refused = next(MIDNIGHT.plus_ms(3_599_000)).await;
    let Acceptance::TooMany(limit) = refused else { panic!("{refused:?}") };
    assert_eq!((limit.allowed, limit.remaining, limit.retry_after), (false, 0, 1));
    assert_eq!(table.wallet(&account(), WalletKind::Usd).await.unwrap(), before);
    // What was refused was not remembered either: it may be asked for again, under the same name.
    let again = accept(&table, 3, quota, &intention("3", "{}"), MIDNIGHT.plus_ms(3_600_000)).await;
    assert!(matches!(again, Acceptance::Accepted(_)), "{again:?}");
}

#[tokio::test]
async fn a_key_spends_no_more_than_its_cap_and_what_comes_back_may_be_spent_again() {
    let table = table().await;
    rich(&table, 1000).await;
    let quota = clip_jobs(100);
    let ask = async |number: u8, amount: u64| {
        let cap =
            Cap { key: "abc".to_owned(), day_end: Window::Day.end(MIDNIGHT), amount: Amount::new(amount) };
        let job = Job { cap: Some(cap), ..job(number, MIDNIGHT) };
        let outlook = table.outlook(&account(), quota, None, MIDNIGHT).await.unwrap();
        table.accept(job, &outlook, &Terms { slots_max: 100, quota, intention: None }).await.unwrap()
    };
    assert!(matches!(ask(1, 9).await, Acceptance::Capped), "a job of 10 under a cap of 9");
    let Acceptance::Accepted(first) = ask(2, 25).await else { panic!("the first") };
    let Acceptance::Accepted(second) = ask(3, 25).await else { panic!("the second") };
    assert!(matches!(ask(4, 25).await, Acceptance::Capped), "20 of 25 are spent");
    assert_eq!(table.wallet(&account(), WalletKind::Usd).await.unwrap().held, Amount::new(20));
    // One fails and gives back all; the other turns out to be dearer by 5.
    let failed = Ending::Failed { failure: Failure::internal(), expired: false };
    assert!(table.end(&first.id, &failed, MIDNIGHT).await.unwrap().is_some());
    table.true_up(&second.id, Amount::new(15), MIDNIGHT).await.unwrap();
    assert!(matches!(ask(5, 24).await, Acceptance::Capped), "15 of 24");
    assert!(matches!(ask(6, 25).await, Acceptance::Accepted(_)), "15 of 25");
}
