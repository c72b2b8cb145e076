//! A release changes functions while they are called. Whatever calls them calls a version, which it does not reach.

use domain::money::Amount;
use serde_json::json;

use crate::stack::Cloud;
use crate::stack::cloud::http;
use crate::stack::source::{lavfi, made, served};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_reaches_nobody_before_it_is_live() {
    let cloud = Cloud::fresh(&[]);
    let account = cloud.account(Amount::cents(100)).await;
    // Looked at by a function that the API's functions call.
    let server =
        served(&made("release.mkv", &format!("{} -c:v libx264 -c:a aac", lavfi("320x180", "25", 4)))).await;

    // The newest of every function cannot even start: it misses its environment.
    for name in cloud.info.functions.values() {
        let url = format!("{}/2015-03-31/functions/{name}/configuration", cloud.info.ministack_url);
        let change = json!({ "Environment": { "Variables": {} }, "Handler": "nobody.knows" });
        let answer = http().put(url).json(&change).send().await.unwrap();
        assert!(answer.status().is_success(), "{name}: {}", answer.text().await.unwrap());
    }
    assert!(cloud.try_invoke("ReserveFunction", &json!({})).await.0, "the newest one works");

    // The API, what its functions call, the state machine, and behind its end a queue.
    account.clip(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));
}
