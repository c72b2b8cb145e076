//! What uploads refuse, and for whom.

use domain::account::Scope;
use domain::ids::FileId;
use domain::money::Amount;
use domain::upload::{Announced, Upload};
use reqwest::Method;
use serde_json::{Value, json};
use store::keys;

use crate::stack::cloud;
use crate::stack::cloud::{answer, http, now};
use crate::stack::source::{made, served, usual};
use crate::stack::upload::{KIND, asked, bucket, looked_at, post, put, sent, text, uploaded};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_takes_what_was_announced_and_nothing_else() {
    let account = cloud().account(Amount::cents(100)).await;
    // Little enough to be sent before the refusal comes, which would cut off who is still sending.
    let bytes = vec![7; 1000];
    let requested = post(&account, "/v1/upload/request", &asked(bytes.len() as u64)).await;
    let (id, url) = (text(&requested, "file_id"), text(&requested, "upload_url"));
    let longer = [&bytes[..], b"x"].concat();
    for (kind, bytes) in [
        (Some(KIND), longer),
        (Some(KIND), bytes[1..].to_vec()),
        (Some(KIND), Vec::new()),
        (Some("text/html"), bytes.clone()),
        (None, bytes.clone()),
    ] {
        assert_eq!(put(&url, kind, bytes).await.status(), 403, "{kind:?}");
    }
    let elsewhere = url.replace(&id, "aaaaaaaaaaaaaaaa");
    assert_eq!(put(&elsewhere, Some(KIND), bytes.clone()).await.status(), 403);
    assert_eq!(account.get(&format!("/v1/upload/{id}")).await.1["status"], "awaiting");
    assert_eq!(put(&url, Some(KIND), bytes).await.status(), 200);
    assert_eq!(looked_at(&account, &id).await["status"], "failed", "it has come, and is no video");

    // A browser on any page may send, and read the entity tag.
    let preflight = http().request(Method::OPTIONS, &url).header("origin", "https://example.com");
    let preflight = preflight.header("access-control-request-method", "PUT").send().await.unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");
    assert!(preflight.headers()["access-control-allow-methods"].to_str().unwrap().contains("PUT"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_its_owners_alone() {
    let (owner, other) =
        (cloud().account(Amount::cents(100)).await, cloud().account(Amount::cents(100)).await);
    let id = uploaded(&owner, &usual()).await;
    for (path, body) in [
        ("/v1/clip", json!({ "file_id": id, "start": 1, "end": 2 })),
        ("/v1/clip/quote", json!({ "file_id": id, "start": 1, "end": 2 })),
        ("/v1/download", json!({ "file_id": id })),
        ("/v1/clip/info", json!({ "file_id": id })),
        ("/v1/upload/multipart/complete", json!({ "file_id": id, "upload_id": "x" })),
    ] {
        let (status, theirs) = other.post(path, &body).await;
        assert_eq!(status, 404, "{path}: {theirs}");
        let mut nobodys = body.clone();
        nobodys["file_id"] = json!("aaaaaaaaaaaaaaaa");
        let (status, none) = other.post(path, &nobodys).await;
        assert_eq!((status, &none["detail"]), (404, &theirs["detail"]), "{path}");
    }
    assert_eq!(other.get(&format!("/v1/upload/{id}")).await.0, 404);
    assert_eq!(other.get("/v1/upload/..%2F..%2Fclip").await.0, 404);
    assert_eq!(other.audit().await, (Amount::cents(100), Amount::ZERO));
    let client = http();
    let open = client.post(cloud().url("/v1/clip/info")).json(&json!({ "file_id": id }));
    assert_eq!(answer(open).await.0, 401);
    let reader = owner.with_key(&[Scope::ClipsRead], None).await;
    assert_eq!(reader.get(&format!("/v1/upload/{id}")).await.0, 200);
    assert_eq!(reader.post("/v1/clip/info", &json!({ "file_id": id })).await.0, 200);
    assert_eq!(reader.post("/v1/upload/request", &asked(9)).await.0, 403);
    let biller = owner.with_key(&[Scope::Billing], None).await;
    assert_eq!(biller.post("/v1/clip/info", &json!({ "file_id": id })).await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let with = |field: &str, value: Value| {
        let mut body = asked(9);
        body[field] = value;
        body
    };
    for (body, word) in [
        (json!({}), "filename"),
        (with("filename", json!("")), "filename"),
        (with("filename", json!("a\nb")), "control"),
        (with("filename", json!("ü".repeat(128))), "255 bytes"),
        (with("content_type", json!("video")), "media type"),
        (with("content_type", json!("video/mp4\r\nx: y")), "media type"),
        (with("file_size", json!(0)), "nothing"),
        (with("file_size", json!(-1)), "a whole number, 0 or more"),
        (with("file_size", json!(1.5)), "a whole number, 0 or more"),
        (with("file_size", json!(5_000_000_001_u64)), "5 GB"),
    ] {
        for path in ["/v1/upload/request", "/v1/upload/multipart/initiate"] {
            let (status, answer) = account.post(path, &body).await;
            assert_eq!(status, 400, "{body}: {answer}");
            assert!(text(&answer, "detail").contains(word), "{body}: {answer}");
        }
    }
    for (source, word) in [
        (json!({ "url": server.url(), "file_id": "a1b2c3d4e5f6g7h8" }), "not both"),
        (json!({}), "url"),
        (json!({ "file_id": "../a" }), "file_id"),
        (json!({ "file_id": 7 }), "must be text"),
    ] {
        for path in ["/v1/clip", "/v1/download", "/v1/clip/info"] {
            let mut body = source.clone();
            (body["start"], body["end"]) = (json!(1), json!(2));
            let (status, answer) = account.post(path, &body).await;
            assert_eq!(status, 400, "{path} {body}: {answer}");
            assert!(text(&answer, "detail").contains(word), "{path} {body}: {answer}");
        }
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_videos() {
    let account = cloud().account(Amount::cents(100)).await;
    let whole = std::fs::read(usual()).unwrap();
    let late = made("upload-late.mp4", &format!("-i {} -c copy", usual().display()));
    let late = std::fs::read(late).unwrap();
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for bytes in [
        b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec(),
        b"These are my notes.\n".to_vec(),
        vec![0; 100_000],
        noise,
        whole[..whole.len() / 2].to_vec(),
        late[..late.len() / 2].to_vec(),
    ] {
        let (id, _) = sent(&account, bytes).await;
        let upload = looked_at(&account, &id).await;
        assert_eq!(
            (&upload["status"], &upload["error_code"]),
            (&json!("failed"), &json!("source_unsupported")),
            "{upload}"
        );
        assert!(!text(&upload, "error").contains("URL"), "{upload}");
        let (status, refused) =
            account.post("/v1/clip", &json!({ "file_id": id, "start": 1, "end": 2 })).await;
        assert_eq!((status, &refused["detail"]), (422, &upload["error"]), "{refused}");
        let key = keys::upload_object(&account.id, &FileId::parse(&id).unwrap());
        assert_eq!(bucket(cloud()).stored(&key).await.unwrap(), None, "what cannot be used is not kept");
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

/// Past its hour it is gone for every reader, whatever still lies in S3; a moment before, it is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_expires() {
    let account = cloud().account(Amount::cents(100)).await;
    let file = Announced::new("old.mp4", KIND, 9).unwrap();
    let day_ms = 86_400_000;
    for (n, age_ms, status) in [(1, day_ms, 404), (2, day_ms - 60_000, 200)] {
        let id = FileId::from_random([n; 16]);
        let then = now().plus_ms(-age_ms);
        let upload = Upload::announced(id.clone(), account.id.clone(), file.clone(), None, then);
        assert_eq!(cloud().table().announce_upload(&upload).await.unwrap(), None);
        assert_eq!(account.get(&format!("/v1/upload/{id}")).await.0, status);
        let (found, answer) = account.post("/v1/clip", &json!({ "file_id": id, "start": 1, "end": 2 })).await;
        assert_eq!(found, if status == 200 { 409 } else { 404 }, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_its_limits() {
    let account = cloud().account(Amount::cents(100)).await;
    for n in 0..21 {
        let path = ["/v1/upload/request", "/v1/upload/multipart/initiate"][n % 2];
        let request = account.request(Method::POST, path).json(&asked(5_000_000_000));
        let response = request.send().await.unwrap();
        // Midnight (UTC) may pass in between.
        if n < 20 {
            assert_eq!(response.status(), 200, "{n}");
            continue;
        }
        assert_eq!(response.status(), 429);
        let seconds: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&seconds), "{seconds}");
        let refused: Value = response.json().await.unwrap();
        assert!(text(&refused, "detail").contains("100 GB"), "{refused}");
    }
    for path in ["/v1/upload/request", "/v1/upload/multipart/initiate"] {
        assert_eq!(account.post(path, &asked(5_000_000_000)).await.0, 429, "{path}");
    }
    assert_eq!(cloud().table().uploads(&account.id, 100).await.unwrap().len(), 20);
}

/// What was looked at is what is cut: other bytes under the same link fail the job, which costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_replaced() {
    let account = cloud().account(Amount::cents(100)).await;
    let mut bytes = std::fs::read(usual()).unwrap();
    let (id, url) = sent(&account, bytes.clone()).await;
    assert_eq!(looked_at(&account, &id).await["status"], "ready");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(put(&url, Some(KIND), bytes).await.status(), 200);
    let job = account.ask(&json!({ "file_id": id, "start": 1, "end": 2 })).await;
    let answer = account.finish(&job).await;
    assert_eq!((&answer["status"], &answer["error_code"]), (&json!("failed"), &json!("source_unavailable")));
    assert!(text(&answer, "error").contains("replaced"), "{answer}");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}
