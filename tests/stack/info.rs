//! `POST /v1/clip/info`: what a source is, told once and kept for a while.

use std::path::{Path, PathBuf};

use devstack::fileserver::{Behaviour, FileServer};
use domain::money::Amount;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::stack::cloud::{answer, http};
use crate::stack::limits::{cost, hear, once};
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::{Cloud, With, cloud, shared};

fn ask(cloud: &Cloud, url: &str) -> RequestBuilder {
    http().post(cloud.url("/v1/clip/info")).json(&json!({ "url": url }))
}

async fn info(url: &str) -> (u16, Value) {
    answer(ask(cloud(), url)).await
}

/// A copy of a file under a name of this test's own, which may be replaced.
fn copied(folder: &Path, from: &Path) -> PathBuf {
    let path = folder.join("source.mp4");
    std::fs::copy(from, &path).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_browsers_play_previews_itself() {
    let (x264, picture) = ("-c:v libx264 -preset ultrafast -pix_fmt", lavfi("64x36", "10", 1));
    for (name, encode, plays) in [
        ("p.mp4", format!("{x264} yuv420p -c:a aac"), true),
        ("p-frag.mp4", format!("{x264} yuv420p -c:a aac -movflags +frag_keyframe+empty_moov"), true),
        ("p-444.mp4", format!("{x264} yuv444p -c:a aac"), false),
        ("p-mpeg4.mp4", "-c:v mpeg4 -c:a aac".to_owned(), false),
        ("p.mov", format!("{x264} yuv420p -c:a aac"), false),
        ("p.mkv", format!("{x264} yuv420p -c:a aac"), false),
        ("p-vp8.mkv", "-c:v libvpx -deadline realtime -c:a libopus".to_owned(), false),
        ("p.webm", "-c:v libvpx -deadline realtime -c:a libopus".to_owned(), true),
        ("p.ts", format!("{x264} yuv420p -c:a aac"), false),
        ("p.m4a", "-vn -c:a aac".to_owned(), true),
        ("p.mp3", "-vn -c:a libmp3lame".to_owned(), true),
        ("p.flac", "-vn".to_owned(), true),
    ] {
        let server = served(&made(name, &format!("{picture} {encode}"))).await;
        let (status, info) = info(server.url()).await;
        assert_eq!(status, 200, "{name}: {info}");
        let preview = if plays { json!(server.url()) } else { Value::Null };
        assert_eq!(info["preview_url"], preview, "{name}: {info}");
        assert_eq!((&info["thumbnail"], &info["preview_embed_url"]), (&Value::Null, &Value::Null), "{info}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_is_told_again_but_decides_no_money() {
    let folder = tempfile::tempdir().unwrap();
    let path = copied(folder.path(), &usual());
    let server = served(&path).await;
    let (status, first) = info(server.url()).await;
    let requests = server.requests();
    assert_eq!(status, 200, "{first}");
    assert!(requests > 0);
    // The source becomes another one, two seconds long.
    std::fs::copy(made("short.mp4", &format!("-i {} -t 2 -c copy", usual().display())), &path).unwrap();
    let (status, again) = info(&format!(" {} ", server.url())).await;
    assert_eq!(
        (status, &again, server.requests()),
        (200, &first, requests),
        "the source was not asked again"
    );

    let account = cloud().account(Amount::cents(100)).await;
    let body = json!({ "url": server.url(), "start": 1, "end": 6 });
    for path in ["/v1/clip/quote", "/v1/clip"] {
        let (status, answer) = account.post(path, &body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains("beyond the end"), "{answer}");
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    // Another address is another source.
    let (_, other) = info(&format!("{}?v=2", server.url())).await;
    assert!(other["duration"].as_f64().unwrap() < 2.5, "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = copied(folder.path(), &usual());
    std::fs::write(&path, "<html>Still uploading</html>").unwrap();
    let server = served(&path).await;
    let (status, page) = info(server.url()).await;
    assert_eq!((status, &page["code"]), (422, &json!("source_unsupported")), "{page}");
    std::fs::copy(usual(), &path).unwrap();
    assert_eq!(info(server.url()).await.0, 200);
    for (url, status) in [("nonsense", 400), ("file:///etc/passwd", 400), ("http://127.0.0.1:9/a.mp4", 422)] {
        assert_eq!(info(url).await.0, status, "{url}");
    }
}

/// What a look costs at first and when it is kept, and what a quote does.
#[tokio::test(flavor = "multi_thread")]
async fn round_trips_of_questions() {
    let cloud = shared(With::CountedCalls);
    let server = FileServer::start(&usual(), Behaviour::Ranges).await.unwrap();
    let (first, calls) = cost(cloud, "clips.info", ask(cloud, server.url())).await;
    assert_eq!((first.status, calls), (200, once(["UpdateItem", "GetItem", "PutItem"])), "{first:?}");
    let (kept, calls) = cost(cloud, "clips.info", ask(cloud, server.url())).await;
    assert_eq!((&kept.body, calls), (&first.body, once(["UpdateItem", "GetItem"])));
    let (bad, calls) = cost(cloud, "clips.info", ask(cloud, &format!("{}x", server.url()))).await;
    assert_eq!((bad.status, calls), (422, once(["UpdateItem", "GetItem"])), "{bad:?}");
    let (bad, calls) = cost(cloud, "clips.info", ask(cloud, "nonsense")).await;
    assert_eq!((bad.status, calls), (400, once(["UpdateItem"])), "{bad:?}");
    assert_eq!(kept.headers["x-ratelimit-limit"], "1000", "the local cloud's own limit");

    let account = cloud.account(Amount::cents(100)).await;
    let quote = |body: Value| account.request(Method::POST, "/v1/clip/quote").json(&body);
    let body = json!({ "url": server.url(), "start": 1, "end": 2 });
    let (told, calls) = cost(cloud, "clips.quote", quote(body)).await;
    assert_eq!((told.status, calls), (200, once(["UpdateItem", "GetItem"])), "{told:?}");
    let (bad, calls) = cost(cloud, "clips.quote", quote(json!({ "url": server.url(), "start": 1 }))).await;
    assert_eq!((bad.status, calls), (400, once(["UpdateItem"])), "{bad:?}");
    assert_eq!(hear(account.request(Method::GET, "/v1/balance")).await.body["balance"], 1.0);
}
