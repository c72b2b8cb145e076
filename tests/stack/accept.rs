//! What the API answers when all is well.

use std::time::{Duration, Instant};

use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::cloud::{answer, http};
use crate::stack::source::{ffprobe, served, usual};
use crate::stack::{With, cloud, shared};

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_from_request_to_link() {
    let account = cloud().account(Amount::cents(500)).await;
    let server = served(&usual()).await;
    let ask =
        json!({ "url": server.url(), "start": 1, "end": "0:03.5", "format": "mp4", "quality": "1080p" });
    let job = account.ask(&ask).await;
    let (_, early) = account.get(&format!("/v1/clip/{job}")).await;
    assert_eq!((&early["job_id"], &early["reserved"]), (&json!(job.as_str()), &json!(0.1)), "{early}");
    assert_eq!(account.balance().await, 4.9);

    let done = account.finish(&job).await;
    for (field, value) in [
        ("status", json!("complete")),
        ("progress", json!(100)),
        ("status_message", json!("Done!")),
        ("file_name", json!("clip_0-01-0-03.5.mp4")),
        ("format", json!("mp4")),
        ("quality", json!("180p")),
        ("aspect_ratio", json!("16:9")),
        ("saved_to_library", json!(true)),
        ("clip_id", json!(job.as_str())),
        ("share_url", json!(format!("/c/{job}"))),
        ("embed_url", json!(format!("/embed/{job}"))),
        ("cost", json!(0.1)),
    ] {
        assert_eq!(done[field], value, "{field} of {done}");
    }
    assert_eq!(account.balance().await, 4.9);
    assert_eq!(account.audit().await, (Amount::cents(490), Amount::ZERO));

    let link = done["download_url"].as_str().unwrap();
    let file = http().get(link).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "video/mp4");
    assert_eq!(file.headers()["content-disposition"], "attachment; filename=\"clip_0-01-0-03.5.mp4\"");
    assert!(file.headers().get("content-encoding").is_none());
    let bytes = file.bytes().await.unwrap();
    let moov = bytes.windows(4).position(|four| four == b"moov").unwrap();
    let mdat = bytes.windows(4).position(|four| four == b"mdat").unwrap();
    assert!(moov < mdat, "a player starts before the file is loaded");
    let clip = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(clip.path(), &bytes).unwrap();
    assert_eq!(ffprobe(clip.path(), "v", "stream=codec_name,pix_fmt"), ["h264,yuv420p"]);
    assert_eq!(ffprobe(clip.path(), "a", "stream=codec_name"), ["aac"]);
    // A link that was tampered with opens nothing.
    let forged = link.replace(job.as_str(), "aaaaaaaaaaaaaaaa");
    assert_eq!(http().get(forged).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn info_tells_what_a_source_is() {
    let server = served(&usual()).await;
    let post = |body: Value| answer(http().post(cloud().url("/v1/clip/info")).json(&body));
    let (status, info) = post(json!({ "url": server.url() })).await;
    assert_eq!(status, 200, "{info}");
    assert_eq!((&info["title"], &info["max_height"]), (&json!("usual"), &json!(180)));
    assert!((info["duration"].as_f64().unwrap() - 8.0).abs() < 0.05, "{info}");
    for field in ["thumbnail", "preview_url", "preview_embed_url"] {
        assert!(info.as_object().unwrap().contains_key(field), "{field} of {info}");
    }
    assert!(
        server.bytes_served() < 200_000,
        "a look reads the index, not the video: {}",
        server.bytes_served()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_answers_as_soon_as_something_changes() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let job = account.ask(&json!({ "url": server.url(), "start": 0, "end": 6 })).await;
    let mut seen: Vec<(String, u64)> = Vec::new();
    loop {
        let begun = Instant::now();
        let (_, now) = account.get(&format!("/v1/clip/{job}?wait=25")).await;
        let state = (now["status"].as_str().unwrap().to_owned(), now["progress"].as_u64().unwrap());
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing here takes that long without a change");
        assert_ne!(seen.last(), Some(&state), "an answer without a change");
        seen.push(state);
        if now["status"] == "complete" {
            break;
        }
    }
    // An ended job does not change any more: the answer comes at once.
    let begun = Instant::now();
    account.get(&format!("/v1/clip/{job}?wait=25")).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_and_names_every_route() {
    let (status, document) = answer(http().get(cloud().url("/openapi.json"))).await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    for path in ["/v1/clip", "/v1/clip/info", "/v1/clip/{job_id}", "/v1/balance", "/openapi.json"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_a_request_id() {
    for path in ["/v1/balance", "/openapi.json", "/v1/clip/aaaaaaaaaaaaaaaa"] {
        let response = http().get(cloud().url(path)).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert!(id.len() > 8, "{path}: {id:?}");
        if response.status() == 401 {
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.json::<Value>().await.unwrap()["request_id"], id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clouds_side_by_side_share_nothing() {
    let other = shared(With::NoPrivateSources);
    let (here, there) = (cloud().account(Amount::cents(100)).await, other.account(Amount::cents(200)).await);
    assert_eq!((here.balance().await, there.balance().await), (1.0, 2.0));
    let request = http().get(other.url("/v1/balance")).bearer_auth(here.key.reveal());
    assert_eq!(answer(request).await.0, 401);
}
