//! The room for pinned clips: it is full to the byte, and more can be bought, once for each intention.

use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use serde_json::{Value, json};

use super::{agrees, kept, pin};
use crate::stack::cloud::{Answer, answer, now};
use crate::stack::{Account, cloud};

async fn buy(account: &Account, body: &Value, key: Option<&str>) -> Answer {
    let request = account.request(reqwest::Method::POST, "/v1/storage/purchase").json(body);
    answer(match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn full_storage_is_a_conflict_until_more_is_bought() {
    let account = cloud().account(Amount::cents(340)).await;
    let (large, small) = (
        kept(cloud(), &account, 999_999_990, now()).await,
        kept(cloud(), &account, 11, now().plus_ms(1)).await,
    );
    assert_eq!(pin(&account, &large.id).await.0, 200);
    let (status, full) = pin(&account, &small.id).await;
    assert_eq!((status, &full["code"]), (409, &json!("storage_full")), "{full}");
    assert!(full["detail"].as_str().unwrap().contains("10 of 1000000000 are free"), "{full}");
    agrees(cloud(), &account, &small.id, now()).await;

    for body in
        [json!({}), json!({ "gb": 0 }), json!({ "gb": 1.5 }), json!({ "gb": -1 }), json!({ "gb": 10001 })]
    {
        assert_eq!(buy(&account, &body, None).await.0, 400, "{body}");
    }
    let (status, dear) = buy(&account, &json!({ "gb": 4 }), None).await;
    assert_eq!((status, &dear["code"]), (402, &json!("insufficient_balance")), "{dear}");
    let bought = json!({ "success": true, "gb": 2, "cost": 2.0, "price_book": "fastclip-2026-11" });
    for _ in 0..3 {
        assert_eq!(buy(&account, &json!({ "gb": 2 }), Some("once")).await, (200, bought.clone()));
    }
    assert_eq!(buy(&account, &json!({ "gb": 1 }), Some("once")).await.0, 422);
    let (_, storage) = account.get("/v1/storage").await;
    assert_eq!(
        (&storage["quota"], &storage["purchased_gb"]),
        (&json!(3_000_000_000_u64), &json!(2)),
        "{storage}"
    );
    // Two clips were paid with a cent each.
    assert_eq!(account.audit().await, (Amount::cents(340 - 2 - 200), Amount::ZERO));
    let rows = cloud().table().entries(&account.id, WalletKind::Usd).await.unwrap();
    let charges = rows.iter().filter(|row| row.entry.kind == EntryKind::Charge);
    assert_eq!(charges.filter(|row| row.reference.starts_with("storage-")).count(), 1);
    assert_eq!(pin(&account, &small.id).await.0, 200);
    agrees(cloud(), &account, &small.id, now()).await;
}

/// Two clips of which one fits, at once.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_room_is_given_once() {
    let account = cloud().account(Amount::cents(100)).await;
    let (a, b) = (
        kept(cloud(), &account, 600_000_000, now()).await,
        kept(cloud(), &account, 600_000_000, now()).await,
    );
    let (first, second) = tokio::join!(pin(&account, &a.id), pin(&account, &b.id));
    let mut statuses = [first.0, second.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
    for id in [&a.id, &b.id] {
        agrees(cloud(), &account, id, now()).await;
    }
}
