//! Control calls and pages that are for people.

use serde_json::json;

use crate::http::{Local, id, send};

#[tokio::test]
async fn the_overview_shows_what_happened_and_no_secret() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4242424242424242").await;
    let intent = id(&local.charge(&customer, &card, 2990).await.ok());
    local.post(&format!("/v1/customers/{customer}"), "email=%3Cscript%3E@b.example").await;
    local.control("webhook", json!({ "url": "http://127.0.0.1:1/", "secret": "whsec_hush" })).await;
    let page = send(local.stripe.address(), "GET", "/_local/stripe", "", &[]).await.unwrap();
    for shown in [
        customer.as_str(),
        intent.as_str(),
        "29.90 USD",
        "payment_intent.succeeded",
        "http:&#x2F;",
        "&#60;script",
    ] {
        let escaped = shown.replace("http:&#x2F;", "127.0.0.1:1");
        assert!(page.text.contains(&escaped), "{shown}: {}", page.text);
    }
    assert!(
        !page.text.contains("<script") && !page.text.contains("whsec_hush") && !page.text.contains("sk_test")
    );
}

#[tokio::test]
async fn a_control_call_that_makes_no_sense_is_refused() {
    let local = Local::start().await;
    for (path, body, status) in [
        ("clock", r#"{"advance": -1}"#, 400),
        ("clock", r#"{"advance": 1e99}"#, 400),
        ("clock", "", 400),
        ("cards", r#"{"number": "4242424242424242", "customer": "cus_x"}"#, 400),
        ("cards", r#"{"number": "1"}"#, 402),
        ("disputes", r#"{"charge": "ch_x"}"#, 400),
        ("disputes/du_x", r#"{"status": "won"}"#, 404),
        ("webhook", r#"{"url": "https://x", "secret": "s"}"#, 400),
        ("network", r#"{"holds": true}"#, 400),
        ("faults", r#"{"paht": "/"}"#, 400),
        ("nothing", "{}", 404),
    ] {
        let path = format!("/_local/stripe/{path}");
        let answer = send(local.stripe.address(), "POST", &path, body, &[]).await.unwrap();
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_dispute_is_opened_by_hand_once() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4242424242424242").await;
    let intent = local.charge(&customer, &card, 1000).await.ok();
    let charge = json!({ "charge": intent["latest_charge"], "amount": 400 });
    assert_eq!(local.control("disputes", charge.clone()).await["amount"], 400);
    let path = "/_local/stripe/disputes";
    let again = send(local.stripe.address(), "POST", path, &charge.to_string(), &[]).await.unwrap();
    assert_eq!(again.status, 400);
    assert_eq!(local.balance().await, 600);
}
