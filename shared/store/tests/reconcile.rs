//! Reconciliation against a real DynamoDB implementation: what is wrong is found, what merely changes is not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::audit::Mismatch;
use domain::ids::AccountId;
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::time::Timestamp;
use store::Table;
use store::ledger::Immediate;
use store::reconcile::{Finding, Pass};

/// Three in the morning (UTC).
const NIGHT: Timestamp = Timestamp(1_800_068_400_000);
const HOUR_MS: i64 = 3_600_000;
const USD: WalletKind = WalletKind::Usd;

fn account(number: u8) -> AccountId {
    let mut random = [0; 16];
    (random[0], random[15]) = (number % 36, number / 36);
    AccountId::from_random(random)
}

async fn grant(table: &Table, account: &AccountId, kind: WalletKind, name: &str, amount: u64) {
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(amount));
    assert!(table.transfer(&format!("{name}-{account}"), (account, kind), grant, NIGHT).await.unwrap());
}

/// A whole reconciliation, and what it told of wallets that are not fine. Its pages have 7 items, so that wallets and
/// their first entries often stand in different ones.
async fn reconcile(table: &Table, now: Timestamp) -> (Option<Pass>, Vec<(AccountId, WalletKind, Finding)>) {
    reconcile_by(table, Some(7), now).await
}

async fn reconcile_by(
    table: &Table,
    page_items: Option<i32>,
    now: Timestamp,
) -> (Option<Pass>, Vec<(AccountId, WalletKind, Finding)>) {
    let told = Mutex::new(Vec::new());
    let tell = |account: &AccountId, kind, finding: &Finding| {
        told.lock().unwrap().push((account.clone(), kind, finding.clone()));
    };
    let pass = table.reconcile(now, page_items, || true, tell).await.unwrap();
    (pass, told.into_inner().unwrap())
}

async fn set(client: &Client, account: &AccountId, sk: &str, attribute: &str, value: AttributeValue) {
    let change = client
        .update_item()
        .table_name(kit::NAME)
        .key("pk", AttributeValue::S(format!("ACCOUNT#{account}")))
        .key("sk", AttributeValue::S(sk.to_owned()))
        .update_expression("SET #name = :value")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_names("#name", attribute)
        .expression_attribute_values(":value", value);
    change.send().await.unwrap();
}

async fn delete(client: &Client, account: &AccountId, sk: &str) {
    let gone = client
        .delete_item()
        .table_name(kit::NAME)
        .key("pk", AttributeValue::S(format!("ACCOUNT#{account}")))
        .key("sk", AttributeValue::S(sk.to_owned()))
        .condition_expression("attribute_exists(pk)");
    gone.send().await.unwrap();
}

