//! Paying: off-session, on a Checkout page, with authentication; refunds and disputes.

use serde_json::{Value, json};

use crate::http::{Local, form, id, text};

const SESSION: &str = "mode=payment&success_url=http://shop.example/done?s={CHECKOUT_SESSION_ID}&cancel_url=http://shop.example/\
    &line_items[0][quantity]=1&line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]=2500\
    &line_items[0][price_data][product_data][name]=Deposit";

#[tokio::test]
async fn banks_that_say_no_say_why_and_leave_the_intent_open() {
    let local = Local::start().await;
    let customer = local.customer().await;
    for (number, code, decline_code) in [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000000069", "expired_card", "expired_card"),
        ("4000000000000127", "incorrect_cvc", "incorrect_cvc"),
        ("4000000000000341", "card_declined", "generic_decline"),
        ("4000002760003184", "authentication_required", "authentication_required"),
        ("4000002500003155", "authentication_required", "authentication_required"),
    ] {
        let card = local.card(&customer, number).await;
        let answer = local.charge(&customer, &card, 2500).await;
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["type"]), (402, &json!("card_error")), "{number}");
        assert_eq!(
            (&error["code"], &error["decline_code"]),
            (&json!(code), &json!(decline_code)),
            "{number}"
        );
        let intent = local.get(&format!("/v1/payment_intents/{}", id(&error["payment_intent"]))).await;
        assert_eq!(intent, error["payment_intent"], "{number}");
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(intent["last_payment_error"]["decline_code"], decline_code);
        let charge = local.get(&format!("/v1/charges/{}", text(&intent["latest_charge"]))).await;
        assert_eq!((&charge["status"], &charge["paid"]), (&json!("failed"), &json!(false)));
        // Another card pays the same intent.
        let good = local.card(&customer, "4242424242424242").await;
        let path = format!("/v1/payment_intents/{}/confirm", id(&intent));
        let paid = local.post(&path, &format!("payment_method={good}&off_session=true")).await;
        assert_eq!(paid["status"], "succeeded");
        assert_eq!(local.call("POST", &path, "").await.error().1, "payment_intent_unexpected_state");
    }
    assert_eq!(local.balance().await, 7 * 2500);
}

#[tokio::test]
async fn a_card_that_banks_refuse_cannot_be_saved() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let body = format!("customer={customer}");
    let refused = local.call("POST", "/v1/payment_methods/pm_card_visa_chargeDeclined/attach", &body).await;
    assert_eq!(refused.error(), (402, "card_declined".to_owned()));
    let saved = local.post("/v1/payment_methods/pm_card_chargeCustomerFail/attach", &body).await;
    assert_eq!(saved["customer"], customer.as_str());
    let path = format!("/v1/customers/{customer}/payment_methods");
    assert_eq!(local.get(&path).await["data"].as_array().unwrap().len(), 1);
    local.post(&format!("/v1/payment_methods/{}/detach", id(&saved)), "").await;
    assert_eq!(local.get(&path).await["data"], json!([]));
    // Who was let go does not come back.
    let again = local.call("POST", &format!("/v1/payment_methods/{}/attach", id(&saved)), &body).await;
    assert_eq!(again.status, 400);
}

