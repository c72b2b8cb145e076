//! The nightly function finds what somebody has changed behind the ledger's back, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use serde_json::{Value, json};
use store::ledger::Immediate;

use super::{counted, lines};
use crate::stack::cloud::{http, now, until};
use crate::stack::door::secrets::client;
use crate::stack::{Account, Cloud, With, shared};

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Lets the day pass: the reconciliation of the night begins anew.
async fn tomorrow(cloud: &Cloud) {
    let (client, table) = client(cloud);
    let gone = client.delete_item().table_name(table);
    gone.key("pk", text("RECONCILIATION")).key("sk", text("RECONCILIATION")).send().await.unwrap();
}

/// The timer may call in between: whoever does it, it is done once.
async fn reconcile(cloud: &Cloud) {
    let before = counted(cloud, "WalletsChecked").len();
    tomorrow(cloud).await;
    cloud.invoke("ReconcileFunction", &json!({})).await;
    until("all wallets are checked", || async { counted(cloud, "WalletsChecked").len() > before }).await;
}

/// The latest numbers of a metric.
fn latest(cloud: &Cloud, metric: &str) -> Value {
    counted(cloud, metric).last().map_or(Value::Null, |line| line[metric].clone())
}

fn told(cloud: &Cloud, account: &Account) -> Vec<Value> {
    let told = lines(cloud).into_iter().filter(|line| line["message"] == "the books do not balance");
    told.filter(|line| line["account"] == account.id.as_str()).collect()
}

/// Changes what can be spent, without an entry.
async fn tamper(cloud: &Cloud, account: &Account, available: u64) {
    let (client, table) = client(cloud);
    let change = client
        .update_item()
        .table_name(table)
        .key("pk", text(&format!("ACCOUNT#{}", account.id)))
        .key("sk", text("WALLET#usd"))
        .update_expression("SET available = :available")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":available", AttributeValue::N(available.to_string()));
    change.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_wallet_is_found_at_night_and_told_until_it_is_right() {
    let cloud = shared(With::CountedCalls);
    let account = cloud.account(Amount::cents(100)).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(cloud.account(Amount::cents(10)).await);
    }
    reconcile(cloud).await;
    assert_eq!(latest(cloud, "LedgerMismatches"), json!([0]), "all is well, and says so");
    let wallets = latest(cloud, "WalletsChecked")[0].as_u64().unwrap();
    assert!(wallets >= 21, "{wallets}");
    let money = latest(cloud, "MoneyAvailable")[0].as_u64().unwrap();
    assert!(money >= 3_000_000 && latest(cloud, "MoneyHeld") == json!([0]), "{money}");
    // What it costs: the scan's share, the wallet and its entries.
    let units: Value = http().get(cloud.url("/_local/units")).send().await.unwrap().json().await.unwrap();
    let units = units["stages.reconcile"].as_f64().unwrap();
    assert!(units / wallets as f64 <= 4.0, "{units} read units for {wallets} wallets");

    tamper(cloud, &account, 1_000_001).await;
    cloud.invoke("ReconcileFunction", &json!({})).await;
    assert!(told(cloud, &account).is_empty(), "the night's is done");
    reconcile(cloud).await;
    assert_eq!(latest(cloud, "LedgerMismatches"), json!([1]));
    let told_of = told(cloud, &account);
    assert_eq!(
        (told_of.len(), &told_of[0]["wallet"], &told_of[0]["level"]),
        (1, &json!("usd"), &json!("ERROR"))
    );
    assert!(told_of[0]["mismatch"].as_str().unwrap().contains("1000001"), "{}", told_of[0]);

    tamper(cloud, &account, 1_000_000).await;
    reconcile(cloud).await;
    assert_eq!((latest(cloud, "LedgerMismatches"), told(cloud, &account).len()), (json!([0]), 1));
    moves_meanwhile(cloud, others).await;
}

/// All wallets move while they are looked at.
async fn moves_meanwhile(cloud: &Cloud, accounts: Vec<Account>) {
    let done = Arc::new(AtomicBool::new(false));
    let movers: Vec<_> = accounts
        .into_iter()
        .map(|account| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut moved = 0;
                while !done.load(Ordering::Relaxed) {
                    let (name, gift) = (
                        format!("{}-{moved}", account.id),
                        Immediate::Grant(EntryKind::Gift, Amount::new(1)),
                    );
                    let usd = (&account.id, WalletKind::Usd);
                    assert!(account.table().transfer(&name, usd, gift, now()).await.unwrap());
                    moved += 1;
                }
                moved
            })
        })
        .collect();
    for _ in 0..3 {
        reconcile(cloud).await;
        assert_eq!(latest(cloud, "LedgerMismatches"), json!([0]));
    }
    done.store(true, Ordering::Relaxed);
    for mover in movers {
        assert!(mover.await.unwrap() > 0, "it did not move");
    }
}
