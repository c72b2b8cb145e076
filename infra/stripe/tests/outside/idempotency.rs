//! Idempotency keys, as Stripe has them.

use serde_json::json;

use crate::http::{Local, id, off_session};

async fn shop() -> (Local, String) {
    let local = Local::start().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4242424242424242").await;
    let body = off_session(&customer, &card, 2500);
    (local, body)
}

const PATH: &str = "/v1/payment_intents";

#[tokio::test]
async fn the_first_answer_is_given_again_also_after_a_restart() {
    let (local, body) = shop().await;
    let first = local.under("k", PATH, &body).await.unwrap();
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, ""));
    let local = local.restart().await;
    let second = local.under("k", PATH, &body).await.unwrap();
    assert_eq!((second.status, second.header("idempotent-replayed")), (200, "true"));
    assert_eq!(second.text, first.text);
    assert_eq!(second.header("original-request"), first.header("request-id"));
    assert_eq!(local.balance().await, 2500);
    let calls = local.look("calls").await;
    let replays: Vec<_> = calls.as_array().unwrap().iter().filter(|call| call["replayed"] == true).collect();
    assert_eq!(replays.len(), 1);
    // A day later the key is free.
    local.advance(1).await;
    assert_ne!(id(&local.under("k", PATH, &body).await.unwrap().ok()), id(&first.json()));
    assert_eq!(local.balance().await, 5000);
}

#[tokio::test]
async fn a_decline_is_given_again_too() {
    let (local, _) = shop().await;
    let customer = local.customer().await;
    let card = local.card(&customer, "4000000000009995").await;
    let body = off_session(&customer, &card, 2500);
    let first = local.under("k", PATH, &body).await.unwrap();
    local.control(&format!("cards/{card}"), json!({ "number": "4242424242424242" })).await;
    let second = local.under("k", PATH, &body).await.unwrap();
    assert_eq!((first.status, second.status), (402, 402));
    assert_eq!((second.text, local.balance().await), (first.text, 0));
    assert_eq!(local.under("k2", PATH, &body).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_key_is_for_one_request() {
    let (local, body) = shop().await;
    local.under("k", PATH, &body).await.unwrap().ok();
    for (path, body) in [(PATH, body.replace("2500", "2501")), ("/v1/customers", String::new())] {
        let other = local.under("k", path, &body).await.unwrap();
        assert_eq!(other.status, 400);
        assert_eq!(other.json()["error"]["type"], "idempotency_error");
    }
    assert_eq!(local.balance().await, 2500);
    // The order of the parameters says nothing.
    let turned: Vec<&str> = body.split('&').rev().collect();
    let again = local.under("k", PATH, &turned.join("&")).await.unwrap();
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn twenty_at_once_are_one() {
    let (local, body) = shop().await;
    local.control("faults", json!({ "path": PATH, "delay_ms": 300, "answer": "real" })).await;
    let all = (0..20).map(|_| local.under("k", PATH, &body));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(all).await.into_iter().map(|answer| answer.unwrap().status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(statuses[1..].iter().all(|status| *status == 409 || *status == 200), "{statuses:?}");
    assert!(statuses.contains(&409), "{statuses:?}");
    assert_eq!(local.balance().await, 2500);
    let again = local.under("k", PATH, &body).await.unwrap();
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
}

#[tokio::test]
async fn what_was_wrong_by_its_form_is_not_kept_and_what_was_refused_is() {
    let (local, body) = shop().await;
    let wrong = local.under("k", PATH, &format!("{body}&nonsense=1")).await.unwrap();
    assert_eq!(wrong.error(), (400, "parameter_unknown".to_owned()));
    assert_eq!(local.under("k", PATH, &body).await.unwrap().status, 200);
    let missing = local.under("k2", PATH, "amount=500&currency=usd&customer=cus_x").await.unwrap();
    let again = local.under("k2", PATH, "amount=500&currency=usd&customer=cus_x").await.unwrap();
    assert_eq!((missing.status, again.header("idempotent-replayed")), (400, "true"));
}

#[tokio::test]
async fn calls_fail_before_or_after_their_effect() {
    let (local, body) = shop().await;
    // (where, answer, what the client sees, what a repeat sees, what was charged in between)
    let steps = [
        ("before", json!("none"), None, (200, ""), 0),
        ("after", json!("none"), None, (200, "true"), 2500),
        ("before", json!({ "status": 500 }), Some(500), (500, "true"), 0),
        ("after", json!({ "status": 500 }), Some(500), (500, "true"), 2500),
        ("before", json!({ "status": 429 }), Some(429), (200, ""), 0),
        ("after", json!({ "status": 409 }), Some(409), (200, ""), 0),
    ];
    let mut charged = 0;
    for (number, (when, answer, seen, repeat, amount)) in steps.into_iter().enumerate() {
        let key = format!("k{number}");
        let body = format!("{body}&metadata[key]={key}");
        local
            .control("faults", json!({ "method": "POST", "path": PATH, "when": when, "answer": answer }))
            .await;
        let first = local.under(&key, PATH, &body).await;
        assert_eq!(first.ok().map(|answer| answer.status), seen, "{number}");
        charged += amount;
        assert_eq!(local.balance().await, charged, "{number}");
        let second = local.under(&key, PATH, &body).await.unwrap();
        assert_eq!(
            (second.status, second.header("idempotent-replayed")),
            repeat,
            "{number}: {}",
            second.text
        );
        if repeat == (200, "") {
            charged += 2500;
        }
        assert_eq!(local.balance().await, charged, "{number}");
        // Whatever was answered, the payment is found by what it was for.
        let found = local.get(&format!("/v1/payment_intents/search?query=metadata%5B'key'%5D:'{key}'")).await;
        let wanted = usize::from(number != 2);
        assert_eq!(found["data"].as_array().unwrap().len(), wanted, "{number}");
    }
    assert_eq!(local.look("faults").await, json!([]));
}

#[tokio::test]
async fn a_call_goes_on_when_its_client_stops_waiting() {
    let (local, body) = shop().await;
    local.control("faults", json!({ "path": PATH, "delay_ms": 400, "answer": "real" })).await;
    let impatient =
        tokio::time::timeout(std::time::Duration::from_millis(100), local.under("k", PATH, &body)).await;
    assert!(impatient.is_err(), "{impatient:?}");
    assert_eq!((local.balance().await, local.under("k", PATH, &body).await.unwrap().status), (0, 409));
    for _ in 0..200 {
        if local.balance().await == 2500 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let found = local.under("k", PATH, &body).await.unwrap();
    assert_eq!(
        (found.status, found.header("idempotent-replayed"), local.balance().await),
        (200, "true", 2500)
    );
}
