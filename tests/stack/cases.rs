//! Inputs that people have, through HTTP: what the media tests' table of cases (`shared/media/tests/cases`) cannot see.

use std::path::{Path, PathBuf};

use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::download::download;
use crate::stack::exact::{check_as, check_from};
use crate::stack::source::{ffmpeg, ffprobe, lavfi, made, served};
use crate::stack::{Account, cloud};

const X264: &str = "-c:v libx264 -preset ultrafast -bf 2 -g 60 -sc_threshold 0 -pix_fmt yuv420p";

/// 8 s of 320×180 at 30 frames a second, with a tone of 440 Hz and one of 880.
fn two_sounds(name: &str, more: &str) -> PathBuf {
    let high = "-f lavfi -i sine=frequency=880:sample_rate=48000:duration=8";
    let maps = "-map 0:v -map 2:a -map 1:a -metadata:s:a:0 language=deu -metadata:s:a:1 language=eng";
    made(name, &format!("{} {high} {maps} {X264} -c:a aac {more}", lavfi("320x180", "30", 8)))
}

async fn account() -> Account {
    cloud().account(Amount::cents(100)).await
}

/// How often a file's sound goes up through zero in a second.
fn pitch(path: &Path) -> f64 {
    let raw = ffmpeg(&format!("-i {} -map 0:a:0 -ac 1 -ar 48000 -f s16le -", path.display()));
    let samples: Vec<i16> = raw.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
    let rises = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    rises as f64 * 48_000.0 / middle.len() as f64
}

