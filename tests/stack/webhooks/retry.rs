//! What is not taken comes again, until it is, or nobody can be there any more.

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use domain::money::Amount;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::verify::accepts;
use super::{act, hook, is, latest, log, patch};
use crate::stack::cloud::{http, now};
use crate::stack::door::secrets::client;
use crate::stack::watch::counted;
use crate::stack::{Account, cloud};

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_comes_again_after_seconds() {
    let account = cloud().account(Amount::ZERO).await;
    let answers = [StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NO_CONTENT];
    let receiver = Receiver::start(move |hits| answers[hits.len().min(2) - 1].into_response()).await;
    let made = hook(&account, &receiver.url("/"), &[]).await;
    act(&account, &made.id, "test").await;
    let hits = receiver.heard(2).await;
    assert_eq!((hits[0].id(), &hits[0].body), (hits[1].id(), &hits[1].body));
    let sent = |n: usize| hits[n].header("webhook-timestamp").parse::<i64>().unwrap();
    assert!((4..=60).contains(&(sent(1) - sent(0))), "{} s", sent(1) - sent(0));
    assert!(accepts(&made.secret, &hits[1]).await, "each attempt is signed for itself");
    let delivery = latest(&account, &made.id, is("delivered")).await;
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(
        attempts.iter().map(|attempt| &attempt["status"]).collect::<Vec<_>>(),
        [&json!(500), &json!(204)]
    );
    assert_eq!(attempts[0]["error"], "The answer was not 2xx.");
    let (_, view) = account.get(&format!("/v1/webhooks/{}", made.id)).await;
    assert!(view["failing_since"].is_null(), "it took something: {view}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_switches_off_at_once() {
    let account = cloud().account(Amount::ZERO).await;
    let receiver = Receiver::start(|_| StatusCode::GONE.into_response()).await;
    let made = hook(&account, &receiver.url("/"), &[]).await;
    act(&account, &made.id, "test").await;
    let delivery = latest(&account, &made.id, is("failed")).await;
    assert_eq!(delivery["attempts"][0]["status"], 410);
    let view = off(&account, &made.id).await;
    assert_eq!(view["disabled_reason"], "gone");
    assert_eq!(act(&account, &made.id, "test").await.0, 409);
    let replay = format!("deliveries/{}/replay", delivery["id"].as_str().unwrap());
    assert_eq!(act(&account, &made.id, &replay).await.0, 409);
    assert_eq!(patch(&account, &made.id, &json!({ "enabled": true })).await.1["enabled"], true);
    assert_eq!(act(&account, &made.id, "test").await.0, 200);
    receiver.heard(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed_and_no_answer_is_told_as_such() {
    let account = cloud().account(Amount::ZERO).await;
    let elsewhere = Receiver::willing().await;
    let target = elsewhere.url("/");
    let receiver = Receiver::start(move |_| {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, target.clone())]).into_response()
    })
    .await;
    let redirecting = hook(&account, &receiver.url("/"), &[]).await;
    act(&account, &redirecting.id, "test").await;
    receiver.heard(1).await;
    let attempted = |delivery: &Value| !delivery["attempts"].as_array().unwrap().is_empty();
    let delivery = latest(&account, &redirecting.id, attempted).await;
    assert_eq!(delivery["attempts"][0]["status"], 307);
    assert_eq!(delivery["attempts"][0]["error"], "Redirects are not followed.");
    assert!(delivery["next_attempt"].is_string());

    // Nobody is there; and a server whose certificate nobody vouches for is nobody.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = hook(&account, &format!("https://127.0.0.1:{port}/?secret=hush"), &[]).await;
    act(&account, &nobody.id, "test").await;
    let impostor = hook(&account, &receiver.url("/").replace("127.0.0.1", "127.0.0.2"), &[]).await;
    act(&account, &impostor.id, "test").await;
    for id in [&nobody.id, &impostor.id] {
        let delivery = latest(&account, id, attempted).await;
        assert!(delivery["attempts"][0]["status"].is_null());
        let error = delivery["attempts"][0]["error"].as_str().unwrap();
        assert!(error.starts_with("No connection: "), "{error}");
    }
    assert_eq!(elsewhere.so_far().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_its_way_to_a_webhook_that_is_switched_off_is_given_up() {
    let account = cloud().account(Amount::ZERO).await;
    let receiver = Receiver::start(|_| StatusCode::BAD_GATEWAY.into_response()).await;
    let made = hook(&account, &receiver.url("/"), &[]).await;
    act(&account, &made.id, "test").await;
    receiver.heard(1).await;
    assert_eq!(patch(&account, &made.id, &json!({ "enabled": false })).await.0, 200);
    let delivery = latest(&account, &made.id, is("cancelled")).await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), receiver.so_far().len());
}

