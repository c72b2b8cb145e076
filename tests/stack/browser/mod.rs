//! Clips in a real browser: headless Chromium plays them from the first frame to the last, jumps about in them, and
//! tells what it saw.

pub(crate) mod devtools;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::{get, post};
use domain::money::Amount;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::stack::cloud;
use crate::stack::source::{ffprobe, lavfi, made, served};

/// A busy machine plays slowly, but it does play.
const PATIENCE: Duration = Duration::from_secs(90);

/// Plays the clip at `{CLIP}` to its end, then jumps to `{PLACES}`, and reports.
const PAGE: &str = include_str!("player.html");

/// What the browser says of a clip that it played to the end and then at these places.
async fn played(clip: &Path, places: &[f64]) -> Value {
    let media = served(clip).await;
    let page = PAGE.replace("{CLIP}", media.url()).replace("{PLACES}", &json!(places).to_string());
    opened(Router::new().route("/", get(async move || Html(page)))).await
}

/// Opens the root of a site in the browser; answers what its page reports by a POST to `/report`.
pub(crate) async fn opened(site: Router) -> Value {
    let (report, mut reports) = mpsc::channel(1);
    let told = site.merge(Router::new().route("/report", post(told)).with_state(Arc::new(report)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, told).await });

    let profile = tempfile::tempdir().unwrap();
    let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let mut browser = tokio::process::Command::new(program)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio", "--no-first-run"])
        .args(["--disable-background-networking", "--autoplay-policy=no-user-gesture-required"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromium is missing: run the tests with `cargo xtask test`");
    let report = tokio::time::timeout(PATIENCE, reports.recv()).await;
    browser.kill().await.unwrap();
    server.abort();
    report.expect("the browser did not report in time").unwrap()
}

async fn told(State(report): State<Arc<mpsc::Sender<Value>>>, body: String) {
    let _ = report.send(serde_json::from_str(&body).unwrap()).await;
}

/// A clip of [1.5, 5.25) of the source, as a file, and the way it was made.
async fn clip_of(source: &Path, quality: &str) -> (tempfile::NamedTempFile, Value) {
    let account = cloud().account(Amount::cents(10)).await;
    let server = served(source).await;
    let ask = json!({ "url": server.url(), "start": 1.5, "end": 5.25, "quality": quality });
    let (answer, bytes) = account.clip(&ask).await;
    let clip = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(clip.path(), bytes).unwrap();
    (clip, answer["method"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn clips_play_from_first_frame_to_last_and_can_be_jumped_about_in() {
    let input = lavfi("640x360", "30", 8);
    let smart =
        "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 60 -bf 3 -x264-params b-pyramid=normal -c:a aac";
    let smart = made("browser.mp4", &format!("{input} {smart}"));
    let encoded =
        made("browser.webm", &format!("{input} -c:v libvpx -deadline realtime -b:v 1M -c:a libopus"));
    for (source, method) in [(smart, "smart"), (encoded, "encode")] {
        let (clip, made) = clip_of(&source, "1080p").await;
        assert_eq!(made, method);
        let frames = ffprobe(clip.path(), "v", "packet=pts").len();
        assert!((112..=113).contains(&frames), "{frames} frames in 3.75 s");
        // Within the head, at and around the joins, and near the end.
        let places = [3.5, 0.2, 0.49, 0.5, 0.51, 1.7, 3.6, 0.0];
        let report = played(clip.path(), &places).await;
        assert_eq!(report["error"], Value::Null, "{method}: {report}");
        assert_eq!(report["corrupted"], 0, "{method}: {report}");
        assert_eq!(report["frames"].as_u64(), Some(frames as u64), "{method}: {report}");
        assert_eq!(report["sought"].as_array().unwrap().len(), places.len(), "{method}: {report}");
        assert!((report["duration"].as_f64().unwrap() - 3.75).abs() < 0.05, "{method}: {report}");
        assert!(report["end"].as_f64().unwrap() > 3.7, "{method}: {report}");
    }
}