fn stored(bytes: &[u8], suffix: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sound_that_is_asked_for() {
    let account = account().await;
    let plain = two_sounds("two-sounds.mp4", "-disposition:a:0 0 -disposition:a:1 default");
    let server = served(&plain).await;
    let asked = |audio: Value| json!({ "url": server.url(), "start": 1.5, "end": 4, "format": "m4a", "audio": audio });
    for (audio, hertz) in [(Value::Null, 440.0), (json!("de"), 880.0), (json!(2), 440.0), (json!("1"), 880.0)]
    {
        let (_, bytes) = account.clip(&asked(audio.clone())).await;
        let found = pitch(stored(&bytes, ".m4a").path());
        assert!((found - hertz).abs() < 5.0, "{audio}: {found} Hz");
    }
    for (audio, words) in
        [(json!("fr"), "1 (deu), 2 (eng)"), (json!(3), "2 audio tracks"), (json!(0), "from 1")]
    {
        for path in ["/v1/clip", "/v1/clip/quote"] {
            let (status, answer) = account.post(path, &asked(audio.clone())).await;
            assert_eq!(status, 400, "{answer}");
            assert!(answer["detail"].as_str().unwrap().contains(words), "{answer}");
        }
    }
    let (status, info) = account.post("/v1/clip/info", &json!({ "url": server.url() })).await;
    let tracks = json!([
        { "number": 1, "language": "deu", "title": null, "channels": 1, "codec": "aac", "default": false },
        { "number": 2, "language": "eng", "title": null, "channels": 1, "codec": "aac", "default": true },
    ]);
    assert_eq!((status, &info["audio_tracks"]), (200, &tracks), "{info}");
    // A whole video, too: copied from one file, converted from another.
    let other = made("two-sounds.mkv", &format!("-i {} -map 0 -c copy", plain.display()));
    for source in [plain, other] {
        let server = served(&source).await;
        let (answer, bytes) = download(&account, &json!({ "url": server.url(), "audio": "de" })).await;
        let file = stored(&bytes, ".mp4");
        assert_eq!(ffprobe(file.path(), "a", "format=nb_streams"), ["2"], "{answer}");
        let found = pitch(file.path());
        assert!((found - 880.0).abs() < 5.0, "{source:?}: {found} Hz");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_not_told_is_found_out() {
    let account = account().await;
    let words = format!("{} {X264} -c:a aac -f matroska", lavfi("320x180", "30", 8));
    let path = made("unfinished.mkv", "-f lavfi -i anullsrc -t 0.1");
    std::fs::write(&path, ffmpeg(&format!("{words} -"))).unwrap();
    let server = served(&path).await;
    let (status, info) = account.post("/v1/clip/info", &json!({ "url": server.url() })).await;
    let length = info["duration"].as_f64().unwrap();
    assert!(status == 200 && (8.0..8.06).contains(&length), "{info}");
    check_as(&account, json!({ "url": server.url() }), "unfinished.mkv", &path, 5.01, 7.99).await;
    let ask = |end: f64| json!({ "url": server.url(), "start": 6, "end": end, "format": "mp3" });
    // A little behind the end, as players round: the clip up to the end, which is told.
    let (answer, _) = account.clip(&ask(length + 0.03)).await;
    assert!((answer["duration"].as_f64().unwrap() - (length - 6.0)).abs() < 0.06, "{answer}");
    assert!(answer["warnings"][0].as_str().unwrap().contains("the clip ends with it"), "{answer}");
    let (status, answer) = account.post("/v1/clip", &ask(length + 0.2)).await;
    assert!(status == 400 && answer["detail"].as_str().unwrap().contains("beyond the end"), "{answer}");
    let (_, bytes) = download(&account, &json!({ "url": server.url() })).await;
    let file = stored(&bytes, ".mp4");
    let whole: f64 = ffprobe(file.path(), "v", "format=duration")[0].parse().unwrap();
    assert!((whole - length).abs() < 0.06, "{whole} s of {length}");
}

/// A large file of which the look reads the ends alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_length_of_a_large_file_is_told_by_its_end() {
    let account = account().await;
    let words = format!("{} -c:v rawvideo -pix_fmt yuv420p -c:a pcm_s16le", lavfi("320x180", "30", 8));
    for (name, container) in [("large.mkv", "matroska"), ("large.nut", "nut"), ("large.avi", "avi")] {
        let path = made(name, &format!("{words} -f {container}"));
        if name == "large.mkv" {
            std::fs::write(&path, ffmpeg(&format!("{words} -f {container} -"))).unwrap();
        }
        let len = std::fs::metadata(&path).unwrap().len();
        let server = served(&path).await;
        let (status, info) = account.post("/v1/clip/info", &json!({ "url": server.url() })).await;
        let length = info["duration"].as_f64().unwrap();
        assert!(status == 200 && (7.99..8.06).contains(&length), "{name}: {info}");
        assert!(server.bytes_served() < len, "{name}: {} of {len} bytes", server.bytes_served());
    }
}

/// What hides a segment's kind from those who look at its first bytes only.
#[tokio::test(flavor = "multi_thread")]
async fn segments_behind_a_picture_or_a_tag() {
    let base = made("hidden/base.mp4", &format!("{} {X264} -c:a aac", lavfi("320x180", "30", 8)));
    let png = ffmpeg("-f lavfi -i color=red:s=2x2 -frames:v 1 -c:v png -f image2pipe -");
    let tag = b"ID3\x04\0\0\0\0\0\x0aTXXX\0\0\0\0\0\0".to_vec();
    for (name, front) in [("png", png), ("id3", tag)] {
        let list = made(
            &format!("hidden-{name}/index.m3u8"),
            &format!("-i {} -c copy -f hls -hls_time 2 -hls_playlist_type vod", base.display()),
        );
        for n in 0..4 {
            let segment = list.with_file_name(format!("index{n}.ts"));
            let bytes = std::fs::read(&segment).unwrap();
            std::fs::write(&segment, [&front[..], &bytes].concat()).unwrap();
        }
        check_from(&served(&list).await, name, &base, 2.51, 5.49).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gif_that_may_have_so_many_bytes() {
    let account = account().await;
    let noise = "-vf noise=alls=40:allf=t -c:v libx264 -preset ultrafast -crf 20 -pix_fmt yuv420p";
    let path = made("noise.mp4", &format!("{} {noise}", lavfi("320x180", "30", 3)));
    let server = served(&path).await;
    let ask =
        |max: u64| json!({ "url": server.url(), "start": 0.5, "end": 2, "format": "gif", "max_bytes": max });
    let (answer, bytes) = account.clip(&ask(300_000)).await;
    assert!(bytes.len() <= 300_000, "{answer}");
    let file = stored(&bytes, ".gif");
    assert!(ffprobe(file.path(), "v", "frame=pts").len() >= 17, "{answer}");
    let (status, answer) = account.post("/v1/clip", &ask(10)).await;
    assert!(status == 400 && answer["detail"].as_str().unwrap().contains("max_bytes"), "{answer}");
}
