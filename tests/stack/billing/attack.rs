//! Who wants money that is not theirs.

use serde_json::{Value, json};

use super::reload::{approve, token};
use super::{GOOD, Person, signature, signing_secret};
use crate::stack::cloud::{answer, http, now};
use crate::stack::door::secrets::{logs, whole_table};
use crate::stack::{With, cloud, shared};

#[tokio::test(flavor = "multi_thread")]
async fn amounts_are_whole_cents_within_bounds() {
    let mut person = Person::with_card(cloud(), "amounts", GOOD).await;
    let bad = ["499", "50001", "25.5", "\"2500\"", "-1", "1e9", "null", "[]", "2500.0", "1000000000", "true"];
    for amount in bad {
        let body: Value = serde_json::from_str(&format!(r#"{{"amount": {amount}}}"#)).unwrap();
        let (status, told) = person.reload(&body, None).await;
        assert_eq!((status, &told["code"]), (400, &json!("bad_request")), "{amount}: {told}");
        let (status, told) = person.browser.post("/v1/deposits", &body).await;
        assert_eq!((status, &told["code"]), (400, &json!("bad_request")), "{amount}: {told}");
    }
    assert_eq!(person.books().await, 0);
    assert!(person.get("/v1/payments").await.1["payments"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_touches_anybody_elses_card() {
    let mut owner = Person::with_card(cloud(), "owner", GOOD).await;
    let mut thief = Person::with_card(cloud(), "thief", GOOD).await;
    let (_, cards) = owner.get("/v1/cards").await;
    let card = cards["cards"][0]["id"].as_str().unwrap().to_owned();
    for id in [card.as_str(), "pm_none", "cus_1", "pm_1%2Fdetach", "pm_..%2F..%2Fcustomers"] {
        assert_eq!(thief.browser.delete(&format!("/v1/cards/{id}")).await.0, 404, "{id}");
        assert_eq!(thief.post(&format!("/v1/cards/{id}/default"), &json!({})).await.0, 404, "{id}");
    }
    assert_eq!(owner.get("/v1/cards").await, (200, cards));
    // Another site's page is nobody.
    let mut elsewhere = owner.browser.on_page_of(Some("https://evil.example"));
    assert_eq!(elsewhere.delete(&format!("/v1/cards/{card}")).await.0, 403);
    assert_eq!(elsewhere.post("/v1/deposits", &json!({ "amount": 500 })).await.0, 403);
    assert_eq!(elsewhere.post("/v1/account/reload", &json!({ "enabled": true })).await.0, 403);
    // A key does what a session does, if it has the right.
    assert_eq!(owner.browser.get("/v1/cards").await.0, 200);
    assert_eq!(answer(http().get(cloud().url("/v1/cards"))).await.0, 401);
    assert_eq!(answer(http().get(cloud().url("/v1/payments"))).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_stripe_has_not_signed_now_are_nobodys() {
    let mut person = Person::new(cloud(), "forger").await;
    let (_, deposit) = person.browser.post("/v1/deposits", &json!({ "amount": 50_000 })).await;
    let id = deposit["payment_id"].as_str().unwrap();
    let page = cloud().table().payment_page(&person.id, None, 1).await.unwrap();
    let checkout = page.payments[0].checkout.clone().unwrap();
    let body = json!({
        "id": "evt_forged", "object": "event", "type": "checkout.session.completed",
        "data": { "object": {
            "id": checkout, "object": "checkout.session", "status": "complete", "payment_status": "paid",
            "amount_total": 50_000, "metadata": { "account": person.id, "payment": id },
        } },
    })
    .to_string();
    let send = |header: Option<String>| {
        let request = http().post(cloud().url("/v1/stripe/webhook")).body(body.clone());
        let request = request.header("content-type", "application/json");
        let request = match header {
            Some(header) => request.header("stripe-signature", header),
            None => request,
        };
        async move { answer(request).await }
    };
    let secret = signing_secret(cloud());
    let forged = signature(&body, "whsec_guessed", now());
    let stale = signature(&body, &secret, now().plus_ms(-301_000));
    // By more than a request may take to get there.
    let early = signature(&body, &secret, now().plus_ms(360_000));
    let other = signature("{}", &secret, now());
    for header in [None, Some(String::new()), Some(forged), Some(stale), Some(early), Some(other)] {
        let (status, told) = send(header.clone()).await;
        assert_eq!((status, &told["code"]), (400, &json!("bad_request")), "{header:?}: {told}");
    }
    // Even one that is signed only makes us look: nobody has paid.
    let good = signature(&body, &secret, now());
    for _ in 0..2 {
        let (status, told) = send(Some(good.clone())).await;
        assert_eq!((status, told), (200, json!({ "received": true })));
    }
    assert_eq!(person.books().await, 0);
    assert_eq!(person.get("/v1/balance").await.1["balance"], 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_log_and_in_no_table() {
    let mut person = Person::with_card(cloud(), "quiet", GOOD).await;
    person.set(&json!({ "password": "battery staple 42", "confirm_by_email": true })).await;
    let body = json!({ "amount": 2500, "reload_password": "battery staple 42" });
    assert_eq!(person.reload(&body, None).await.0, 200);
    let link = token(&person, 1).await;
    assert_eq!(approve(&link).await.0, 200);
    person.settled(2500).await;
    let secrets =
        ["battery staple 42".to_owned(), link, super::key(cloud()), signing_secret(cloud()), GOOD.to_owned()];
    let table = whole_table(cloud()).await;
    for secret in &secrets {
        assert!(!table.iter().any(|item| item.contains(secret.as_str())), "{secret} is in the table");
        for (name, text) in logs(cloud()) {
            assert!(!text.contains(secret.as_str()), "{secret} is in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_stripe_nothing_can_be_paid_and_the_rest_goes_on() {
    let cloud = shared(With::NarrowSettings);
    let account = cloud.account(domain::money::Amount::cents(500)).await;
    for (method, path) in [("GET", "/v1/cards"), ("POST", "/v1/reload"), ("DELETE", "/v1/cards/pm_1")] {
        let request = account.request(method.parse().unwrap(), path);
        let request = if method == "POST" { request.json(&json!({ "amount": 500 })) } else { request };
        let (status, told) = answer(request).await;
        assert_eq!((status, &told["code"]), (503, &json!("payments_off")), "{path}: {told}");
    }
    let unsigned = http().post(cloud.url("/v1/stripe/webhook")).body("{}");
    assert_eq!(answer(unsigned).await.1["code"], "payments_off");
    assert_eq!(account.get("/v1/payments").await.1["payments"], json!([]));
    assert_eq!(account.balance().await, 5.0);
    super::sweep(cloud).await;
}
