//! No secret is stored or logged: everything that one person's secrets touch is searched for them.

use std::time::Duration;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;

use crate::stack::cloud::http;
use crate::stack::door::browser::{Browser, address};
use crate::stack::{Cloud, cloud};

/// The table's own client and its name: what a look behind the store needs.
pub(crate) fn client(cloud: &Cloud) -> (aws_sdk_dynamodb::Client, String) {
    let info = &cloud.info;
    let credentials = Credentials::new(&info.access_key_id, &info.secret_access_key, None, None, "local");
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(store::https().unwrap())
        .region(Region::new(info.region.clone()))
        .credentials_provider(credentials)
        .endpoint_url(&info.dynamodb_url)
        .build();
    (aws_sdk_dynamodb::Client::from_conf(config), info.tables["Table"].clone())
}

/// Makes a session as old as if `age_ms` had passed: all its times move back.
pub(crate) async fn age_session(cloud: &Cloud, token: &str, age_ms: i64) {
    let (client, table) = client(cloud);
    let digest = domain::ids::digest(token);
    let number = |number: i64| AttributeValue::N(number.to_string());
    let aged = client
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("SESSION#{digest}")))
        .key("sk", AttributeValue::S("SESSION".to_owned()))
        .update_expression("ADD created_at :age, expires_at :age")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":age", number(-age_ms));
    aged.send().await.unwrap();
}

/// Every item of the table, as text.
pub(crate) async fn whole_table(cloud: &Cloud) -> Vec<String> {
    let (client, table) = client(cloud);
    let mut pages = client.scan().table_name(table).into_paginator().items().send();
    let mut items = Vec::new();
    while let Some(item) = pages.next().await {
        items.push(format!("{:?}", item.unwrap()));
    }
    items
}

/// Every log file of the functions, with its name, and ministack's.
pub(crate) fn logs(cloud: &Cloud) -> Vec<(String, String)> {
    let files = std::fs::read_dir(&cloud.info.logs).unwrap().map(|entry| entry.unwrap().path());
    let ministack = cloud.info.state.join("ministack.log");
    let read = |path: std::path::PathBuf| {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        (path.display().to_string(), text)
    };
    files.chain([ministack]).map(read).collect()
}

/// Whether `secret` stands in `text` as a word of its own: eight digits also stand within longer numbers.
pub(crate) fn has(text: &str, secret: &str) -> bool {
    text.match_indices(secret).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + secret.len()..].chars().next();
        ![before, after].into_iter().flatten().any(|c| c.is_ascii_alphanumeric())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_or_logged() {
    let (mut browser, email) = (Browser::new(cloud()), address("secret"));
    let unused = browser.ask_for_mail(cloud(), &email).await;
    let mail = browser.ask_for_mail(cloud(), &email).await;
    assert_eq!(browser.post("/v1/auth/verify", &json!({ "email": email, "code": "00000000" })).await.0, 401);
    let (status, _) = browser.post("/v1/auth/verify", &json!({ "email": email, "code": mail.code })).await;
    assert_eq!(status, 200);
    let ended = browser.session.clone().unwrap();
    assert_eq!(browser.post("/v1/auth/logout", &json!({})).await.0, 200);
    let by_link = browser.ask_for_mail(cloud(), &email).await;
    assert_eq!(browser.post("/v1/auth/verify", &json!({ "token": by_link.token })).await.0, 200);
    let (deleted_id, deleted) = browser.make_key("deleted").await;
    let (_, key) = browser.make_key("kept").await;
    let get = |key: &str| http().get(cloud().url("/v1/balance")).bearer_auth(key).send();
    assert_eq!(get(&key).await.unwrap().status(), 200);
    assert_eq!(browser.delete(&format!("/v1/keys/{deleted_id}")).await.0, 200);
    assert_eq!(get(&deleted).await.unwrap().status(), 401);
    assert_eq!(browser.get("/v1/keys").await.0, 200);
    // The functions write their last lines behind their answers.
    tokio::time::sleep(Duration::from_millis(300)).await;

    let session = browser.session.clone().unwrap();
    let waited_for_a_code = browser.signing_in.clone().unwrap();
    let mut secrets = vec![ended, session, waited_for_a_code, key, deleted];
    for mail in [&unused, &mail, &by_link] {
        secrets.extend([mail.token.clone(), mail.code.clone()]);
    }
    assert!(secrets.iter().all(|secret| secret.len() >= 8));
    let items = whole_table(cloud()).await;
    assert!(items.iter().any(|item| item.contains(&email)), "the scan sees the account at all");
    let logs = logs(cloud());
    let logged = |word: &str| logs.iter().any(|(_, text)| text.contains(word));
    assert!(logged("signed in") && logged("sent a mail"), "the logs are those of the functions");
    for secret in &secrets {
        for item in &items {
            assert!(!has(item, secret), "stored: {item}");
        }
        for (name, text) in &logs {
            assert!(!has(text, secret), "logged in {name}");
        }
    }
    let own = logs.iter().filter(|(name, _)| !name.ends_with("ministack.log"));
    for (name, text) in own {
        assert!(!text.contains(&email), "an address is personal data and not logged either: {name}");
    }
}

#[test]
fn the_search_finds_what_is_there() {
    assert!(has("{\"code\":\"012345\"}", "012345"));
    assert!(!has("at 1012345 ms", "012345"));
}
