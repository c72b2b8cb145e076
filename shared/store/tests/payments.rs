//! Payments against a real DynamoDB implementation: many who report the same at once, approvals, and the lock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use domain::audit::audit;
use domain::idempotency::Intention;
use domain::ids::{AccountId, PaymentId};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::payment::{Payment, Purpose, Report, State};
use domain::rate::RELOADS;
use domain::reload::{APPROVAL_LIFETIME_MS, ApprovalToken, TRIES_MAX};
use domain::time::Timestamp;
use kit::table;
use store::Table;
use store::idempotency::{Answer, Earlier};
use store::payments::{Approval, Asked, Begun, PaymentKey, payment_of};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const USD: WalletKind = WalletKind::Usd;

fn account() -> AccountId {
    AccountId::from_random([9; 16])
}

fn payment(number: u8) -> Payment {
    Payment {
        id: PaymentId::new(NOW.plus_ms(number.into()), [number; 16]),
        account: account(),
        purpose: Purpose::Reload,
        cents: 2500,
        created_at: NOW,
        customer: "cus_1".to_owned(),
        card: Some("pm_1".to_owned()),
        save_card: false,
        state: State::Pending,
        intent: None,
        checkout: None,
        receipt_url: None,
        credited_cents: 0,
        balance_after: Amount::ZERO,
        refunded_cents: 0,
        lost_cents: 0,
        disputed: false,
        looks: 0,
        version: 0,
    }
}

fn paid(refunded_cents: u64) -> Report {
    Report { received_cents: 2500, refunded_cents, intent: Some("pi_1".to_owned()), ..Report::default() }
}

async fn kinds(table: &Table) -> Vec<(EntryKind, i64)> {
    let rows = table.entries(&account(), USD).await.unwrap();
    let wallet = table.wallet(&account(), USD).await.unwrap();
    assert!(audit(wallet, rows.iter().map(|row| (&row.entry, row.reference.as_str()))).is_ok());
    rows.iter().map(|row| (row.entry.kind, row.entry.available_delta)).collect()
}

