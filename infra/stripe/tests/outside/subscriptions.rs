//! Subscriptions, on a clock that is moved.

use serde_json::{Value, json};

use crate::http::{Local, form, id, text};

/// Somebody who has subscribed, with the price; answers the subscription.
async fn subscribed(local: &Local, interval: &str) -> Value {
    let body = format!(
        "currency=usd&unit_amount=1900&recurring[interval]={interval}&product_data[name]=Pro&lookup_key=pro"
    );
    let price = local.post("/v1/prices", &body).await;
    let found = local.get("/v1/prices?lookup_keys[]=pro&active=true").await;
    assert_eq!(found["data"][0]["id"], price["id"]);
    let customer = local.customer().await;
    let body = format!(
        "mode=subscription&customer={customer}&success_url=http://shop.example/&line_items[0][price]={}\
         &line_items[0][quantity]=1&subscription_data[metadata][account]=7",
        id(&price)
    );
    let session = local.post("/v1/checkout/sessions", &body).await;
    let url = text(&session["url"]);
    assert_eq!(local.page(&url, Some(&form("4000000000000341"))).await.status, 402);
    assert_eq!(local.page(&url, Some(&form("4242424242424242"))).await.status, 303);
    let path = format!("/v1/checkout/sessions/{}?expand[]=subscription&expand[]=invoice", id(&session));
    let session = local.get(&path).await;
    assert_eq!(
        (&session["invoice"]["status"], &session["invoice"]["amount_paid"]),
        (&json!("paid"), &json!(1900))
    );
    assert_eq!(session["subscription"]["metadata"]["account"], "7");
    session["subscription"].clone()
}

async fn invoices(local: &Local, subscription: &Value) -> Vec<Value> {
    let path = format!("/v1/invoices?subscription={}&limit=100", id(subscription));
    local.get(&path).await["data"].as_array().unwrap().clone()
}

async fn now(local: &Local, subscription: &Value) -> Value {
    local.get(&format!("/v1/subscriptions/{}", id(subscription))).await
}

/// Moves the clock to the end of the period.
async fn next_period(local: &Local, subscription: &Value) {
    let items = now(local, subscription).await["items"]["data"].clone();
    let left =
        items[0]["current_period_end"].as_i64().unwrap() - local.look("clock").await["now"].as_i64().unwrap();
    local.control("clock", json!({ "advance": left })).await;
}

#[tokio::test]
async fn fourteen_months_with_a_failed_renewal_and_a_cancel_at_the_end() {
    let local = Local::start().await;
    let subscription = subscribed(&local, "month").await;
    let card = text(&subscription["default_payment_method"]);
    for month in 1..=14 {
        if month == 6 {
            local.control(&format!("cards/{card}"), json!({ "number": "4000000000000341" })).await;
        }
        next_period(&local, &subscription).await;
        if month == 6 {
            assert_eq!(now(&local, &subscription).await["status"], "past_due");
            let open = invoices(&local, &subscription).await[0].clone();
            assert_eq!((&open["status"], &open["attempt_count"]), (&json!("open"), &json!(1)));
            local.control(&format!("cards/{card}"), json!({ "number": "4242424242424242" })).await;
            local.advance(3).await;
            assert_eq!(now(&local, &subscription).await["status"], "active");
            assert_eq!(invoices(&local, &subscription).await[0]["attempt_count"], 2);
        }
    }
    let all = invoices(&local, &subscription).await;
    assert!(all.iter().all(|invoice| invoice["status"] == "paid"));
    assert_eq!(all.len(), 15, "one at the start, and one a month");
    assert_eq!(local.balance().await, 15 * 1900);
    // Periods follow each other without a gap.
    let periods: Vec<(i64, i64)> = all
        .iter()
        .rev()
        .map(|invoice| {
            let period = &invoice["lines"]["data"][0]["period"];
            (period["start"].as_i64().unwrap(), period["end"].as_i64().unwrap())
        })
        .collect();
    assert!(periods.windows(2).all(|pair| pair[0].1 == pair[1].0), "{periods:?}");
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let ending = local.post(&path, "cancel_at_period_end=true").await;
    assert_eq!((&ending["status"], &ending["cancel_at"]), (&json!("active"), &json!(periods[14].1)));
    next_period(&local, &subscription).await;
    let ended = now(&local, &subscription).await;
    assert_eq!((&ended["status"], &ended["ended_at"]), (&json!("canceled"), &json!(periods[14].1)));
    assert_eq!(invoices(&local, &subscription).await.len(), 15);
    assert_eq!(local.get("/v1/subscriptions").await["data"], json!([]));
    // An intent leads to its invoice.
    let intents = local.get("/v1/payment_intents?limit=1").await;
    let payment = format!(
        "/v1/invoice_payments?payment[type]=payment_intent&payment[payment_intent]={}&expand[]=data.invoice",
        id(&intents["data"][0])
    );
    assert_eq!(local.get(&payment).await["data"][0]["invoice"]["id"], all[0]["id"]);
}

