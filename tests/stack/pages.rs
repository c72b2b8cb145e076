//! Web pages, through the real yt-dlp.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::cloud::{answer, http};
use crate::stack::exact::check_at;
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::{Account, With, cloud, shared};

/// A web site on loopback; dropping it ends it.
pub(crate) struct Site {
    base: String,
    /// What was asked for, with the headers.
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Site {
    /// `answer` gets a path and the site's own address.
    pub(crate) async fn start(
        answer: impl Fn(&str, &str) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (own, seen) = (base.clone(), Arc::clone(&asked));
        let app = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            seen.lock().unwrap().push((path.clone(), request.headers().clone()));
            let answer = answer(&path, &own);
            async move { answer }
        });
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { base, asked, server }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn page(title: &str, head: &str, body: &str) -> Response {
    Html(format!("<!doctype html><html><head><title>{title}</title>{head}</head><body>{body}</body></html>"))
        .into_response()
}

pub(crate) fn typed(kind: &'static str, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

async fn info(url: &str) -> (u16, Value) {
    let request = http().post(cloud().url("/v1/clip/info")).json(&json!({ "url": url }));
    crate::stack::cloud::answer(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_cut_frame_by_frame() {
    let media = served(&usual()).await;
    let file = media.url().to_owned();
    let site = Site::start(move |path, _| match path {
        "/video" => page("A page", "", &format!("<video src='{file}'></video>")),
        "/og" => page("Shared", &format!("<meta property=\"og:video\" content=\"{file}\">"), ""),
        "/moved" => (StatusCode::FOUND, [(header::LOCATION, "/video")]).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    for path in ["/video", "/og", "/moved"] {
        let before = media.bytes_served();
        let answer = check_at(&site.url(path), path, &usual(), 1.5, 4.25).await;
        assert_eq!(answer["method"], "smart", "{path}: {answer}");
        // The page is read, too.
        let read = answer["source_bytes_read"].as_u64().unwrap();
        assert!(read > 10_000 && read < media.bytes_served() - before + 10_000, "{path}: {read}");
    }
    let (status, answer) = info(&site.url("/video")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["title"], "A page");
    assert_eq!((&answer["duration"], &answer["max_height"]), (&json!(8.0), &json!(180)), "{answer}");
    assert_eq!(answer["preview_url"], Value::Null, "a page does not play: {answer}");
    // The server of the media hears who sent us.
    assert!(site.asked.lock().unwrap().iter().any(|(path, _)| path == "/video"));
}

/// The operator has named a secret for pages, and it is not there: pages are asked without.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_gone_is_no_reason_to_stop() {
    let cloud = shared(With::NarrowSettings);
    let account = cloud.account(Amount::cents(100)).await;
    let media = served(&usual()).await;
    let video = format!("<video src='{}'></video>", media.url());
    let site = Site::start(move |_, _| page("A page", "", &video)).await;
    let url = site.url("/video");
    let looked = http().post(cloud.url("/v1/clip/info")).json(&json!({ "url": url }));
    assert_eq!(answer(looked).await.0, 200);
    let (job, _) = account.clip(&json!({ "url": url, "start": 1, "end": 3 })).await;
    assert_eq!(job["status"], "complete");
    let (status, refusal) = account.post("/v1/transcript", &json!({ "url": url })).await;
    assert_eq!(status, 404, "no captions, and not a fault of ours: {refusal}");
    for (path, expected) in [("/v1/clip/analyze", 202), ("/v1/clip/auto", 200)] {
        let (status, answer) = account.post(path, &json!({ "url": url, "query": "anything" })).await;
        assert_eq!(status, expected, "{answer}");
        let job = domain::ids::JobId::parse(answer["job_id"].as_str().unwrap()).unwrap();
        assert_eq!(account.finish(&job).await["error_code"], "no_speech", "a tone");
    }
    assert_eq!(account.audit().await, (Amount::cents(90), Amount::ZERO));
}

/// A page whose video is a stream in segments: yt-dlp names the playlist, and its segments are cut as ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_behind_a_page() {
    let whole = usual();
    let words = format!("-i {} -c copy -f hls -hls_time 2 -hls_playlist_type vod", whole.display());
    let media = served(&made("page-hls/index.m3u8", &words)).await;
    let list = media.url().to_owned();
    let site = Site::start(move |_, _| {
        let video = format!("<video><source src='{list}' type='application/x-mpegURL'></video>");
        page("A stream", "", &video)
    })
    .await;
    let answer = check_at(&site.url("/stream"), "playlist", &whole, 1.5, 4.25).await;
    assert_eq!(answer["method"], "smart", "{answer}");
    let segments: Vec<_> = media.take_files().into_keys().filter(|name| name.ends_with(".ts")).collect();
    assert!(
        segments.contains(&"index1.ts".to_owned()) && !segments.contains(&"index3.ts".to_owned()),
        "{segments:?}"
    );
}

/// Picture and sound in two files, as YouTube has them: a DASH manifest whose representations are whole files.
#[tokio::test(flavor = "multi_thread")]
async fn two_files_behind_a_page_are_cut_as_one() {
    let whole = usual();
    let video = made("page-video.mp4", &format!("-i {} -map 0:v -c copy", whole.display()));
    let audio = made("page-audio.mp4", &format!("-i {} -map 0:a -c copy", whole.display()));
    let (seen, heard) = (served(&video).await, served(&audio).await);
    let manifest = format!(
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' \
         mediaPresentationDuration='PT8S' profiles='urn:mpeg:dash:profile:isoff-on-demand:2011'><Period>\
         <AdaptationSet mimeType='video/mp4'><Representation id='v' bandwidth='500000' width='320' height='180' \
         codecs='avc1.42c00d'><BaseURL>{}</BaseURL></Representation></AdaptationSet>\
         <AdaptationSet mimeType='audio/mp4'><Representation id='a' bandwidth='70000' codecs='mp4a.40.2'>\
         <BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        seen.url(),
        heard.url()
    );
    let site = Site::start(move |path, base| match path {
        "/film" => page(
            "A film",
            "",
            &format!("<video><source src='{base}/film.mpd' type='application/dash+xml'></video>"),
        ),
        "/film.mpd" => typed("application/dash+xml", manifest.clone().into_bytes()),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let answer = check_at(&site.url("/film"), "two files", &whole, 1.5, 4.25).await;
    assert_eq!(answer["method"], "smart", "{answer}");
    assert!(seen.bytes_served() > 0 && heard.bytes_served() > 0);
}

/// A page's media may want to hear where the viewer comes from.
#[tokio::test(flavor = "multi_thread")]
async fn media_that_wants_headers_gets_them() {
    let bytes = std::fs::read(usual()).unwrap();
    let site = Site::start(move |path, base| match path {
        "/watch" => page("Watch", "", &format!("<video src='{base}/v.mp4'></video>")),
        _ => typed("video/mp4", bytes.clone()),
    })
    .await;
    let account = cloud().account(Amount::cents(100)).await;
    account.clip(&json!({ "url": site.url("/watch"), "start": 1, "end": 2 })).await;
    let asked = site.asked.lock().unwrap();
    let of_media: Vec<_> =
        asked.iter().filter(|(path, headers)| path == "/v.mp4" && headers.contains_key("range")).collect();
    assert!(!of_media.is_empty());
    for (_, headers) in of_media {
        assert_eq!(headers["referer"], site.url("/watch"));
        assert!(headers["user-agent"].to_str().unwrap().starts_with("Mozilla/"), "{headers:?}");
    }
}

async fn refused(account: &Account, url: &str, code: &str) {
    let (status, answer) = account.post("/v1/clip", &json!({ "url": url, "start": 1, "end": 2 })).await;
    assert_eq!((status, &answer["code"]), (422, &json!(code)), "{url}: {answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(!detail.contains("yt-dlp") && !detail.contains("--"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_without_a_video_are_refused_before_money_moves() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = Site::start(move |path, base| match path {
        "/empty" => page("Nothing here", "", "<p>Some words.</p>"),
        "/broken" => page("Broken", "", &format!("<video src='{base}/missing.mp4'></video>")),
        "/nobody" => page("Nobody", "", &format!("<video src='http://{gone}/v.mp4'></video>")),
        "/lie" => page("A lie", "", &format!("<video src='{base}/lie.mp4'></video>")),
        "/lie.mp4" => page("Still a page", "", ""),
        _ => StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let account = cloud().account(Amount::cents(100)).await;
    for (path, code) in [
        ("/empty", "source_unsupported"),
        ("/broken", "source_unavailable"),
        ("/nobody", "source_unavailable"),
        ("/lie", "source_unsupported"),
    ] {
        refused(&account, &site.url(path), code).await;
    }
    // A site that is not reached from here, by the way of the sites that are known.
    let (status, answer) = account
        .post(
            "/v1/clip",
            &json!({ "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "start": 1, "end": 2 }),
        )
        .await;
    assert_eq!(status, 422, "{answer}");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

/// The whole video of a page, and one that went away between the look and the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_video_and_one_that_went_away() {
    let (stays, leaves) = (Arc::new(served(&usual()).await), Arc::new(served(&usual()).await));
    let site = Site::start(move |path, _| match path {
        "/talk" => page("A talk: part 1", "", &format!("<video src='{}'></video>", stays.url())),
        _ if leaves.requests() > 0 => StatusCode::GONE.into_response(),
        _ => page("Leaving", "", &format!("<video src='{}'></video>", leaves.url())),
    })
    .await;
    let account = cloud().account(Amount::cents(100)).await;
    let (status, answer) = account.post("/v1/download", &json!({ "url": site.url("/talk") })).await;
    assert_eq!(status, 200, "{answer}");
    let job = domain::ids::JobId::parse(answer["job_id"].as_str().unwrap()).unwrap();
    let answer = account.finish(&job).await;
    assert_eq!(
        (&answer["status"], &answer["file_name"]),
        (&json!("complete"), &json!("A talk part 1.mp4")),
        "{answer}"
    );
    assert_eq!(account.balance().await, 0.95);

    // Accepted while the page was there, worked on when it is not: failed, refunded, told why.
    let job = account.ask(&json!({ "url": site.url("/leaves"), "start": 1, "end": 2 })).await;
    let answer = account.finish(&job).await;
    assert_eq!(answer["status"], "failed", "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("gone"), "{answer}");
    assert_eq!(account.audit().await, (Amount::cents(95), Amount::ZERO));
}

/// A long tone is enough for sound alone.
#[tokio::test(flavor = "multi_thread")]
async fn sound_of_a_page() {
    let sound = made("page-sound.m4a", &format!("{} -map 1:a -c:a aac", lavfi("320x180", "30", 6)));
    let media = served(&sound).await;
    let file = media.url().to_owned();
    let site = Site::start(move |_, _| page("A song", "", &format!("<audio src='{file}'></audio>"))).await;
    let account = cloud().account(Amount::cents(100)).await;
    let ask = json!({ "url": site.url("/song"), "start": 1, "end": 3, "format": "m4a" });
    let (answer, _) = account.clip(&ask).await;
    assert_eq!(answer["duration"], 2.0, "{answer}");
}