/// The last of nine attempts: the pauses before it are moved, not waited for.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_for_a_day_is_a_dead_letter_and_its_webhook_goes_off() {
    let account = cloud().account(Amount::ZERO).await;
    let receiver = Receiver::start(|_| StatusCode::SERVICE_UNAVAILABLE.into_response()).await;
    let made = hook(&account, &receiver.url("/"), &[]).await;
    act(&account, &made.id, "test").await;
    receiver.heard(2).await;
    // After the second attempt, the next one is minutes away: the order waits in the queue, and then the sweep has it.
    let twice = |delivery: &Value| delivery["attempts"].as_array().unwrap().len() == 2;
    let delivery = latest(&account, &made.id, twice).await;
    let event = delivery["id"].as_str().unwrap();
    let (client, table) = client(cloud());
    let number = |number: i64| AttributeValue::N(number.to_string());
    let pk = AttributeValue::S(format!("ACCOUNT#{}", account.id));
    let past = now().plus_ms(-1000).0;
    let moved = client
        .update_item()
        .table_name(&table)
        .key("pk", pk.clone())
        .key("sk", AttributeValue::S(format!("DELIVERY#{}#{event}", made.id)))
        .update_expression("SET tries = :tries, next_at = :past, due_at = :past")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":tries", number(8))
        .expression_attribute_values(":past", number(past));
    moved.send().await.unwrap();
    let aged = client
        .update_item()
        .table_name(&table)
        .key("pk", pk)
        .key("sk", AttributeValue::S("WEBHOOKS".to_owned()))
        .update_expression("SET endpoints[0].failing_since = :long_ago")
        .condition_expression("attribute_exists(endpoints[0].failing_since)")
        .expression_attribute_values(":long_ago", number(past - domain::webhook::GIVE_UP_AFTER_MS));
    aged.send().await.unwrap();
    cloud().invoke("WebhooksSweepFunction", &json!({})).await;
    let delivery = latest(&account, &made.id, is("failed")).await;
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 3);
    assert_eq!(receiver.so_far().len(), 3);
    assert_eq!(off(&account, &made.id).await["disabled_reason"], "failing");
    let letters = dead_letters().await;
    assert!(letters.contains(event), "{letters}");
    assert!(!counted(cloud(), "DeadDeliveries").is_empty());

    // Its owner mends the server, and has the event told once more.
    patch(&account, &made.id, &json!({ "enabled": true })).await;
    act(&account, &made.id, &format!("deliveries/{event}/replay")).await;
    assert_eq!(receiver.heard(4).await[3].id(), event);
    assert_eq!(log(&account, &made.id).await.len(), 1, "it is the same delivery");
}

/// A webhook once it is off.
async fn off(account: &Account, id: &str) -> Value {
    for _ in 0..20 {
        let (_, view) = account.get(&format!("/v1/webhooks/{id}")).await;
        if view["enabled"] == false {
            return view;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("{id} is still on");
}

/// The dead letters of webhooks, as SQS tells them.
async fn dead_letters() -> String {
    let queue = &cloud().info.queues["WebhooksDeadLetters"];
    let ask = http()
        .post(queue)
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=ReceiveMessage&Version=2012-11-05&MaxNumberOfMessages=10&VisibilityTimeout=0");
    ask.send().await.unwrap().text().await.unwrap()
}