#[tokio::test]
async fn who_never_pays_is_cancelled_after_the_last_try() {
    let local = Local::start().await;
    let subscription = subscribed(&local, "year").await;
    let card = text(&subscription["default_payment_method"]);
    local.control(&format!("cards/{card}"), json!({ "number": "4000000000009995" })).await;
    local.advance(365 + 14).await;
    assert_eq!(now(&local, &subscription).await["status"], "past_due");
    local.advance(2).await;
    let ended = now(&local, &subscription).await;
    assert_eq!(ended["status"], "canceled");
    assert_eq!(ended["cancellation_details"]["reason"], "payment_failed");
    let last = invoices(&local, &subscription).await[0].clone();
    assert_eq!(
        (&last["status"], &last["attempt_count"], &last["auto_advance"]),
        (&json!("open"), &json!(4), &json!(false))
    );
    let events = local.events().await;
    assert_eq!(events.iter().filter(|kind| *kind == "invoice.payment_failed").count(), 4);
    assert_eq!(events.last().unwrap(), "customer.subscription.deleted");
    assert_eq!(local.balance().await, 1900);
    // Years later nothing more has happened, and the person may still pay what is open.
    local.advance(800).await;
    assert_eq!(invoices(&local, &subscription).await.len(), 2);
    local.control(&format!("cards/{card}"), json!({ "number": "4242424242424242" })).await;
    assert_eq!(local.post(&format!("/v1/invoices/{}/pay", id(&last)), "").await["status"], "paid");
    assert_eq!(now(&local, &subscription).await["status"], "canceled");
}

#[tokio::test]
async fn a_downgrade_costs_less_from_the_next_period_on() {
    let local = Local::start().await;
    let subscription = subscribed(&local, "month").await;
    let product = text(&subscription["items"]["data"][0]["price"]["product"]);
    let body = format!("currency=usd&unit_amount=900&recurring[interval]=month&product={product}");
    let price = id(&local.post("/v1/prices", &body).await);
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    let item = id(&subscription["items"]["data"][0]);
    let change = format!("items[0][id]={item}&items[0][price]={price}");
    assert_eq!(local.call("POST", &path, &change).await.status, 400, "nothing is prorated");
    local.post(&path, &format!("{change}&proration_behavior=none")).await;
    assert_eq!(local.balance().await, 1900);
    local.advance(31).await;
    assert_eq!(invoices(&local, &subscription).await[0]["total"], 900);
    assert_eq!(local.balance().await, 1900 + 900);
    // Ended at once.
    assert_eq!(local.call("DELETE", &path, "").await.ok()["status"], "canceled");
    assert_eq!(local.call("DELETE", &path, "").await.status, 404);
}

#[tokio::test]
async fn the_clock_and_what_it_did_outlive_a_restart() {
    let local = Local::start().await;
    let subscription = subscribed(&local, "month").await;
    local.advance(62).await;
    let before = (local.look("clock").await["offset"].clone(), local.events().await);
    let local = local.restart().await;
    assert_eq!((local.look("clock").await["offset"].clone(), local.events().await), before);
    assert_eq!(invoices(&local, &subscription).await.len(), 3);
    let at = id(&local.post("/v1/customers", "").await);
    let made = local.get(&format!("/v1/customers/{at}")).await["created"].as_i64().unwrap();
    assert!(made >= subscription["created"].as_i64().unwrap() + 62 * 24 * 3600);
}
