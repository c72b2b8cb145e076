//! Deposits on Stripe's page, and the cards that they leave.

use serde_json::{Value, json};

use super::{BONUS_CENTS, DECLINED, GOOD, Person, delete_at_stripe, fill, seen};
use crate::stack::cloud;
use crate::stack::cloud::until;

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_on_stripes_page_has_it_in_the_balance_once() {
    let mut person = Person::new(cloud(), "deposit").await;
    assert_eq!(person.get("/v1/cards").await, (200, json!({ "cards": [] })));
    let ask = json!({ "amount": 2500, "save_card": true });
    let (status, deposit) = person.browser.post("/v1/deposits", &ask).await;
    assert_eq!(status, 200, "{deposit}");
    let page = deposit["url"].as_str().unwrap();
    // A card that is declined leaves the page as it is.
    let (status, told) = fill(page, DECLINED).await;
    assert_eq!(status, 402, "{told}");
    assert_eq!(person.books().await, 0);
    let (status, place) = fill(page, GOOD).await;
    assert_eq!(status, 303, "{place}");
    // The person returns, and Stripe's event comes: whoever is first.
    let (status, text) = seen(&place).await;
    assert!(status == 200 && text.contains("$25.00 was added to your balance"), "{text}");
    person.settled(2500).await;
    let (_, text) = seen(&place).await;
    assert!(text.contains("$25.00"), "{text}");
    assert_eq!(person.get("/v1/balance").await.1["balance"], 30.0);

    let (status, listed) = person.get("/v1/payments").await;
    let payment = &listed["payments"][0];
    assert_eq!((status, &payment["id"], &payment["status"]), (200, &deposit["payment_id"], &json!("paid")));
    assert_eq!((&payment["kind"], &payment["amount"]), (&json!("deposit"), &json!(2500)));
    let (status, receipt) = seen(payment["receipt_url"].as_str().unwrap()).await;
    assert!(status == 200 && receipt.contains("25"), "{receipt}");
    let (_, rows) = person.get("/v1/transactions").await;
    assert_eq!(
        (&rows["transactions"][0]["type"], &rows["transactions"][0]["amount"]),
        (&json!("purchase"), &json!(25.0))
    );

    let (_, cards) = person.get("/v1/cards").await;
    let card = &cards["cards"][0];
    let expected = json!({ "id": card["id"], "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034, "is_default": true });
    assert_eq!(*card, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_saved_chosen_and_removed() {
    let mut person = Person::new(cloud(), "cards").await;
    person.save(GOOD).await;
    person.save("5555555555554444").await;
    let (_, cards) = person.browser.get("/v1/cards").await;
    let of = |cards: &Value, brand: &str| {
        cards["cards"].as_array().unwrap().iter().find(|card| card["brand"] == brand).cloned().unwrap()
    };
    let visa = of(&cards, "visa")["id"].as_str().unwrap().to_owned();
    assert_eq!(of(&cards, "mastercard")["is_default"], true, "the newest");
    let (status, chosen) = person.post(&format!("/v1/cards/{visa}/default"), &json!({})).await;
    assert_eq!((status, chosen), (200, json!({ "id": visa, "is_default": true })));
    let (_, cards) = person.get("/v1/cards").await;
    assert_eq!(
        (&of(&cards, "visa")["is_default"], &of(&cards, "mastercard")["is_default"]),
        (&json!(true), &json!(false))
    );
    let (status, removed) = person.browser.delete(&format!("/v1/cards/{visa}")).await;
    assert_eq!((status, removed), (200, json!({ "id": visa, "deleted": true })));
    assert_eq!(person.browser.delete(&format!("/v1/cards/{visa}")).await.0, 404);
    let (_, cards) = person.get("/v1/cards").await;
    assert_eq!(
        (cards["cards"].as_array().unwrap().len(), &cards["cards"][0]["is_default"]),
        (1, &json!(true))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nobody_pays_on_costs_nothing() {
    let mut person = Person::new(cloud(), "leaves").await;
    let (_, deposit) = person.browser.post("/v1/deposits", &json!({ "amount": 500 })).await;
    let (status, text) = seen(&cloud().url("/paid")).await;
    assert!(status == 200 && text.contains("Nothing was paid"), "{text}");
    let (_, listed) = person.get("/v1/payments").await;
    assert_eq!(listed["payments"][0]["status"], "pending");
    assert_eq!(person.get("/v1/balance").await.1["balance"], BONUS_CENTS as f64 / 100.0);
    assert_eq!(person.books().await, 0);
    // A strange page leads nowhere.
    for place in ["/paid?session_id=cs_test_none", "/paid?session_id=../../etc"] {
        assert_eq!(seen(&cloud().url(place)).await.0, 404, "{place}");
    }
    assert!(deposit["url"].as_str().unwrap().contains("/checkout/"));
}

/// Whoever keeps the books at Stripe may delete a customer there: the account is nobody's then, and becomes another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_stripe_deletes_is_forgotten() {
    let mut person = Person::with_card(cloud(), "deleted", GOOD).await;
    let former = person.customer().await;
    delete_at_stripe(cloud(), &format!("customers/{former}")).await;
    let forgotten = || async { cloud().table().customer(&person.id).await.unwrap().is_none() };
    until("the customer is forgotten", forgotten).await;
    assert_eq!(person.get("/v1/cards").await, (200, json!({ "cards": [] })));
    let (_, listed) = person.browser.get("/v1/payments").await;
    assert_eq!(listed["payments"], json!([]));
    let (status, told) = person.reload(&json!({ "amount": 500 }), None).await;
    assert_eq!((status, &told["code"]), (402, &json!("no_card")));
}
