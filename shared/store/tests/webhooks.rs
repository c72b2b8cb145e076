//! Deliveries by the clock: found when they are due, taken by one, and ended once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use domain::ids::{AccountId, ApiKey, WebhookId};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::time::Timestamp;
use domain::webhook::{self, Attempt, Endpoint, Event, PAUSES_MS, Receiver, State, Topic, Verdict};
use kit::table;
use store::accounts::Account;
use store::ledger::Immediate;
use store::webhooks::Delivery;
use store::{StoreError, Table};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY_MS: i64 = 24 * 3_600_000;

fn account() -> AccountId {
    AccountId::from_random([0; 16])
}

fn hook(number: u8) -> Receiver {
    Receiver::Endpoint(WebhookId::from_random([number; 16]))
}

/// A table with an account and an endpoint for each of `topics`.
async fn listening(topics: &[&[Topic]]) -> Table {
    let table = table().await;
    let account = Account::new(account(), None, NOW);
    assert!(table.open_account(&account, &ApiKey::from_random([1; 32]), "test").await.unwrap());
    for (number, topics) in (0..).zip(topics) {
        let Receiver::Endpoint(id) = hook(number) else { unreachable!() };
        let url = webhook::address("https://example.com/").unwrap();
        let endpoint = Endpoint::new(id, &url, topics.to_vec(), NOW);
        let add =
            |webhooks: &mut webhook::Webhooks| if webhooks.add(endpoint.clone()) { Ok(()) } else { Err(()) };
        table.change_webhooks(&account.id, add).await.unwrap().unwrap();
    }
    table
}

async fn due(table: &Table, now: Timestamp) -> Vec<Delivery> {
    let mut found = Vec::new();
    for key in table.due_deliveries(now, None).await.unwrap().found {
        found.push(table.delivery(&key, now).await.unwrap().unwrap());
    }
    found
}

fn refused(at: Timestamp) -> Attempt {
    Attempt { at, duration_ms: 1, status: Some(500), error: None }
}

#[tokio::test]
async fn what_nobody_takes_is_due_nine_times_in_a_day_and_then_never_again() {
    let table = listening(&[&[]]).await;
    let event = Event::test(&WebhookId::from_random([0; 16]), NOW);
    table.tell_one(&account(), hook(0), &event).await.unwrap();
    assert!(due(&table, NOW).await.is_empty(), "its order is on its way");
    let mut now = NOW.plus_ms(20_001);
    for tries in 1..=9 {
        let [delivery] = due(&table, now).await.try_into().unwrap();
        assert!(table.order_again(&delivery, now).await.unwrap());
        assert!(due(&table, now).await.is_empty());
        let delivery = table.delivery(&delivery.key, now).await.unwrap().unwrap();
        let taken = table.take_delivery(&delivery, now).await.unwrap().unwrap();
        // A duplicate order reads the delivery as it is while the first attempt is under way.
        let seen = table.delivery(&delivery.key, now.plus_ms(5)).await.unwrap().unwrap();
        assert!(table.take_delivery(&seen, now.plus_ms(5)).await.unwrap().is_none(), "somebody has it");
        let replayed = table.replay_delivery(&seen, now.plus_ms(5)).await.unwrap();
        assert!(replayed.is_none(), "what comes of the attempt is written first");
        assert_eq!(taken.tries, tries);
        let verdict = refused(now).verdict(taken.tries, 0, now);
        let next = match verdict {
            Verdict::Retry(next) => next,
            verdict => {
                assert_eq!((verdict, tries), (Verdict::GivenUp, 9));
                now
            }
        };
        assert!(table.log_attempt(&taken, refused(now), verdict.state(), (next, false)).await.unwrap());
        assert!(!table.log_attempt(&taken, refused(now), verdict.state(), (next, false)).await.unwrap());
        now = next.plus_ms(1);
    }
    assert_eq!(now.0 - NOW.0, 20_001 + PAUSES_MS.iter().sum::<i64>() + 9);
    assert!(due(&table, now.plus_ms(DAY_MS)).await.is_empty());
    let page = table.delivery_page(&account(), &hook(0), None, 10, now).await.unwrap();
    assert_eq!((page.deliveries[0].state, page.deliveries[0].log.len()), (State::Failed, 9));

    // Ordered again, it has all its attempts before it.
    let replayed = table.replay_delivery(&page.deliveries[0], now).await.unwrap().unwrap();
    assert_eq!((replayed.state, replayed.tries, replayed.log.len()), (State::Pending, 0, 9));
    assert_eq!(due(&table, now.plus_ms(20_001)).await, [replayed]);
    let gone = NOW.plus_ms(7 * DAY_MS);
    assert!(table.delivery_page(&account(), &hook(0), None, 10, gone).await.unwrap().deliveries.is_empty());
}

