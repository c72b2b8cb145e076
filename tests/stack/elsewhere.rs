//! What the API says where no route leads, to HEAD, and to pages of other origins.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use domain::money::Amount;
use reqwest::{Method, redirect::Policy};
use serde_json::{Value, json};

use crate::stack::browser::opened;
use crate::stack::cloud::http;
use crate::stack::share::is_well_formed;
use crate::stack::{Cloud, cloud};

/// Status, the headers that matter here, and the body.
async fn ask(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let mut request = client.request(Method::from_bytes(method.as_bytes()).unwrap(), cloud().url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.bytes().await.unwrap().to_vec())
}

/// A problem's code; its form is checked.
fn problem((status, headers, body): &(u16, reqwest::header::HeaderMap, Vec<u8>)) -> (u16, String) {
    assert_eq!(headers["content-type"], "application/problem+json");
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(body["status"], *status);
    assert!(body["detail"].as_str().unwrap().ends_with('.'), "{body}");
    assert!(!body["request_id"].as_str().unwrap().is_empty(), "{body}");
    (*status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_route_leads_a_problem_says_so() {
    for path in ["/nowhere", "/v1", "/v1/nowhere/", "/v1/clip/a/b", "/%2e%2e/etc", "/v1/clips//pin"] {
        let answer = ask("GET", path, &[]).await;
        assert_eq!(problem(&answer), (404, "not_found".to_owned()), "{path}");
    }
    let (status, headers, page) = ask("GET", "/nowhere", &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((status, &headers["content-type"]), (404, &"text/html; charset=utf-8".parse().unwrap()));
    is_well_formed(std::str::from_utf8(&page).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_path_does_not_know_is_told_which_it_knows() {
    for (method, path, allow) in [
        ("GET", "/v1/clip", "POST"),
        ("POST", "/v1/balance", "GET, HEAD"),
        ("PUT", "/v1/clips/aaaaaaaaaaaaaaaa", "DELETE, PATCH"),
        ("DELETE", "/", "GET, HEAD"),
    ] {
        let answer = ask(method, path, &[]).await;
        assert_eq!(problem(&answer), (405, "method_not_allowed".to_owned()), "{method} {path}");
        assert_eq!(answer.1["allow"], allow, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_too_many_leads_to_the_path_without_it() {
    for (method, path, to) in [
        ("POST", "/v1/clip/", "/v1/clip"),
        ("GET", "/v1/clips/?page=2&per_page=5", "/v1/clips?page=2&per_page=5"),
        ("GET", "/c/aaaaaaaaaaaaaaaa///", "/c/aaaaaaaaaaaaaaaa"),
    ] {
        let (status, headers, _) = ask(method, path, &[]).await;
        assert_eq!((status, headers["location"].to_str().unwrap()), (308, to), "{method} {path}");
    }
    let (status, headers, _) = ask("GET", "//example.com/", &[]).await;
    assert_eq!((status, headers.get("location")), (404, None), "never to another site");
    // The key goes with it: the address is the same.
    let account = cloud().account(Amount::cents(10)).await;
    let answer =
        http().get(cloud().url("/v1/balance/")).bearer_auth(account.key.reveal()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_answered_like_get_without_the_body() {
    let account = cloud().account(Amount::cents(10)).await;
    let key = format!("Bearer {}", account.key.reveal());
    let paths = [
        "/",
        "/openapi.json",
        "/v1/balance",
        "/v1/clips",
        "/v1/clip/aaaaaaaaaaaaaaaa",
        "/v1/share/aaaaaaaaaaaaaaaa",
    ];
    for path in paths {
        let (status, headers, body) = ask("HEAD", path, &[("authorization", &key)]).await;
        assert!(body.is_empty(), "{path}");
        let (of_get, headers_of_get, _) = ask("GET", path, &[("authorization", &key)]).await;
        assert_eq!((status, &headers["content-type"]), (of_get, &headers_of_get["content-type"]), "{path}");
    }
    assert_eq!(ask("HEAD", "/v1/balance", &[]).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_compressed_and_kept_and_names_its_server() {
    let (status, headers, plain) = ask("GET", "/openapi.json", &[]).await;
    assert_eq!(status, 200);
    let document: Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(document["servers"], json!([{ "url": cloud().info.base_url }]));
    let tag = headers["etag"].to_str().unwrap();
    assert!(headers["vary"].to_str().unwrap().to_lowercase().contains("accept-encoding"));
    let (status, packed_headers, packed) =
        ask("GET", "/openapi.json", &[("accept-encoding", "br, gzip")]).await;
    assert_eq!((status, &packed_headers["content-encoding"]), (200, &"gzip".parse().unwrap()));
    assert_eq!(packed[..2], [0x1f, 0x8b], "gzip's first bytes (RFC 1952)");
    assert!(packed.len() * 3 < plain.len());
    assert_ne!(packed_headers["etag"], tag, "two forms have two tags");
    let (status, again, body) = ask("GET", "/openapi.json", &[("if-none-match", tag)]).await;
    assert_eq!((status, again["etag"].to_str().unwrap(), body.len()), (304, tag, 0));
    assert_eq!(ask("GET", "/openapi.json", &[("if-none-match", "\"other\"")]).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_url_says_where_to_go() {
    let (status, headers, page) = ask("GET", "/", &[]).await;
    assert_eq!((status, &headers["content-type"]), (200, &"text/html; charset=utf-8".parse().unwrap()));
    let page = String::from_utf8(page).unwrap();
    is_well_formed(&page);
    assert!(
        page.contains("href=\"/openapi.json\"")
            && page.contains(&format!("curl {}/v1/clip", cloud().info.base_url))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_in_the_form_of_our_errors() {
    let account = cloud().account(Amount::cents(10)).await;
    let body = json!({ "url": format!("https://example.com/{}", "a".repeat(70_000)), "start": 0, "end": 1 });
    let answer = http()
        .post(cloud().url("/v1/clip"))
        .bearer_auth(account.key.reveal())
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (reqwest::StatusCode::PAYLOAD_TOO_LARGE, &"application/problem+json".parse().unwrap())
    );
}

/// A page of another origin, with a script that asks and reports.
async fn from_another_origin(cloud: &Cloud, key: &str) -> Value {
    let page = r#"<!doctype html><title>elsewhere</title><script type="module">
        const base = "{BASE}", headers = { authorization: "Bearer {KEY}", "content-type": "application/json" };
        const report = {};
        try {
            const balance = await fetch(base + "/v1/balance", { headers });
            report.balance = (await balance.json()).balance;
            report.id = balance.headers.get("x-request-id");
            report.left = balance.headers.get("x-ratelimit-remaining");
            const clip = await fetch(base + "/v1/clip", { method: "POST", headers: { ...headers, "idempotency-key": "k-1" }, body: "{}" });
            report.clip = [clip.status, (await clip.json()).code];
            const wrong = await fetch(base + "/v1/clip", { headers });
            report.wrong = [wrong.status, wrong.headers.get("allow")];
            const renamed = await fetch(base + "/v1/clips/aaaaaaaaaaaaaaaa", { method: "PATCH", headers, body: '{"name": "a"}' });
            report.renamed = renamed.status;
        } catch (error) { report.error = String(error); }
        await fetch("/report", { method: "POST", body: JSON.stringify(report) });
    </script>"#;
    let page = page.replace("{BASE}", &cloud.info.base_url).replace("{KEY}", key);
    opened(Router::new().route("/", get(async move || Html(page)))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_ask_with_a_key() {
    let account = cloud().account(Amount::cents(70)).await;
    let report = from_another_origin(cloud(), account.key.reveal()).await;
    assert_eq!(report["error"], Value::Null, "{report}");
    assert_eq!(report["balance"], 0.7, "{report}");
    assert!(report["id"].is_string() && report["left"].is_string(), "headers that may be read: {report}");
    assert_eq!(report["clip"], json!([400, "bad_request"]), "{report}");
    assert_eq!(report["wrong"], json!([405, "POST"]), "{report}");
    assert_eq!(report["renamed"], 404, "{report}");
    let preflight = [("origin", "https://elsewhere.example"), ("access-control-request-method", "PATCH")];
    let (status, headers, _) = ask("OPTIONS", "/v1/account", &preflight).await;
    assert_eq!((status, headers["access-control-max-age"].to_str().unwrap()), (204, "7200"));
    assert_eq!(headers["access-control-allow-origin"], "*");
    for method in ["GET", "HEAD", "POST", "PATCH", "DELETE"] {
        assert!(headers["access-control-allow-methods"].to_str().unwrap().contains(method), "{method}");
    }
}

/// Where there is a default route, API Gateway hands it what a browser asks beforehand; the local one answers that itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_browser_asks_beforehand_is_answered_by_the_function_too() {
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/v1/clip", "rawQueryString": "", "isBase64Encoded": false,
        "headers": { "origin": "https://elsewhere.example", "access-control-request-method": "POST" },
        "requestContext": {
            "accountId": "0", "apiId": "a", "domainName": "a.example", "domainPrefix": "a", "requestId": "r",
            "routeKey": "$default", "stage": "$default", "time": "30/Nov/2026:00:00:00 +0000", "timeEpoch": 0,
            "http": {
                "method": "OPTIONS", "path": "/v1/clip", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "x",
            },
        },
    });
    let answer = cloud().invoke("PagesElsewhereFunction", &event).await;
    assert_eq!(answer["statusCode"], 204, "{answer}");
}
