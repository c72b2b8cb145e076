//! API keys: ten at most, for what their scopes allow, and gone when they are deleted.

use serde_json::json;

use crate::stack::cloud;
use crate::stack::door::browser::{Browser, address};
use crate::stack::door::{with_key, without_request_id};

#[tokio::test(flavor = "multi_thread")]
async fn ten_keys_and_not_one_more() {
    let mut browser = Browser::new(cloud());
    browser.sign_in(cloud(), &address("keys")).await;
    let makers = (0..16).map(|number| {
        let mut browser = browser.clone();
        tokio::spawn(async move { browser.post("/v1/keys", &json!({ "name": format!("k{number}") })).await })
    });
    let (mut made, mut refused) = (Vec::new(), 0);
    for maker in makers.collect::<Vec<_>>() {
        match maker.await.unwrap() {
            (200, key) => made.push(key),
            (status, answer) => {
                assert_eq!((status, &answer["code"]), (409, &json!("too_many_keys")), "{answer}");
                refused += 1;
            }
        }
    }
    assert_eq!((made.len(), refused), (10, 6));
    assert_eq!(browser.get("/v1/keys").await.1["keys"].as_array().unwrap().len(), 10);

    // A deleted key is worth nothing at once, and makes room for another.
    let (id, key) = (made[3]["id"].as_str().unwrap(), made[3]["key"].as_str().unwrap());
    assert_eq!(with_key(key, "/v1/balance").await.0, 200);
    assert_eq!(browser.delete(&format!("/v1/keys/{id}")).await.0, 200);
    assert_eq!(with_key(key, "/v1/balance").await.0, 401);
    assert_eq!(browser.delete(&format!("/v1/keys/{id}")).await.0, 404);
    browser.make_key("eleventh").await;
    assert_eq!(browser.post("/v1/keys", &json!({ "name": "twelfth" })).await.0, 409);

    // Somebody else's key is answered like none.
    let mut stranger = Browser::new(cloud());
    stranger.sign_in(cloud(), &address("stranger")).await;
    let id = made[4]["id"].as_str().unwrap();
    let (theirs, none) = (
        stranger.delete(&format!("/v1/keys/{id}")).await,
        stranger.delete("/v1/keys/aaaaaaaaaaaaaaaa").await,
    );
    assert_eq!((theirs.0, without_request_id(theirs.1)), (404, without_request_id(none.1)));
    assert_eq!(with_key(made[4]["key"].as_str().unwrap(), "/v1/balance").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_what_its_scopes_allow() {
    let mut browser = Browser::new(cloud());
    browser.sign_in(cloud(), &address("scopes")).await;
    let ask = json!({ "name": "reader", "scopes": ["clips:read", "clips:read"], "daily_cap": 2.5 });
    let (status, made) = browser.post("/v1/keys", &ask).await;
    assert_eq!(
        (status, &made["scopes"], &made["daily_cap"]),
        (200, &json!(["clips:read"]), &json!(2.5)),
        "{made}"
    );
    let key = made["key"].as_str().unwrap();
    assert_eq!(with_key(key, "/v1/clip/aaaaaaaaaaaaaaaa").await.0, 404);
    let (status, refused) = with_key(key, "/v1/transactions").await;
    assert_eq!((status, &refused["code"]), (403, &json!("missing_scope")), "{refused}");
    for body in [
        json!({ "name": "" }),
        json!({ "name": "a".repeat(65) }),
        json!({ "name": "a\r\nSet-Cookie: b" }),
        json!({ "name": "a", "scopes": ["everything"] }),
        json!({ "name": "a", "daily_cap": 0 }),
        json!({ "name": "a", "daily_cap": -1 }),
        json!({}),
    ] {
        assert_eq!(browser.post("/v1/keys", &body).await.0, 400, "{body}");
    }
}
