//! The private network stays private, and the operator's list of hosts is kept.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;

use domain::money::Amount;
use serde_json::json;

use crate::stack::cloud::binary;
use crate::stack::source::{served, usual};
use crate::stack::{With, shared};

#[path = "../../shared/sources/tests/kit/table.rs"]
pub(crate) mod table;

/// The limit is 60 requests a minute for a key, so each key has a part of the table.
const REQUESTS_MAX: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn no_url_leads_into_the_private_network() {
    let cloud = shared(With::NoPrivateSources);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for urls in table::all(port).chunks(REQUESTS_MAX) {
        let account = cloud.account(Amount::cents(100)).await;
        for url in urls {
            let (status, answer) =
                account.post("/v1/clip", &json!({ "url": url, "start": 1, "end": 2 })).await;
            assert!(matches!(status, 400 | 422), "{url}: {answer}");
            if status == 422 {
                let code = answer["code"].as_str().unwrap();
                // Names of the table that this machine does not know lead nowhere.
                assert!(matches!(code, "source_forbidden" | "source_unavailable"), "{url}: {answer}");
                let is_known = !url.contains(".test") && !url.contains("metadata");
                assert!(code == "source_forbidden" || !is_known, "{url}: {answer}");
            }
        }
        assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    }
    // Connections wait to be accepted: there are none.
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_come_from_the_hosts_that_the_operator_lists() {
    let cloud = shared(With::NarrowSettings);
    let account = cloud.account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let elsewhere = server.url().replace("127.0.0.1", "127.0.0.2");
    for path in ["/v1/clip", "/v1/download", "/v1/clip/info"] {
        for url in [elsewhere.as_str(), "https://vimeo.com/1", "https://youtube.com.example.org/watch?v=1"] {
            let body = match path {
                "/v1/download" => json!({ "url": url }),
                _ => json!({ "url": url, "start": 1, "end": 2 }),
            };
            let (status, answer) = account.post(path, &body).await;
            assert_eq!(
                (status, &answer["code"]),
                (422, &json!("source_forbidden")),
                "{path} {url}: {answer}"
            );
            let detail = answer["detail"].as_str().unwrap();
            assert!(
                detail.ends_with(
                    "the allowed hosts are 127.0.0.1, youtube.com, youtu.be, youtube-nocookie.com."
                ),
                "{detail}"
            );
        }
    }
    assert_eq!(server.requests(), 0);
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    let (answer, _) = account.clip(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    assert_eq!(answer["status"], "complete");
}

/// Beside AWS itself a function that may reach private addresses does not even start.
#[test]
fn private_sources_are_refused_on_aws() {
    let start = |endpoint: Option<&str>| {
        let output = Command::new(binary("media"))
            .env_clear()
            .envs([("_HANDLER", "media.probe"), ("ALLOW_PRIVATE_SOURCES", "true")])
            .envs(endpoint.map(|url| ("AWS_ENDPOINT_URL", url)))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    for endpoint in [None, Some("https://lambda.eu-central-1.amazonaws.com")] {
        let (started, log) = start(endpoint);
        assert!(!started && log.contains("ALLOW_PRIVATE_SOURCES must be false on AWS"), "{log}");
    }
}
