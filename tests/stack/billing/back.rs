//! Money that goes back, events that go astray, and answers that never come.

use domain::money::Amount;
use serde_json::json;

use super::{GOOD, Person, age_payments, control, fill, stripe, sweep, tell_stripe};
use crate::stack::cloud::until;
use crate::stack::{With, cloud, fragile};

#[tokio::test(flavor = "multi_thread")]
async fn who_was_refunded_what_was_spent_owes_it_and_starts_nothing() {
    let person = Person::with_card(cloud(), "refund", GOOD).await;
    let (_, reload) = person.reload(&json!({ "amount": 2500 }), None).await;
    person.spend(Amount::cents(2800)).await;
    let intent = reload["payment_intent_id"].as_str().unwrap();
    tell_stripe(cloud(), "refunds", &[("payment_intent", intent), ("amount", "1000")]).await;
    person.settled(1500).await;
    assert_eq!(person.get("/v1/balance").await.1["balance"], -8.0);
    let (_, rows) = person.get("/v1/transactions?type=deposit_refund").await;
    let row = &rows["transactions"][0];
    assert_eq!((&row["amount"], &row["balance_after"]), (&json!(-10.0), &json!(-8.0)));
    let (status, told) = person.post("/v1/storage/purchase", &json!({ "gb": 1 })).await;
    assert_eq!((status, &told["code"]), (402, &json!("insufficient_balance")));
    // What comes in pays that first.
    let (_, reload) = person.reload(&json!({ "amount": 1000 }), None).await;
    assert_eq!(reload["balance"], 2.0, "{reload}");
    assert_eq!(person.post("/v1/storage/purchase", &json!({ "gb": 1 })).await.0, 200);
    tell_stripe(cloud(), "refunds", &[("payment_intent", intent)]).await;
    person.settled(1000).await;
    let (_, listed) = person.get("/v1/payments").await;
    let back: Vec<_> = listed["payments"].as_array().unwrap().iter().map(|one| &one["taken_back"]).collect();
    assert_eq!(back, [0, 2500]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_takes_money_back_only_if_it_is_lost() {
    let person = Person::with_card(cloud(), "dispute", GOOD).await;
    for (outcome, left) in [("won", 2500), ("lost", 2500)] {
        let (_, reload) = person.reload(&json!({ "amount": 2500 }), None).await;
        let intent = reload["payment_intent_id"].as_str().unwrap();
        let intent = stripe(cloud(), &format!("payment_intents/{intent}")).await;
        let opened = control(cloud(), "disputes", &json!({ "charge": intent["latest_charge"] })).await;
        let dispute = opened["id"].as_str().unwrap();
        let key = || async {
            let page = cloud().table().payment_page(&person.id, None, 1).await.unwrap();
            page.payments[0].disputed
        };
        until("the dispute is heard of", key).await;
        control(cloud(), &format!("disputes/{dispute}"), &json!({ "status": outcome })).await;
        person.settled(left).await;
    }
    let (_, rows) = person.get("/v1/transactions?type=dispute").await;
    assert_eq!(rows["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(rows["transactions"][0]["amount"], -25.0);
}

/// Events may be lost, doubled, out of order, or late. One after the other, on a cloud that nobody else has meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn events_may_go_astray() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let mut person = Person::new(cloud, "astray").await;
    let mut paid = 0;
    for network in [
        json!({ "duplicate": 3 }),
        json!({ "reorder": true, "delay_ms": 500, "duplicate": 1 }),
        json!({ "hold": true }),
        json!({ "drop": true }),
    ] {
        control(cloud, "network", &network).await;
        let (_, deposit) =
            person.browser.post("/v1/deposits", &json!({ "amount": 1000, "save_card": true })).await;
        let (status, place) = fill(deposit["url"].as_str().unwrap(), GOOD).await;
        assert_eq!(status, 303, "{place}");
        paid += 1000;
        match network {
            _ if network["hold"] == true => {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                assert_eq!(person.in_ledger().await, paid - 1000, "nobody knows yet");
                control(cloud, "network", &json!({})).await;
            }
            // Lost for good: the sweeper finds it once the page has closed.
            _ if network["drop"] == true => {
                age_payments(cloud, &person.id, 2 * 3_600_000).await;
                sweep(cloud).await;
            }
            _ => {}
        }
        person.settled(paid).await;
    }
    control(cloud, "network", &json!({})).await;
    // What was paid and refunded while nobody heard of it.
    control(cloud, "network", &json!({ "hold": true })).await;
    let intent =
        cloud.table().payment_page(&person.id, None, 1).await.unwrap().payments[0].intent.clone().unwrap();
    tell_stripe(cloud, "refunds", &[("payment_intent", &intent), ("amount", "400")]).await;
    tell_stripe(cloud, "refunds", &[("payment_intent", &intent), ("amount", "600")]).await;
    control(cloud, "network", &json!({ "reorder": true, "duplicate": 2 })).await;
    person.settled(paid - 1000).await;
    control(cloud, "network", &json!({})).await;
}

/// Stripe answers with errors, late, or not at all, before and after it has charged.
#[tokio::test(flavor = "multi_thread")]
async fn a_charge_without_an_answer_is_made_once() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let person = Person::with_card(cloud, "silence", GOOD).await;
    let charge = |more: serde_json::Value| {
        let mut fault = json!({ "method": "POST", "path": "/v1/payment_intents" });
        fault.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fault
    };
    let mut paid = 0;
    for (name, fault) in [
        ("broken before", charge(json!({ "when": "before" }))),
        ("broken after", charge(json!({ "when": "after" }))),
        ("500 after", charge(json!({ "when": "after", "answer": { "status": 500 } }))),
        ("429", charge(json!({ "answer": { "status": 429 }, "times": 2 }))),
        ("nothing for long", charge(json!({ "when": "after", "times": 9 }))),
    ] {
        control(cloud, "faults", &fault).await;
        let (status, told) = person.reload(&json!({ "amount": 500 }), Some(&name.replace(' ', "-"))).await;
        assert!(status == 200 || status == 202, "{name}: {told}");
        let url = format!("{}/_local/stripe/faults", cloud.info.stripe_url);
        crate::stack::http().delete(url).send().await.unwrap();
        let (status, again) = person.reload(&json!({ "amount": 500 }), Some(&name.replace(' ', "-"))).await;
        assert_eq!((status, &again["success"]), (200, &json!(true)), "{name}: {told} {again}");
        paid += 500;
        person.settled(paid).await;
    }
    // Stripe gives a 500 again under its name, whatever it was for: this one has charged nothing, and is given up later.
    control(cloud, "faults", &charge(json!({ "when": "before", "answer": { "status": 500 } }))).await;
    let (status, told) = person.reload(&json!({ "amount": 500 }), Some("500-before")).await;
    assert_eq!((status, &told["pending"]), (202, &json!(true)), "{told}");
    age_payments(cloud, &person.id, 11 * 60_000).await;
    let (status, told) = person.reload(&json!({ "amount": 500 }), Some("500-before")).await;
    assert_eq!((status, &told["code"]), (402, &json!("payment_expired")), "{told}");
    person.settled(paid).await;
    let charges = stripe(cloud, &format!("charges?limit=100&customer={}", person.customer().await)).await;
    assert_eq!(charges["data"].as_array().unwrap().len(), 5);
}
