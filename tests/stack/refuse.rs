//! Bad input gets a clear 4xx, and nothing is spent or left behind.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use devstack::fileserver::{Behaviour, FileServer};
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::cloud::http;
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::{Account, cloud};

/// Nothing was spent, nothing is held, no row was written behind the grant.
async fn untouched(account: &Account, balance: Amount) {
    assert_eq!(account.audit().await, (balance, Amount::ZERO));
}

fn is_problem(answer: &Value, status: u16) {
    assert_eq!(answer["status"], status, "{answer}");
    for field in ["type", "title", "detail", "code", "request_id"] {
        assert!(answer[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let url = server.url();
    for (body, word) in [
        (json!({ "url": url, "start": 4, "end": 4 }), "after"),
        (json!({ "url": url, "start": 4, "end": 1.5 }), "after"),
        (json!({ "url": url, "start": -1, "end": 4 }), "negative"),
        (json!({ "url": url, "start": "-1", "end": 4 }), "negative"),
        (json!({ "url": url, "start": "NaN", "end": 4 }), "start"),
        (json!({ "url": url, "start": 1, "end": "soon" }), "end"),
        (json!({ "url": url, "start": 1, "end": 1e300 }), "end"),
        (json!({ "url": url, "start": true, "end": 4 }), "time"),
        (json!({ "url": url, "start": 1 }), "end"),
        (json!({ "start": 1, "end": 2 }), "url"),
        (json!({ "url": url, "start": 1, "end": 30 }), "beyond the end"),
        (json!({ "url": url, "start": 100, "end": 110 }), "beyond the end"),
        (json!({ "url": url, "start": 0, "end": 600.5 }), "10:00"),
        (json!({ "url": url, "start": 0, "end": 31, "format": "gif" }), "0:30"),
        (json!({ "url": url, "start": 1, "end": 4, "format": "avi" }), "format"),
        (json!({ "url": url, "start": 1, "end": 4, "quality": "8k" }), "quality"),
        (json!({ "url": url, "start": 1, "end": 4, "precision": "roughly" }), "precision"),
        (json!({ "url": url, "start": 1, "end": 4, "precision": "keyframe", "format": "wav" }), "mp4"),
        (json!({ "url": "not a url", "start": 1, "end": 4 }), "url"),
        (json!({ "url": "ftp://example.com/a.mp4", "start": 1, "end": 4 }), "http"),
        (json!({ "url": "file:///etc/passwd", "start": 1, "end": 4 }), "http"),
        (json!([1, 2]), "body"),
    ] {
        let (status, answer) = account.post("/v1/clip", &body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        is_problem(&answer, 400);
        assert!(answer["detail"].as_str().unwrap().contains(word), "{body}: {answer}");
    }
    for path in ["/v1/clip/aaaaaaaaaaaaaaaa?wait=0", "/v1/clip/aaaaaaaaaaaaaaaa?wait=26"] {
        assert_eq!(account.get(path).await.0, 400, "{path}");
    }
    untouched(&account, Amount::cents(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_are_no_videos() {
    let account = cloud().account(Amount::cents(100)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let whole = std::fs::read(usual()).unwrap();
    let late = std::fs::read(made("late-moov.mp4", &format!("-i {} -c copy", usual().display()))).unwrap();
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mute = made("mute.mp4", &format!("-i {} -an -c copy", usual().display()));
    let sound = made("sound.m4a", &format!("{} -map 1:a -c:a aac", lavfi("320x180", "30", 6)));
    let cases: Vec<(PathBuf, &str)> = vec![
        (file("page.mp4", b"<!DOCTYPE html><html><body>Sign in</body></html>"), "mp4"),
        (file("notes.mp4", b"These are my notes.\nNo video here.\n"), "mp4"),
        (file("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n"), "mp4"),
        (file("empty.mp4", b""), "mp4"),
        (file("cut-front.mp4", &whole[..whole.len() / 2]), "mp4"),
        (file("cut-end.mp4", &late[..late.len() / 2]), "mp4"),
        (file("tiny.mp4", &whole[..100]), "mp4"),
        (file("noise.bin", &noise), "mp4"),
        (mute.clone(), "mp3"),
        (mute, "flac"),
        (sound.clone(), "mp4"),
        (sound, "gif"),
    ];
    for (path, format) in cases {
        let server = served(&path).await;
        let body = json!({ "url": server.url(), "start": 1, "end": 2, "format": format });
        let (status, answer) = account.post("/v1/clip", &body).await;
        assert_eq!(status, 422, "{}: {answer}", path.display());
        is_problem(&answer, 422);
    }
    untouched(&account, Amount::cents(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_fail() {
    let account = cloud().account(Amount::cents(100)).await;
    let begun = Instant::now();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let good = served(&usual()).await;
    let missing = format!("{}x", good.url());
    let stalled = FileServer::start(&usual(), Behaviour::Stalled(1000)).await.unwrap();
    let broken = FileServer::start(&usual(), Behaviour::Truncated(1000)).await.unwrap();
    let nobody = format!("http://{nobody}/a.mp4");
    for url in
        [missing.as_str(), nobody.as_str(), "http://no-such-host.invalid/a.mp4", stalled.url(), broken.url()]
    {
        let (status, answer) = account.post("/v1/clip", &json!({ "url": url, "start": 1, "end": 2 })).await;
        assert_eq!(status, 422, "{url}: {answer}");
        is_problem(&answer, 422);
    }
    assert!(begun.elapsed() < Duration::from_secs(28), "a stalled server must not hold a client for longer");
    untouched(&account, Amount::cents(100)).await;
}

/// A source that answers the look before the job and then breaks: the job fails with a reason, and the money is
/// back.
#[tokio::test(flavor = "multi_thread")]
async fn sources_that_break_during_the_transfer() {
    let account = cloud().account(Amount::cents(100)).await;
    let input = lavfi("640x360", "30", 20);
    let path = made(
        "big.mp4",
        &format!("{input} -c:v libx264 -preset ultrafast -b:v 4M -g 30 -movflags +faststart"),
    );
    let broken = FileServer::start(&path, Behaviour::Truncated(120_000)).await.unwrap();
    let stalled = FileServer::start(&path, Behaviour::Stalled(120_000)).await.unwrap();
    for server in [broken, stalled] {
        let job = account.ask(&json!({ "url": server.url(), "start": 5, "end": 15 })).await;
        let answer = account.finish(&job).await;
        assert_eq!(
            (&answer["status"], &answer["error_code"]),
            (&json!("failed"), &json!("source_unavailable")),
            "{answer}"
        );
        assert!(answer["error"].as_str().unwrap().contains("source"), "{answer}");
        assert!(answer["download_url"].is_null());
    }
    untouched(&account, Amount::cents(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_the_poor() {
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 2 });
    let client = http();
    let post = || client.post(cloud().url("/v1/clip")).json(&ask);
    for request in [
        post(),
        post().bearer_auth(""),
        post().bearer_auth("sk_live_0000"),
        post().bearer_auth(format!("sk_live_{}", "0".repeat(64))),
        post().header("authorization", "Basic c2VjcmV0"),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["www-authenticate"].to_str().unwrap()),
            (401, "Bearer")
        );
        is_problem(&response.json().await.unwrap(), 401);
    }
    let poor = cloud().account(Amount::cents(9)).await;
    let (status, answer) = poor.post("/v1/clip", &ask).await;
    assert_eq!(status, 402, "{answer}");
    assert!(answer["detail"].as_str().unwrap().starts_with("Insufficient balance"), "{answer}");
    untouched(&poor, Amount::cents(9)).await;

    let (mine, theirs) = (cloud().account(Amount::cents(10)).await, cloud().account(Amount::cents(10)).await);
    let job = theirs.ask(&ask).await;
    let (other, none) =
        (mine.get(&format!("/v1/clip/{job}")).await, mine.get("/v1/clip/aaaaaaaaaaaaaaaa").await);
    assert_eq!((other.0, &other.1["detail"]), (none.0, &none.1["detail"]));
    assert_eq!(other.0, 404);
    assert_eq!(mine.get("/v1/clip/..%2Fbalance").await.0, 404);
    theirs.finish(&job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_much() {
    let account = cloud().account(Amount::cents(100)).await;
    let post = |content_type: &'static str, body: String| {
        let request = http().post(cloud().url("/v1/clip")).bearer_auth(account.key.reveal());
        crate::stack::cloud::answer(request.header("content-type", content_type).body(body))
    };
    assert_eq!(post("application/json", format!("{{\"url\":\"{}\"}}", "a".repeat(70_000))).await.0, 413);
    assert_eq!(post("text/plain", "{}".to_owned()).await.0, 415);
    assert_eq!(post("application/json", "{\"start\": NaN}".to_owned()).await.0, 400);
    assert_eq!(post("application/json", "[".repeat(20_000)).await.0, 400);
    assert_eq!(post("application/json", String::new()).await.0, 400);
    // Which of the two was meant? Parsers differ, so neither is taken.
    let twice = r#"{"url":"https://example.com/a.mp4","start":1,"end":2,"end":3}"#;
    let (status, answer) = post("application/json", twice.to_owned()).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("is there twice"), "{answer}");
}