/// Ten functions get the same order: one sends a request, and what comes of it is written down.
#[tokio::test(flavor = "multi_thread")]
async fn of_duplicate_orders_one_makes_an_attempt() {
    let table = listening(&[&[]]).await;
    let event = Event::test(&WebhookId::from_random([0; 16]), NOW);
    let delivery = table.tell_one(&account(), hook(0), &event).await.unwrap();
    let orders = (0..10).map(|late| {
        let (table, key, now) = (table.clone(), delivery.key.clone(), NOW.plus_ms(late * 3_900));
        tokio::spawn(async move {
            let seen = table.delivery(&key, now).await.unwrap().unwrap();
            table.take_delivery(&seen, now).await.unwrap()
        })
    });
    let mut taken = Vec::new();
    for order in orders.collect::<Vec<_>>() {
        taken.extend(order.await.unwrap());
    }
    let [taken] = taken.try_into().unwrap();
    let answered = Attempt { status: Some(200), ..refused(NOW) };
    assert!(table.log_attempt(&taken, answered, State::Delivered, (NOW, false)).await.unwrap());
    let after = table.delivery(&delivery.key, NOW).await.unwrap().unwrap();
    assert_eq!((after.state, after.log.len(), after.is_taken(NOW)), (State::Delivered, 1, false));
}

#[tokio::test]
async fn one_who_dies_with_a_delivery_in_hand_leaves_it_to_the_next() {
    let table = listening(&[&[]]).await;
    let event = Event::test(&WebhookId::from_random([0; 16]), NOW);
    let delivery = table.tell_one(&account(), hook(0), &event).await.unwrap();
    let first = table.take_delivery(&delivery, NOW).await.unwrap().unwrap();
    assert!(due(&table, NOW.plus_ms(39_999)).await.is_empty());
    let [found] = due(&table, NOW.plus_ms(40_001)).await.try_into().unwrap();
    let second = table.take_delivery(&found, NOW.plus_ms(40_001)).await.unwrap().unwrap();
    // It was not dead, only slow: what it found out counts no more.
    assert!(!table.log_attempt(&first, refused(NOW), State::Failed, (NOW, false)).await.unwrap());
    let taken = Attempt { status: Some(200), ..refused(NOW) };
    assert!(table.log_attempt(&second, taken, State::Delivered, (NOW, false)).await.unwrap());
    assert!(due(&table, NOW.plus_ms(DAY_MS)).await.is_empty());
}

#[tokio::test]
async fn a_balance_that_crosses_a_dollar_is_told_to_those_who_listen() {
    let table = listening(&[&[Topic::BalanceLow], &[Topic::JobFailed], &[]]).await;
    let move_by = async |name: &str, movement| {
        table.transfer(name, (&account(), WalletKind::Usd), movement, NOW).await.unwrap();
        due(&table, NOW.plus_ms(DAY_MS)).await.len()
    };
    assert_eq!(move_by("a", Immediate::Grant(EntryKind::Purchase, Amount::cents(50))).await, 0);
    assert_eq!(move_by("b", Immediate::Charge(Amount::cents(10))).await, 0, "it was low before");
    assert_eq!(move_by("c", Immediate::Grant(EntryKind::Purchase, Amount::cents(60))).await, 0);
    assert_eq!(move_by("d", Immediate::Charge(Amount::cents(1))).await, 2, "to two of the three");
    assert_eq!(move_by("d", Immediate::Charge(Amount::cents(1))).await, 2, "a repeat is none");
    assert_eq!(move_by("e", Immediate::Charge(Amount::cents(1))).await, 2);
    let credits = Immediate::Grant(EntryKind::Gift, Amount::cents(200));
    table.transfer("f", (&account(), WalletKind::Edit), credits, NOW).await.unwrap();
    let spent = Immediate::Charge(Amount::cents(150));
    table.transfer("g", (&account(), WalletKind::Edit), spent, NOW).await.unwrap();
    let told = due(&table, NOW.plus_ms(DAY_MS)).await;
    assert_eq!(
        told.iter().map(|delivery| &delivery.key.event).collect::<std::collections::BTreeSet<_>>().len(),
        1
    );
    let mut receivers: Vec<_> = told.into_iter().map(|delivery| delivery.key.receiver).collect();
    receivers.sort();
    assert_eq!(receivers, [hook(0), hook(2)]);
}

#[tokio::test]
async fn changes_at_once_do_not_undo_each_other_and_a_closed_account_has_none() {
    let table = listening(&[&[], &[]]).await;
    let rotate = |number| {
        let table = table.clone();
        tokio::spawn(async move {
            let one_more = |webhooks: &mut webhook::Webhooks| webhooks.rotate(&hook(number), NOW).ok_or(());
            table.change_webhooks(&account(), one_more).await.unwrap().unwrap()
        })
    };
    let mut versions = Vec::new();
    for handle in (0..10).map(|n| rotate(n % 2)).collect::<Vec<_>>() {
        versions.push(handle.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);

    let event = Event::test(&WebhookId::from_random([0; 16]), NOW);
    table.tell_one(&account(), hook(0), &event).await.unwrap();
    table.close_account(&account(), NOW).await.unwrap();
    let refused =
        table.change_webhooks(&account(), |webhooks| webhooks.rotate(&hook(0), NOW).ok_or(())).await;
    assert!(matches!(refused, Err(StoreError::NotFound)), "{refused:?}");
    table.forget_webhooks(&account()).await.unwrap();
    assert!(table.webhooks(&account()).await.unwrap().endpoints.is_empty());
    assert!(due(&table, NOW.plus_ms(DAY_MS)).await.is_empty());
}