#[tokio::test]
async fn a_checkout_page_is_filled_in_again_after_a_decline_and_once_paid_leads_on() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let body = format!(
        "{SESSION}&customer={customer}&payment_intent_data[setup_future_usage]=off_session&metadata[deposit]=7"
    );
    let session = local.post("/v1/checkout/sessions", &body).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("open"), &json!("unpaid")));
    let url = text(&session["url"]);
    let page = local.page(&url, None).await;
    assert!(page.text.contains("25.00 USD") && page.text.contains("name=\"number\""), "{}", page.text);
    let declined = local.page(&url, Some(&form("4000000000009995"))).await;
    assert_eq!(declined.status, 402);
    assert!(declined.text.contains("Your card has insufficient funds."), "{}", declined.text);
    let wrong = local.page(&url, Some("number=4242424242424242&expiry=12/34&cvc=1")).await;
    assert_eq!(wrong.status, 402);
    // Clicked twice at once: paid once.
    let filled = form("4242424242424242");
    let (one, two) = tokio::join!(local.page(&url, Some(&filled)), local.page(&url, Some(&filled)));
    let done = format!("http://shop.example/done?s={}", id(&session));
    for answer in [one, two, local.page(&url, None).await] {
        assert_eq!((answer.status, answer.header("location")), (303, done.as_str()));
    }
    assert_eq!(local.balance().await, 2500);
    let path = format!(
        "/v1/checkout/sessions/{}?expand[]=payment_intent.latest_charge&expand[]=line_items",
        id(&session)
    );
    let session = local.get(&path).await;
    assert_eq!((&session["status"], &session["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(session["metadata"]["deposit"], "7");
    assert_eq!(session["line_items"]["data"][0]["amount_total"], 2500);
    let charge = &session["payment_intent"]["latest_charge"];
    let receipt = local.page(&text(&charge["receipt_url"]), None).await;
    assert!(receipt.text.contains("25.00 USD"), "{}", receipt.text);
    // The card was kept.
    let cards = local.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    assert_eq!(cards["data"][0]["card"]["last4"], "4242");
    assert_eq!(local.charge(&customer, &id(&cards["data"][0]), 500).await.ok()["status"], "succeeded");
}

#[tokio::test]
async fn a_session_is_left_expires_and_takes_no_money_then() {
    let local = Local::start().await;
    let mut urls = Vec::new();
    for _ in 0..2 {
        let session = local.post("/v1/checkout/sessions", SESSION).await;
        urls.push((id(&session), text(&session["url"])));
    }
    // A bank has just been asked when the first one is closed.
    let asked = local.page(&urls[0].1, Some(&form("4000002760003184"))).await;
    let question = asked.header("location").to_owned();
    let expired = local.post(&format!("/v1/checkout/sessions/{}/expire", urls[0].0), "").await;
    assert_eq!((&expired["status"], &expired["url"]), (&json!("expired"), &Value::Null));
    assert_eq!(local.page(&question, Some("result=complete")).await.status, 410);
    local.advance(2).await;
    for (id, url) in &urls {
        assert_eq!(local.get(&format!("/v1/checkout/sessions/{id}")).await["status"], "expired");
        assert_eq!(local.page(url, None).await.status, 410);
        assert_eq!(local.page(url, Some(&form("4242424242424242"))).await.status, 410);
        let again = local.call("POST", &format!("/v1/checkout/sessions/{id}/expire"), "").await;
        assert_eq!(again.status, 400);
    }
    assert_eq!(local.balance().await, 0);
    let events = local.events().await;
    assert_eq!(events.iter().filter(|kind| *kind == "checkout.session.expired").count(), 2, "{events:?}");
}

#[tokio::test]
async fn who_is_asked_says_yes_or_no() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4000002760003184").await;
    let body = format!(
        "amount=900&currency=usd&customer={customer}&payment_method={card}&confirm=true&return_url=http://shop.example/back?a=b"
    );
    for (result, status) in [("fail", "requires_payment_method"), ("complete", "succeeded")] {
        let intent = local.post("/v1/payment_intents", &body).await;
        assert_eq!(
            (&intent["status"], &intent["next_action"]["type"]),
            (&json!("requires_action"), &json!("redirect_to_url"))
        );
        let url = text(&intent["next_action"]["redirect_to_url"]["url"]);
        assert!(local.page(&url, None).await.text.contains("9.00 USD"));
        assert_eq!(local.page(&url, Some("result=maybe")).await.status, 400);
        let answer = local.page(&url, Some(&format!("result={result}"))).await;
        let back = format!("http://shop.example/back?a=b&payment_intent={}&", id(&intent));
        assert!(answer.header("location").starts_with(&back), "{answer:?}");
        assert_eq!(local.page(&url, Some("result=complete")).await.status, 410, "it is asked once");
        assert_eq!(local.get(&format!("/v1/payment_intents/{}", id(&intent))).await["status"], status);
    }
    assert_eq!(local.balance().await, 900);
}

/// How a shop goes on when nobody was there: it asks the person, and the same intent is paid.
#[tokio::test]
async fn a_payment_that_wanted_somebody_is_finished_when_somebody_is_there() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4000002760003184").await;
    let declined = local.charge(&customer, &card, 900).await;
    assert_eq!(declined.error(), (402, "authentication_required".to_owned()));
    let intent = id(&declined.json()["error"]["payment_intent"]);
    let body = format!("payment_method={card}&return_url=http://shop.example/back");
    let asked = local.post(&format!("/v1/payment_intents/{intent}/confirm"), &body).await;
    let url = text(&asked["next_action"]["redirect_to_url"]["url"]);
    assert_eq!(local.page(&url, Some("result=complete")).await.status, 303);
    assert_eq!(local.get(&format!("/v1/payment_intents/{intent}")).await["status"], "succeeded");
    assert_eq!(local.balance().await, 900);
}

