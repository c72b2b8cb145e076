//! A whole video: bit by bit where its codecs fit MP4, in parts, by several functions.

use std::path::{Path, PathBuf};

use devstack::fileserver::{Behaviour, FileServer};
use domain::{ids::JobId, ledger::EntryKind, money::Amount};
use serde_json::{Value, json};

use crate::stack::cloud::{http, until};
use crate::stack::source::{ffmpeg, ffprobe, lavfi, made, served, usual};
use crate::stack::upload::uploaded;
use crate::stack::{Account, With, cloud, shared};

/// Downloads a video; answers the job and its file.
pub(crate) async fn download(account: &Account, body: &Value) -> (Value, Vec<u8>) {
    let job = ask(account, body).await;
    let answer = account.finish(&job).await;
    assert_eq!(answer["status"], "complete", "{answer}");
    let file = http().get(answer["download_url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(file.status(), 200);
    (answer, file.bytes().await.unwrap().to_vec())
}

pub(crate) async fn ask(account: &Account, body: &Value) -> JobId {
    let (status, answer) = account.post("/v1/download", body).await;
    assert_eq!((status, &answer["status"]), (200, &json!("pending")), "{answer}");
    JobId::parse(answer["job_id"].as_str().unwrap()).unwrap()
}

fn stored(bytes: &[u8], suffix: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// Presentation time, size and digest of every packet of a stream.
fn packets(path: &Path, stream: &str) -> Vec<String> {
    let text = ffmpeg(&format!("-copyts -i {} -map 0:{stream}:0 -c copy -f framemd5 -", path.display()));
    let text = String::from_utf8(text).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        [fields[2], fields[4], fields[5]].join(" ")
    };
    text.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Some ten megabytes a second, with B-frames, whose index is at the end.
fn noisy(name: &str, seconds: u32) -> PathBuf {
    let noise =
        "-vf noise=alls=80:allf=t -c:v libx264 -preset ultrafast -bf 2 -crf 16 -pix_fmt yuv420p -g 25";
    made(name, &format!("{} {noise} -c:a aac", lavfi("960x540", "25", seconds)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_packet_arrives_as_it_is() {
    let path = noisy("large.mp4", 4);
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len > 40 << 20, "{len} bytes are one shard only");
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&path).await;
    let (answer, bytes) =
        download(&account, &json!({ "url": server.url(), "format": "mp4", "quality": "4k" })).await;
    let file = stored(&bytes, ".mp4");
    for stream in ["v", "a"] {
        let theirs = packets(&path, stream);
        assert!(theirs.len() >= 100, "{stream}");
        assert_eq!(packets(file.path(), stream), theirs, "{stream}");
    }
    let place = |kind: &[u8]| bytes.windows(4).position(|four| four == kind).unwrap();
    assert!(place(b"moov") < place(b"mdat"), "the index comes first");
    ffmpeg(&format!("-xerror -i {} -f null -", file.path().display()));
    for (field, value) in [
        ("format", json!("mp4")),
        ("quality", json!("540p")),
        ("method", json!("copy")),
        ("cost", json!(0.05)),
        ("file_name", json!("large.mp4")),
        ("file_size", json!(bytes.len())),
        ("saved_to_library", json!(false)),
        ("clip_id", Value::Null),
        ("share_url", Value::Null),
        ("embed_url", Value::Null),
    ] {
        assert_eq!(answer[field], value, "{field} of {answer}");
    }
    assert!((answer["duration"].as_f64().unwrap() - 4.0).abs() < 0.1, "{answer}");
    // Nothing is read twice, but what each function looks at to know the source again.
    let read = answer["source_bytes_read"].as_u64().unwrap();
    assert!(read >= len - (1 << 20) && read < len + (2 << 20), "{read} of {len}");
    assert_eq!(account.audit().await, (Amount::cents(95), Amount::ZERO));
    let id = JobId::parse(answer["job_id"].as_str().unwrap()).unwrap();
    assert!(
        cloud().table().clip(&id, crate::stack::cloud::now()).await.unwrap().is_none(),
        "it is in no history"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_has_a_page() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let (answer, _) = download(&account, &json!({ "url": server.url(), "save_to_library": true })).await;
    let id = answer["job_id"].as_str().unwrap();
    assert_eq!((&answer["saved_to_library"], &answer["clip_id"]), (&json!(true), &json!(id)));
    assert_eq!(
        (&answer["share_url"], &answer["embed_url"]),
        (&json!(format!("/c/{id}")), &json!(format!("/embed/{id}")))
    );
    let clip =
        cloud().table().clip(&JobId::parse(id).unwrap(), crate::stack::cloud::now()).await.unwrap().unwrap();
    assert_eq!((clip.name.as_str(), clip.output.poster_key.is_some()), ("usual.mp4", true));
}

#[tokio::test(flavor = "multi_thread")]
async fn four_k_costs_more_only_where_it_is_delivered() {
    let account = cloud().account(Amount::cents(100)).await;
    let encode = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac";
    let path = made("uhd.mp4", &format!("{} {encode}", lavfi("3840x2160", "5", 2)));
    let server = served(&path).await;
    for (quality, delivered, cost, method) in
        [("4k", "4k", 0.1, "copy"), ("1080p", "1080p", 0.05, "encode"), ("medium", "720p", 0.05, "encode")]
    {
        let (answer, bytes) = download(&account, &json!({ "url": server.url(), "quality": quality })).await;
        assert_eq!((&answer["quality"], &answer["cost"]), (&json!(delivered), &json!(cost)), "{quality}");
        assert_eq!(answer["method"], method, "{quality}");
        let file = stored(&bytes, ".mp4");
        assert_eq!(ffprobe(file.path(), "v", "frame=pts_time").len(), 10, "{quality}");
    }
    assert_eq!(account.audit().await, (Amount::cents(80), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let (answer, bytes) = download(&account, &json!({ "url": server.url(), "format": "mp3" })).await;
    let file = stored(&bytes, ".mp3");
    assert_eq!(ffprobe(file.path(), "a", "stream=codec_name,bit_rate"), ["mp3,192000"]);
    let length = answer["duration"].as_f64().unwrap();
    assert!((length - 8.0).abs() < 0.06, "{answer}");
    let samples = ffmpeg(&format!("-i {} -f s16le -ac 1 -", file.path().display())).len() as f64 / 2.0;
    assert!((samples / 48_000.0 - 8.0).abs() < 0.06, "{samples}");
    assert_eq!((&answer["quality"], &answer["file_name"]), (&Value::Null, &json!("usual.mp3")));
    assert_eq!((&answer["cost"], account.balance().await), (&json!(0.05), 0.95));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_containers_and_simple_servers() {
    let account = cloud().account(Amount::cents(100)).await;
    let from = usual();
    let from = from.display();
    let webm = |name, codec: &str| {
        made(name, &format!("-i {from} {codec} -deadline realtime -cpu-used 8 -b:v 1M -c:a libopus"))
    };
    for (path, behaviour, method, codec) in [
        (webm("vp9.webm", "-c:v libvpx-vp9"), Behaviour::Ranges, "copy", "vp9"),
        (webm("vp8.webm", "-c:v libvpx"), Behaviour::Ranges, "encode", "h264"),
        (made("stream.ts", &format!("-i {from} -c copy")), Behaviour::Ranges, "copy", "h264"),
        (usual(), Behaviour::NoRanges, "copy", "h264"),
    ] {
        let server = FileServer::start(&path, behaviour).await.unwrap();
        let (answer, bytes) = download(&account, &json!({ "url": server.url() })).await;
        let name = path.display();
        assert_eq!((&answer["method"], &answer["cost"]), (&json!(method), &json!(0.05)), "{name}");
        let file = stored(&bytes, ".mp4");
        assert_eq!(ffprobe(file.path(), "v", "stream=codec_name"), [codec], "{name}");
        assert_eq!(ffprobe(file.path(), "v", "frame=pts_time").len(), 240, "{name}");
        assert!(!ffprobe(file.path(), "a", "stream=codec_name").is_empty(), "{name}");
        assert!((answer["duration"].as_f64().unwrap() - 8.0).abs() < 0.1, "{name}: {answer}");
    }
}

/// What is broken in the source is not our copy's fault: it is delivered, broken as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_source_is_delivered_as_it_is() {
    let whole = std::fs::read(usual()).unwrap();
    let mut broken = whole.clone();
    let middle = whole.len() / 2;
    broken[middle - 20_000..middle + 20_000].fill(0x55);
    let path = stored(&broken, ".mp4");
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(path.path()).await;
    let (answer, bytes) = download(&account, &json!({ "url": server.url() })).await;
    assert_eq!((&answer["method"], &answer["cost"]), (&json!("copy"), &json!(0.05)));
    let file = stored(&bytes, ".mp4");
    assert_eq!(packets(file.path(), "v"), packets(path.path(), "v"));
    assert_ne!(packets(file.path(), "v"), packets(&usual(), "v"));
}

/// The same of a file of one's own, which is read anew to tell whether it was damaged before.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_upload_is_delivered_as_it_is() {
    let mut broken = std::fs::read(usual()).unwrap();
    let middle = broken.len() / 2;
    broken[middle - 20_000..middle + 20_000].fill(0x55);
    let path = stored(&broken, ".mp4");
    let account = cloud().account(Amount::cents(100)).await;
    let id = uploaded(&account, path.path()).await;
    let (answer, bytes) = download(&account, &json!({ "file_id": id })).await;
    assert_eq!((&answer["method"], &answer["cost"]), (&json!("copy"), &json!(0.05)));
    assert_eq!(packets(stored(&bytes, ".mp4").path(), "v"), packets(path.path(), "v"));
}

/// The first parts are carried, then there is another file: the job fails, the money is back, nothing is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_changes() {
    let cloud = cloud();
    let account = cloud.account(Amount::cents(100)).await;
    let path = noisy("medium.mp4", 2);
    // One shard of three parts or more, so that nobody else is under way when the upload is given up.
    let len = std::fs::metadata(&path).unwrap().len();
    assert!((20 << 20..32 << 20).contains(&len), "{len} bytes");
    let server = FileServer::start(&path, Behaviour::Changes(14 << 20)).await.unwrap();
    let job = ask(&account, &json!({ "url": server.url() })).await;
    let answer = account.finish(&job).await;
    assert_eq!(
        (&answer["status"], &answer["error_code"]),
        (&json!("failed"), &json!("source_unavailable")),
        "{answer}"
    );
    assert!(answer["error"].as_str().unwrap().contains("changed"), "{answer}");
    assert_eq!(account.movements(&job).await, [EntryKind::Reservation, EntryKind::Refund]);
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    let record = cloud.table().job(&job).await.unwrap().unwrap();
    let upload = record.upload.expect("an upload was begun");
    let left = || {
        let files = std::fs::read_dir(cloud.info.state.join("s3")).unwrap().flatten();
        files.filter(|file| file.file_name().to_string_lossy().contains(&upload)).count()
    };
    until("the upload is given up", || async { left() == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let url = server.url();
    let mute = served(&made("no-sound.mp4", &format!("-i {} -an -c copy", usual().display()))).await;
    let sound = served(&made("only-sound.m4a", &format!("-i {} -vn -c copy", usual().display()))).await;
    let text = served(&made("words.srt", &format!("-i {} -map 0:v -f framemd5", usual().display()))).await;
    for (body, status, word) in [
        (json!({}), 400, "url"),
        (json!({ "url": "not a url" }), 400, "url"),
        (json!({ "url": "ftp://example.com/a.mp4" }), 400, "http"),
        (json!({ "url": url, "start": 1, "end": 2 }), 400, "POST /v1/clip"),
        (json!({ "url": url, "end": "0:02" }), 400, "POST /v1/clip"),
        (json!({ "url": url, "format": "gif" }), 400, "mp4 or mp3"),
        (json!({ "url": url, "format": "avi" }), 400, "mp4 or mp3"),
        (json!({ "url": url, "format": 4 }), 400, "must be text"),
        (json!({ "url": url, "quality": "8k" }), 400, "quality"),
        (json!({ "url": url, "save_to_library": "yes" }), 400, "must be true or false"),
        (json!([1, 2]), 400, "body"),
        (json!({ "url": format!("{url}x") }), 422, "404"),
        (json!({ "url": text.url() }), 422, "not a video"),
        (json!({ "url": mute.url(), "format": "mp3" }), 422, "no audio"),
        (json!({ "url": sound.url() }), 422, "no video"),
    ] {
        let (found, answer) = account.post("/v1/download", &body).await;
        assert_eq!(found, status, "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{body}: {answer}");
        assert!(answer["request_id"].is_string() && answer["code"].is_string(), "{answer}");
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
    let poor = cloud().account(Amount::cents(4)).await;
    assert_eq!(poor.post("/v1/download", &json!({ "url": url })).await.0, 402);
    assert_eq!(poor.audit().await, (Amount::cents(4), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intention_is_carried_out_once() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let post = || {
        let request =
            account.request(reqwest::Method::POST, "/v1/download").header("idempotency-key", "once");
        crate::stack::cloud::answer(request.json(&json!({ "url": server.url() })))
    };
    let (first, again) = (post().await, post().await);
    assert_eq!(first.0, 200, "{}", first.1);
    assert_eq!(first, again);
    account.finish(&JobId::parse(first.1["job_id"].as_str().unwrap()).unwrap()).await;
    assert_eq!(account.audit().await, (Amount::cents(95), Amount::ZERO));
}

/// The most memory that a process of function `handler` of the cloud in `state` has had, in kB; none without such a
/// process.
pub(crate) fn peak_kb(state: &Path, handler: &str) -> Option<u64> {
    let (state, handler) = (state.to_str().unwrap().to_owned(), format!("_HANDLER={handler}\0"));
    let peak = |process: std::fs::DirEntry| {
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let words = String::from_utf8_lossy(&[read("environ"), read("cmdline")].concat()).into_owned();
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        let peak =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches(" kB");
        (words.contains(&state) && words.contains(&handler)).then(|| peak.parse().ok()).flatten()
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(peak).max()
}

/// A file that is larger than the memory of any function arrives, and none of them held more than a few parts.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_held_whole() {
    let cloud = shared(With::LargeFiles);
    let account = cloud.account(Amount::cents(100)).await;
    let once = noisy("large.mp4", 4);
    let path = made("longer.mp4", &format!("-stream_loop 5 -i {} -c copy", once.display()));
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len > 250 << 20, "{len} bytes");
    let server = served(&path).await;
    let job = ask(&account, &json!({ "url": server.url() })).await;
    let mut peak = None;
    let answer = loop {
        let (_, answer) = account.get(&format!("/v1/clip/{job}?wait=1")).await;
        peak = peak.max(peak_kb(&cloud.info.state, "media.transfer"));
        if matches!(answer["status"].as_str(), Some("complete" | "failed")) {
            break answer;
        }
    };
    assert_eq!((&answer["status"], &answer["method"]), (&json!("complete"), &json!("copy")), "{answer}");
    let peak = peak.expect("a function was seen at work");
    assert!(peak < 100_000, "{peak} kB to carry {len} bytes");
}
