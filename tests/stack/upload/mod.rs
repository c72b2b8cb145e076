//! Uploads: a file that a client brings is as good as a URL, and its owner's alone.

mod parts;
mod refuse;

use std::path::Path;
use std::time::{Duration, Instant};

use domain::ids::FileId;
use domain::money::Amount;
use serde_json::{Value, json};
use store::objects::Objects;

use crate::stack::cloud::{http, now};
use crate::stack::exact::check_as;
use crate::stack::source::{made, usual};
use crate::stack::{Account, Cloud, cloud};

const KIND: &str = "video/mp4";

fn asked(size: u64) -> Value {
    json!({ "filename": "Ferien am Meer 夏.mp4", "content_type": KIND, "file_size": size })
}

async fn post(account: &Account, path: &str, body: &Value) -> Value {
    let (status, answer) = account.post(path, body).await;
    assert_eq!(status, 200, "{path} {body}: {answer}");
    answer
}

fn text(answer: &Value, field: &str) -> String {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}")).to_owned()
}

/// Sends bytes as a browser does: with a type and a length, without a key.
async fn put(url: &str, kind: Option<&str>, bytes: Vec<u8>) -> reqwest::Response {
    let mut request = http().put(url).body(bytes);
    if let Some(kind) = kind {
        request = request.header("content-type", kind);
    }
    request.send().await.unwrap()
}

/// Announces `bytes` and sends them in one piece; answers the file's id and the link.
async fn sent(account: &Account, bytes: Vec<u8>) -> (String, String) {
    let requested = post(account, "/v1/upload/request", &asked(bytes.len() as u64)).await;
    let url = text(&requested, "upload_url");
    assert_eq!(put(&url, Some(KIND), bytes).await.status(), 200);
    (text(&requested, "file_id"), url)
}

/// Waits until an upload was looked at.
async fn looked_at(account: &Account, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (status, upload) = account.get(&format!("/v1/upload/{id}")).await;
        assert_eq!(status, 200, "{upload}");
        if matches!(upload["status"].as_str(), Some("ready" | "failed")) {
            return upload;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "never looked at: {upload}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Uploads the file at `path`; answers its id once it is ready.
pub(crate) async fn uploaded(account: &Account, path: &Path) -> String {
    let (id, _) = sent(account, std::fs::read(path).unwrap()).await;
    let upload = looked_at(account, &id).await;
    assert_eq!(upload["status"], "ready", "{upload}");
    id
}

/// The bucket, to look behind the API.
pub(crate) fn bucket(cloud: &Cloud) -> Objects {
    Objects::new(s3(cloud), cloud.info.buckets["MediaBucket"].clone())
}

/// The bucket's own client, to look behind the store.
pub(crate) fn s3(cloud: &Cloud) -> aws_sdk_s3::Client {
    let info = &cloud.info;
    let (id, secret) = (&info.access_key_id, &info.secret_access_key);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .http_client(store::https().unwrap())
        .region(aws_sdk_s3::config::Region::new(info.region.clone()))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(id, secret, None, None, "local"))
        .endpoint_url(&info.s3_url)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_cut_frame_by_frame() {
    let from = usual();
    let from = from.display();
    for path in [
        usual(),
        made("upload.mov", &format!("-i {from} -c copy")),
        made("upload.webm", &format!("-i {from} -c:v libvpx -deadline realtime -b:v 1M -c:a libopus")),
    ] {
        let account = cloud().account(Amount::cents(100)).await;
        let id = uploaded(&account, &path).await;
        let name = path.file_name().unwrap().to_str().unwrap();
        let answer = check_as(&account, json!({ "file_id": id }), name, &path, 1.5, 4.25).await;
        let read = answer["source_bytes_read"].as_u64().unwrap();
        assert!((1..=std::fs::metadata(&path).unwrap().len() + 100_000).contains(&read), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_tells_what_it_is() {
    let account = cloud().account(Amount::cents(100)).await;
    let bytes = std::fs::read(usual()).unwrap();
    let size = bytes.len();
    let requested = post(&account, "/v1/upload/request", &asked(size as u64)).await;
    let id = text(&requested, "file_id");
    let path = format!("/v1/upload/{id}");
    let (_, before) = account.get(&path).await;
    let expires_at = text(&requested, "expires_at");
    let awaiting = json!({
        "file_id": id, "status": "awaiting", "filename": "Ferien am Meer 夏.mp4", "file_size": size, "expires_at": expires_at,
    });
    assert_eq!(before, awaiting);
    let clip = json!({ "file_id": id, "start": 1, "end": 2 });
    let (status, early) = account.post("/v1/clip", &clip).await;
    assert_eq!((status, &early["code"]), (409, &json!("upload_not_ready")), "{early}");
    assert!(text(&early, "detail").contains(&path), "{early}");

    assert_eq!(put(&text(&requested, "upload_url"), Some(KIND), bytes).await.status(), 200);
    let ready = looked_at(&account, &id).await;
    assert_eq!((&ready["status"], &ready["max_height"]), (&json!("ready"), &json!(180)), "{ready}");
    assert_eq!((&ready["title"], &ready["error"]), (&json!("Ferien am Meer 夏"), &Value::Null));
    assert!((ready["duration"].as_f64().unwrap() - 8.0).abs() < 0.1, "{ready}");
    assert_eq!(account.get(&path).await.1, ready, "asked again, it is the same");
    let info = post(&account, "/v1/clip/info", &json!({ "file_id": id })).await;
    assert_eq!((&info["title"], &info["max_height"]), (&ready["title"], &ready["max_height"]));
    assert_eq!((&info["duration"], &info["preview_url"]), (&ready["duration"], &Value::Null));
    let quote = post(&account, "/v1/clip/quote", &json!({ "file_id": id })).await;
    assert_eq!((&quote["kind"], &quote["cost"]), (&json!("download"), &json!(0.05)), "{quote}");

    let (whole, file) = crate::stack::download::download(&account, &json!({ "file_id": id })).await;
    assert_eq!((&whole["method"], &whole["cost"]), (&json!("copy"), &json!(0.05)), "{whole}");
    assert_eq!(whole["file_name"], "Ferien am Meer 夏.mp4");
    assert_eq!(whole["file_size"], file.len());
    assert_eq!(account.audit().await, (Amount::cents(95), Amount::ZERO));
}

/// Who was to look may have crashed, or was never asked: a later read sees to it, a few times.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_lost_is_given_again() {
    let account = cloud().account(Amount::cents(100)).await;
    let table = cloud().table();
    let lost = async |times: usize| {
        let (id, _) = sent(&account, std::fs::read(usual()).unwrap()).await;
        let file = FileId::parse(&id).unwrap();
        for time in 0..times {
            let seen = table.upload(&account.id, &file).await.unwrap().unwrap();
            let then = now().plus_ms(-61_000 - (times - time) as i64);
            assert!(table.order_look(&seen, &[], then).await.unwrap());
        }
        looked_at(&account, &id).await
    };
    assert_eq!(lost(4).await["status"], "ready");
    let given_up = lost(5).await;
    assert_eq!((&given_up["status"], &given_up["error_code"]), (&json!("failed"), &json!("internal")));
}
