//! No webhook leads into the private network, whichever way its address is written.

use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs as _};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::money::Amount;
use serde_json::json;

use super::{act, hook, latest, patch};
use crate::stack::door::secrets::client;
use crate::stack::forbidden::table;
use crate::stack::{With, shared};

/// A URL of the table, the same in https, and on the port that the rule allows. A name that
/// does not resolve here is left out: it may resolve tomorrow, so it is not refused.
fn spellings(url: &str, port: u16) -> Vec<String> {
    let https = url.replacen("http:", "https:", 1).replacen("HTTP:", "HTTPS:", 1);
    let bare = https.replace(&format!(":{port}"), "");
    let is_known = |url: &String| {
        let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.is_none_or(|host| (host.trim_matches(['[', ']']), 443).to_socket_addrs().is_ok())
    };
    [url.to_owned(), https, bare].into_iter().filter(is_known).collect()
}

/// Requests with one key: the limit is 60 a minute.
const REQUESTS_MAX: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn no_webhook_leads_into_the_private_network() {
    let cloud = shared(With::NoPrivateSources);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let urls: Vec<String> = table::all(port).iter().flat_map(|url| spellings(url, port)).collect();
    assert!(urls.len() > 50);
    for urls in urls.chunks(REQUESTS_MAX) {
        let account = cloud.account(Amount::cents(100)).await;
        for url in urls {
            let (status, answer) = account.post("/v1/webhooks", &json!({ "url": url })).await;
            assert_eq!(status, 400, "{url}: {answer}");
            let ask = json!({ "url": "https://example.com/a.mp4", "start": 1, "end": 2, "webhook": url });
            let (status, answer) = account.post("/v1/clip", &ask).await;
            assert_eq!(status, 400, "{url}: {answer}");
            assert!(answer["detail"].as_str().unwrap().to_lowercase().contains("webhook"), "{url}: {answer}");
        }
        assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    }

    // A name that was public when it was checked, and leads elsewhere when it is sent to.
    let account = cloud.account(Amount::ZERO).await;
    let made = hook(&account, "https://nobody-has-this-name.invalid/", &[]).await;
    assert_eq!(patch(&account, &made.id, &json!({ "url": "https://localhost/" })).await.0, 400);
    let (client, table) = client(cloud);
    let moved = client
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("ACCOUNT#{}", account.id)))
        .key("sk", AttributeValue::S("WEBHOOKS".to_owned()))
        .update_expression("SET endpoints[0].#url = :url")
        .expression_attribute_names("#url", "url")
        .expression_attribute_values(":url", AttributeValue::S("https://localhost/".to_owned()));
    moved.send().await.unwrap();
    act(&account, &made.id, "test").await;
    let attempted = |delivery: &serde_json::Value| delivery["attempts"].get(0).is_some();
    let delivery = latest(&account, &made.id, attempted).await;
    let error = delivery["attempts"][0]["error"].as_str().unwrap();
    assert!(error.starts_with("The address is not allowed"), "{error}");

    // Connections wait to be accepted: there are none.
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