#[tokio::test]
async fn however_many_report_it_is_credited_once() {
    let table = table().await;
    let first = payment(1);
    assert_eq!(table.begin_payment(&first, None, NOW).await.unwrap(), Begun::New);
    let key = PaymentKey::of(&first);
    assert_eq!(
        table.due_payments(NOW.plus_ms(60_001), None).await.unwrap().found,
        std::slice::from_ref(&key)
    );
    let told: Vec<_> = (0..16)
        .map(|_| {
            let (table, key) = (table.clone(), key.clone());
            tokio::spawn(async move { table.learn(&key, &paid(0), NOW).await.unwrap().unwrap() })
        })
        .collect();
    let mut steps = 0;
    for one in told {
        let (payment, step) = one.await.unwrap();
        steps += u32::from(step.is_some());
        assert_eq!((payment.state, payment.balance_after), (State::Paid, Amount::cents(2500)));
    }
    assert_eq!(steps, 1);
    assert_eq!(kinds(&table).await, [(EntryKind::Purchase, 25_000_000)]);
    assert!(table.due_payments(NOW.plus_ms(99_000_000), None).await.unwrap().found.is_empty());
    assert_eq!(table.payment(&key).await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn what_was_spent_and_goes_back_is_owed() {
    let table = table().await;
    let first = payment(1);
    table.begin_payment(&first, None, NOW).await.unwrap();
    let key = PaymentKey::of(&first);
    // Paid and refunded before anybody heard of either.
    table.learn(&key, &paid(1000), NOW).await.unwrap().unwrap();
    let charge = store::ledger::Immediate::Charge(Amount::cents(1200));
    assert!(table.transfer("spent", (&account(), USD), charge, NOW).await.unwrap());
    let (payment, _) = table.learn(&key, &paid(2500), NOW).await.unwrap().unwrap();
    assert_eq!(payment.kept_cents(), 0);
    let wallet = table.wallet(&account(), USD).await.unwrap();
    assert_eq!((wallet.available, wallet.owed), (Amount::ZERO, Amount::cents(1200)));
    let second = Payment { id: payment_id(2), ..self::payment(2) };
    table.begin_payment(&second, None, NOW).await.unwrap();
    table.learn(&PaymentKey::of(&second), &paid(0), NOW).await.unwrap().unwrap();
    let wallet = table.wallet(&account(), USD).await.unwrap();
    assert_eq!((wallet.available, wallet.owed), (Amount::cents(1300), Amount::ZERO));
    let expected = [
        (EntryKind::Purchase, 25_000_000),
        (EntryKind::DepositRefund, -10_000_000),
        (EntryKind::Charge, -12_000_000),
        (EntryKind::DepositRefund, -15_000_000),
        (EntryKind::Purchase, 25_000_000),
    ];
    assert_eq!(kinds(&table).await, expected);
    let page = table.payment_page(&account(), None, 1).await.unwrap();
    assert_eq!((page.payments[0].id.clone(), page.next.clone()), (second.id.clone(), Some(second.id)));
    let rest = table.payment_page(&account(), page.next.as_ref(), 1).await.unwrap();
    assert_eq!((rest.payments[0].id.clone(), rest.next), (first.id, None));
}

fn payment_id(number: u8) -> PaymentId {
    PaymentId::new(NOW.plus_ms(number.into()), [number; 16])
}

#[tokio::test]
async fn a_repeat_finds_its_payment_and_counts_nothing() {
    let table = table().await;
    let intention = |body: &[u8]| Intention::new(b"key", "POST", "/v1/reload", body).unwrap();
    let asked = intention(b"{\"amount\":2500}");
    let asked = Asked { intention: Some(&asked), quota: RELOADS };
    assert_eq!(table.begin_payment(&payment(1), Some(asked), NOW).await.unwrap(), Begun::New);
    let Begun::Earlier(Earlier::Same(answer)) =
        table.begin_payment(&payment(2), Some(asked), NOW).await.unwrap()
    else {
        panic!("it was not known")
    };
    assert_eq!(payment_of(&answer), Some(payment(1).id));
    let other = intention(b"{\"amount\":2600}");
    let other = Asked { intention: Some(&other), quota: RELOADS };
    let begun = table.begin_payment(&payment(3), Some(other), NOW).await.unwrap();
    assert_eq!(begun, Begun::Earlier(Earlier::Other));
    let plain = Asked { intention: None, quota: RELOADS };
    for number in 4..4 + 9 {
        assert_eq!(table.begin_payment(&payment(number), Some(plain), NOW).await.unwrap(), Begun::New);
    }
    let Begun::Limited(limit) = table.begin_payment(&payment(20), Some(plain), NOW).await.unwrap() else {
        panic!("eleven in an hour")
    };
    assert_eq!((limit.limit, limit.remaining, limit.allowed), (10, 0, false));
    assert!(table.payment(&PaymentKey::of(&payment(20))).await.unwrap().is_none());
}

#[tokio::test]
async fn an_approval_becomes_one_payment() {
    let table = table().await;
    let token = ApprovalToken::from_random([7; 32]);
    let expires_at = NOW.plus_ms(APPROVAL_LIFETIME_MS);
    let approval = Approval { account: account(), cents: 2500, expires_at, payment: None };
    let answer = Answer { status: 200, body: "{\"pending\":true}".to_owned(), object: None };
    let asked = Asked { intention: None, quota: RELOADS };
    let issued = table.issue_approval(&token, &approval, asked, &answer, NOW).await.unwrap();
    assert_eq!((issued, payment_of(&answer)), (Begun::New, None));
    let clicks: Vec<_> = (1..9)
        .map(|number| {
            let (table, token) = (table.clone(), token.clone());
            tokio::spawn(async move { table.approve(&token, &payment(number), NOW).await.unwrap().unwrap() })
        })
        .collect();
    let mut found = Vec::new();
    for click in clicks {
        found.push(click.await.unwrap());
    }
    found.dedup();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(table.payment_page(&account(), None, 20).await.unwrap().payments.len(), 1);
    assert_eq!(table.approval(&token).await.unwrap().unwrap().payment, Some(found.remove(0)));
    let stranger = ApprovalToken::from_random([8; 32]);
    assert_eq!(table.approve(&stranger, &payment(30), NOW).await.unwrap(), None);
    let late = ApprovalToken::from_random([9; 32]);
    table.issue_approval(&late, &approval, asked, &answer, NOW).await.unwrap();
    assert_eq!(table.approve(&late, &payment(31), expires_at).await.unwrap(), None);
}

#[tokio::test]
async fn many_tries_at_once_are_five() {
    let table = table().await;
    table.set_reload_password(&account(), Some("hash")).await.unwrap();
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let table = table.clone();
            tokio::spawn(async move { table.count_reload_try(&account(), NOW).await.unwrap().is_some() })
        })
        .collect();
    let mut counted = 0;
    for one in tries {
        counted += u32::from(one.await.unwrap());
    }
    assert_eq!(counted, TRIES_MAX);
    let lock = table.reload_lock(&account()).await.unwrap();
    assert_eq!(lock.password.as_deref(), Some("hash"));
    assert!(lock.tries.locked_until(NOW).is_some());
    table.take_reload_try_back(&account()).await.unwrap();
    assert!(table.count_reload_try(&account(), NOW).await.unwrap().is_some());
    table.set_reload_password(&account(), None).await.unwrap();
    let lock = table.reload_lock(&account()).await.unwrap();
    assert_eq!((lock.password, lock.tries.wrong), (None, 0));
}

#[tokio::test]
async fn an_account_is_one_customer() {
    let table = table().await;
    assert_eq!(table.customer(&account()).await.unwrap(), None);
    assert_eq!(table.keep_customer(&account(), "cus_1").await.unwrap(), "cus_1");
    assert_eq!(table.keep_customer(&account(), "cus_2").await.unwrap(), "cus_1");
    table.forget_customer(&account(), "cus_2").await.unwrap();
    assert_eq!(table.customer(&account()).await.unwrap().as_deref(), Some("cus_1"));
    table.forget_customer(&account(), "cus_1").await.unwrap();
    assert_eq!(table.customer(&account()).await.unwrap(), None);
    assert!(!table.knows_event("evt_1").await.unwrap());
    table.remember_event("evt_1", NOW).await.unwrap();
    assert!(table.knows_event("evt_1").await.unwrap());
}