fn entry(seq: u64) -> String {
    format!("ENTRY#usd#{seq:020}")
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wallet_is_counted_once_and_once_a_night() {
    let table = kit::table().await;
    for at in 0..20 {
        grant(&table, &account(at), USD, "start", 100).await;
        grant(&table, &account(at), USD, "more", 11).await;
        grant(&table, &account(at), WalletKind::Edit, "edit", 7).await;
    }
    let (pass, told) = reconcile(&table, NIGHT).await;
    let pass = pass.unwrap();
    assert_eq!((pass.wallets, pass.mismatches, pass.unsettled), (40, 0, 0));
    assert_eq!((pass.available, pass.held, pass.ended_at), (20 * 111, 0, Some(NIGHT)), "dollars only");
    assert_eq!(told, []);
    // From two to two.
    for later in [HOUR_MS, 22 * HOUR_MS] {
        assert_eq!(reconcile(&table, NIGHT.plus_ms(later)).await.0, None);
    }
    let next = reconcile(&table, NIGHT.plus_ms(23 * HOUR_MS)).await.0.unwrap();
    assert_eq!((next.wallets, next.begun_at), (40, NIGHT.plus_ms(23 * HOUR_MS)));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_tampered_with_is_found() {
    let (table, client) = kit::table_and_client().await;
    for at in 0..9 {
        for name in ["a", "b", "c"] {
            grant(&table, &account(at), USD, name, 100).await;
        }
    }
    set(&client, &account(1), "WALLET#usd", "available", number(301)).await;
    set(&client, &account(2), &entry(2), "balance_after", number(201)).await;
    delete(&client, &account(3), &entry(2)).await;
    delete(&client, &account(4), "WALLET#usd").await;
    // A wallet that was set back: entries lie before it.
    set(&client, &account(5), "WALLET#usd", "available", number(200)).await;
    set(&client, &account(5), "WALLET#usd", "seq", number(2)).await;
    set(&client, &account(6), &entry(3), "kind", AttributeValue::S("theft".to_owned())).await;
    set(&client, &account(7), "WALLET#usd", "held", AttributeValue::S("much".to_owned())).await;
    let (pass, mut told) = reconcile(&table, NIGHT).await;
    told.sort_by_key(|(account, ..)| account.to_string());
    let mismatch = |at: u8| {
        let mut found = told.iter().filter(|(one, ..)| *one == account(at));
        match (found.next(), found.next()) {
            (Some((_, USD, Finding::Wrong(mismatch))), None) => mismatch.clone(),
            other => panic!("{at}: {other:?}"),
        }
    };
    assert!(matches!(mismatch(1), Mismatch::Wallet { .. }));
    assert!(matches!(mismatch(2), Mismatch::Balance { seq: 2, .. }));
    assert_eq!(mismatch(3), Mismatch::Gap { expected: 2, found: 3 });
    assert_eq!(mismatch(4), Mismatch::NoWallet);
    assert_eq!(mismatch(5), Mismatch::Behind(2));
    assert!(matches!(mismatch(6), Mismatch::Unreadable(_)));
    assert!(matches!(mismatch(7), Mismatch::Unreadable(_)));
    assert_eq!((told.len(), pass.unwrap().mismatches), (7, 7));
}

/// Each run has time for one page.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_where_the_one_before_had_to_stop() {
    let (table, client) = kit::table_and_client().await;
    for at in 0..12 {
        grant(&table, &account(at), USD, "start", 100).await;
    }
    set(&client, &account(0), "WALLET#usd", "available", number(1)).await;
    let (mut runs, told) = (0, AtomicUsize::new(0));
    let pass = loop {
        let pages = AtomicUsize::new(0);
        let has_time = || pages.fetch_add(1, Ordering::Relaxed) == 0;
        let tell = |_: &AccountId, _, _: &Finding| {
            told.fetch_add(1, Ordering::Relaxed);
        };
        // The night may end in the middle.
        let now = NIGHT.plus_ms(runs * HOUR_MS);
        let pass = table.reconcile(now, Some(7), has_time, tell).await.unwrap().unwrap();
        runs += 1;
        if pass.ended_at.is_some() {
            break pass;
        }
        assert!(runs < 50, "{pass:?}");
    };
    assert!(runs > 3, "{runs} runs");
    assert_eq!((pass.wallets, pass.mismatches, told.into_inner()), (12, 1, 1));
    assert_eq!(pass.begun_at, NIGHT);
}

/// 16 wallets are written to all the time, one is wrong: that one is told, and it alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_while_it_is_read_is_not_wrong() {
    let (table, client) = kit::table_and_client().await;
    for at in 0..16 {
        grant(&table, &account(at), USD, "start", 1_000_000).await;
    }
    grant(&table, &account(40), USD, "start", 100).await;
    set(&client, &account(40), "WALLET#usd", "available", number(99)).await;
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..16)
        .map(|at| {
            let (table, done) = (table.clone(), done.clone());
            tokio::spawn(async move {
                let mut written = 0;
                while !done.load(Ordering::Relaxed) {
                    let (charge, name) = (Immediate::Charge(Amount::new(1)), format!("{at}-{written}"));
                    assert!(table.transfer(&name, (&account(at), USD), charge, NIGHT).await.unwrap());
                    written += 1;
                }
                written
            })
        })
        .collect();
    for night in 0..5 {
        let (pass, told) = reconcile_by(&table, None, NIGHT.plus_ms(night * 24 * HOUR_MS)).await;
        let pass = pass.unwrap();
        assert_eq!((pass.wallets, pass.mismatches, pass.unsettled), (17, 1, 0), "{told:?}");
    }
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 0);
    }
}