#[tokio::test]
async fn a_card_that_was_set_up_on_the_page_is_charged_while_nobody_is_there() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let body = format!("mode=setup&currency=usd&success_url=http://shop.example/ok&customer={customer}");
    let session = local.post("/v1/checkout/sessions", &body).await;
    let url = text(&session["url"]);
    assert_eq!(local.page(&url, Some(&form("4000000000000002"))).await.status, 402);
    let asked = local.page(&url, Some(&form("4000002500003155"))).await.header("location").to_owned();
    let back = local.page(&asked, Some("result=fail")).await;
    assert_eq!(back.header("location"), url, "the page is there to try again");
    let asked = local.page(&url, Some(&form("4000002500003155"))).await.header("location").to_owned();
    local.page(&asked, Some("result=complete")).await;
    assert_eq!(local.page(&url, None).await.header("location"), "http://shop.example/ok");
    let cards = local.get(&format!("/v1/payment_methods?customer={customer}&type=card")).await;
    let cards = cards["data"].as_array().unwrap();
    assert_eq!(cards.len(), 1);
    assert_eq!(local.charge(&customer, &id(&cards[0]), 900).await.ok()["status"], "succeeded");
}

#[tokio::test]
async fn refunds_never_exceed_the_charge() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4242424242424242").await;
    let intent = id(&local.charge(&customer, &card, 1000).await.ok());
    let refund = |amount: &str| format!("payment_intent={intent}{amount}");
    let first = local.post("/v1/refunds", &refund("&amount=400&reason=requested_by_customer")).await;
    assert_eq!((&first["status"], &first["amount"]), (&json!("succeeded"), &json!(400)));
    for (amount, status) in [("&amount=601", 400), ("&amount=0", 400), ("&amount=1.5", 400)] {
        assert_eq!(local.call("POST", "/v1/refunds", &refund(amount)).await.status, status);
    }
    assert_eq!(local.post("/v1/refunds", &refund("")).await["amount"], 600, "the rest");
    let again = local.call("POST", "/v1/refunds", &refund("")).await;
    assert_eq!(again.error(), (400, "charge_already_refunded".to_owned()));
    assert_eq!(local.balance().await, 0);
    let charge = local.get(&format!("/v1/charges?payment_intent={intent}")).await["data"][0].clone();
    assert_eq!((&charge["refunded"], &charge["amount_refunded"]), (&json!(true), &json!(1000)));
    let refunds = local.get(&format!("/v1/refunds?payment_intent={intent}&expand[]=data.charge")).await;
    assert_eq!(refunds["data"][1]["charge"]["id"], charge["id"]);
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_gives_it_back_if_it_is_won() {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4000000000000259").await;
    for (outcome, balance) in [("lost", 0), ("won", 1000)] {
        let intent = id(&local.charge(&customer, &card, 1000).await.ok());
        let dispute = local.get(&format!("/v1/disputes?payment_intent={intent}")).await["data"][0].clone();
        assert_eq!(
            (&dispute["status"], &dispute["reason"]),
            (&json!("needs_response"), &json!("fraudulent"))
        );
        assert_eq!(local.balance().await, 0);
        let refund = local.call("POST", "/v1/refunds", &format!("payment_intent={intent}")).await;
        assert_eq!(refund.error(), (400, "charge_disputed".to_owned()));
        let path = format!("disputes/{}", id(&dispute));
        assert_eq!(local.control(&path, json!({ "status": outcome })).await["status"], outcome);
        assert_eq!(local.balance().await, balance);
        let fees = local.get("/v1/balance_transactions?type=adjustment").await;
        assert_eq!(fees["data"].as_array().unwrap().last().unwrap()["fee"], 1500);
    }
    let events = local.events().await;
    for (kind, count) in
        [("charge.dispute.created", 2), ("charge.dispute.closed", 2), ("charge.dispute.funds_reinstated", 1)]
    {
        assert_eq!(events.iter().filter(|event| *event == kind).count(), count, "{kind}");
    }
}

#[tokio::test]
async fn a_canceled_intent_takes_no_money() {
    let local = Local::start().await;
    let intent = local.post("/v1/payment_intents", "amount=500&currency=usd&metadata[a]=b").await;
    let path = format!("/v1/payment_intents/{}", id(&intent));
    assert_eq!(
        local.post(&format!("{path}/cancel"), "cancellation_reason=abandoned").await["status"],
        "canceled"
    );
    let late = local.call("POST", &format!("{path}/confirm"), "payment_method=pm_card_visa").await;
    assert_eq!(late.error(), (400, "payment_intent_unexpected_state".to_owned()));
    let found = local.get("/v1/payment_intents/search?query=metadata%5B'a'%5D:'b'").await;
    assert_eq!(found["data"][0]["id"], intent["id"]);
    assert_eq!(local.balance().await, 0);
}
