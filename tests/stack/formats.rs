//! What else a clip can be: sound alone in every format, a cut between key frames, and thumbnails.

use devstack::fileserver::FileServer;
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::cloud;
use crate::stack::cloud::{Account, http};
use crate::stack::source::{distance, ffmpeg, ffprobe, frames, lavfi, made, served, usual};

async fn rich() -> (Account, FileServer) {
    (cloud().account(Amount::cents(200)).await, served(&usual()).await)
}

fn file(suffix: &str, bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// What a link answers: its media type and its body.
async fn fetched(link: &Value) -> (String, Vec<u8>) {
    let answer = http().get(link.as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone() {
    let (account, server) = rich().await;
    for (format, codec, media_type, method) in [
        ("m4a", "aac,48000,1", "audio/mp4", "copy"),
        ("wav", "pcm_s16le,48000,1", "audio/wav", "encode"),
        ("flac", "flac,48000,1", "audio/flac", "encode"),
    ] {
        let ask = json!({ "url": server.url(), "start": 1.5, "end": 4.25, "format": format });
        let (answer, bytes) = account.clip(&ask).await;
        let clip = file(&format!(".{format}"), &bytes);
        assert_eq!(ffprobe(clip.path(), "a", "stream=codec_name,sample_rate,channels"), [codec]);
        assert!(ffprobe(clip.path(), "v", "stream=codec_name").is_empty(), "{format}: a picture");
        assert_eq!(ffprobe(clip.path(), "a", "format=duration"), ["2.750000"], "{format}");
        assert_eq!(answer["file_name"], format!("clip_0-01.5-0-04.25.{format}"));
        assert_eq!((&answer["format"], &answer["method"]), (&json!(format), &json!(method)));
        assert_eq!((&answer["quality"], &answer["cost"]), (&json!(null), &json!(0.1)), "{format}");
        assert_eq!(answer["duration"], 2.75, "{format}");
        assert!(answer["start_actual"].is_null() && answer["sprite_url"].is_null(), "{answer}");
        assert_eq!(fetched(&answer["download_url"]).await.0, media_type);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_between_key_frames() {
    let (account, server) = rich().await;
    let all = frames(&usual());
    // A key frame every 2 s, and no frame that looks ahead: every place is good to end.
    let ask = json!({ "url": server.url(), "start": 2.5, "end": 4.25, "precision": "keyframe" });
    let (answer, bytes) = account.clip(&ask).await;
    assert_eq!((&answer["method"], &answer["start_actual"]), (&json!("copy"), &json!(2.0)), "{answer}");
    assert_eq!(answer["end_actual"], 4.266_667);
    let cut = frames(file(".mp4", &bytes).path());
    assert_eq!(cut.len(), 68);
    for (position, frame) in cut.iter().enumerate() {
        assert_eq!(distance(frame, &all[60 + position]), 0.0, "frame {position} is the source's, bit by bit");
    }
    // The same span exactly, which tells what it is too.
    let ask = json!({ "url": server.url(), "start": 2.51, "end": 4.25, "precision": "exact" });
    let (answer, _) = account.clip(&ask).await;
    assert_eq!(answer["method"], "smart", "{answer}");
    assert_eq!((&answer["start_actual"], &answer["end_actual"]), (&json!(2.533_333), &json!(4.25)));
    // What has to be scaled cannot be copied.
    let big = made(
        "900.mp4",
        &format!(
            "{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -c:a aac",
            lavfi("1600x900", "30", 3)
        ),
    );
    let server = served(&big).await;
    let ask =
        json!({ "url": server.url(), "start": 1.5, "end": 2, "quality": "720p", "precision": "keyframe" });
    let (answer, _) = account.clip(&ask).await;
    assert_eq!((&answer["method"], &answer["quality"]), (&json!("encode"), &json!("720p")), "{answer}");
    assert_eq!((&answer["start_actual"], &answer["end_actual"]), (&json!(1.5), &json!(2.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn thumbnails() {
    let (account, server) = rich().await;
    let (answer, _) = account.clip(&json!({ "url": server.url(), "start": 1, "end": 6.5 })).await;
    let (kind, picture) = fetched(&answer["sprite_url"]).await;
    assert_eq!(kind, "image/jpeg");
    let picture = file(".jpg", &picture);
    assert_eq!(ffprobe(picture.path(), "v", "stream=codec_name,width,height"), ["mjpeg,960,90"]);
    let (kind, cues) = fetched(&answer["sprite_vtt_url"]).await;
    let cues = String::from_utf8(cues).unwrap();
    let name = format!("{}.sprite.jpg", answer["job_id"].as_str().unwrap());
    assert_eq!(kind, "text/vtt");
    assert!(cues.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n"), "{cues}");
    assert!(cues.ends_with(&format!("00:00:05.000 --> 00:00:05.500\n{name}#xywh=800,0,160,90\n")), "{cues}");
    // The third one shows the frame two seconds on, or the key frame before it.
    let third = file(".png", &[]);
    ffmpeg(&format!(
        "-i {} -vf crop=160:90:320:0 -frames:v 1 {}",
        picture.path().display(),
        third.path().display()
    ));
    let (shown, all) = (frames(third.path()).remove(0), frames(&usual()));
    let nearest =
        (0..all.len()).min_by(|a, b| distance(&all[*a], &shown).total_cmp(&distance(&all[*b], &shown)));
    assert!((60..=91).contains(&nearest.unwrap()), "{nearest:?}");
    for ask in [json!({ "start": 1, "end": 2.5 }), json!({ "start": 1, "end": 4, "format": "gif" })] {
        let mut ask = ask;
        ask["url"] = json!(server.url());
        let (answer, _) = account.clip(&ask).await;
        assert!(answer["sprite_url"].is_null() && answer["sprite_vtt_url"].is_null(), "{answer}");
    }
}
