//! `POST /v1/transcript`: captions of every kind, paid once and only when there are any.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use serde_json::{Value, json};

use crate::stack::pages::{Site, page, typed};
use crate::stack::source::{made, served, usual};
use crate::stack::upload::uploaded;
use crate::stack::{Account, cloud};

const VTT: &str = "WEBVTT\n\n00:00.000 --> 00:03.500\n<v Ann>Hello\neveryone</v>\n\n00:03.500 --> 00:06.000\nit&#39;s 漢字 &amp; more\n";

async fn asked(account: &Account, body: Value) -> (u16, Value) {
    account.post("/v1/transcript", &body).await
}

fn words(answer: &Value) -> Vec<&str> {
    answer["segments"].as_array().unwrap().iter().map(|segment| segment["text"].as_str().unwrap()).collect()
}

/// The site of these tests: pages whose video is at `video`, with captions and without.
async fn site(video: String) -> Site {
    Site::start(move |path, base| {
        let track = |src: &str, language: &str| {
            format!("<track kind='captions' src='{base}/{src}' srclang='{language}'>")
        };
        let with = |tracks: &str| {
            page("A talk", "", &format!("<video><source src='{video}' type='video/mp4'>{tracks}</video>"))
        };
        match path {
            "/talk" => with(&track("en.vtt", "en")),
            "/two" => with(&format!("{}{}", track("en.vtt", "en"), track("de.srt", "de"))),
            "/silent" => with(""),
            "/gone" => with(&track("gone.vtt", "en")),
            "/odd" => with(&track("odd.vtt", "en")),
            "/large" => with(&track("large.vtt", "en")),
            "/huge" => with(&track("huge.vtt", "en")),
            "/en.vtt" => typed("text/vtt", VTT.as_bytes().to_vec()),
            "/de.srt" => typed("text/plain", "1\n00:00:01,000 --> 00:00:02,000\nGuten Tag\n".as_bytes().to_vec()),
            "/odd.vtt" => typed("text/vtt", vec![0xff; 4096]),
            "/large.vtt" => typed("text/vtt", spoken(6_000, 15)),
            "/huge.vtt" => typed("text/vtt", spoken(1_500, 650)),
            "/master.m3u8" => typed(
                "application/vnd.apple.mpegurl",
                b"#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"s\",NAME=\"English\",LANGUAGE=\"en\",DEFAULT=YES,URI=\"subs.m3u8\"\n\
                  #EXT-X-STREAM-INF:BANDWIDTH=100000,RESOLUTION=320x180,CODECS=\"avc1.42c00d\",SUBTITLES=\"s\"\nv.m3u8\n".to_vec(),
            ),
            "/subs.m3u8" => typed(
                "application/vnd.apple.mpegurl",
                b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\ns0.vtt\n#EXTINF:6,\ns1.vtt\n#EXT-X-ENDLIST\n".to_vec(),
            ),
            "/s0.vtt" => typed("text/vtt", b"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000\n\n00:01.000 --> 00:02.000\none\n".to_vec()),
            "/s1.vtt" => typed("text/vtt", b"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:1440000\n\n00:01.000 --> 00:02.000\ntwo\n".to_vec()),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    })
    .await
}

/// WebVTT with this many cues of this many words.
fn spoken(cues: u32, words: usize) -> Vec<u8> {
    let mut text = "WEBVTT\n\n".to_owned();
    for n in 0..cues {
        let at = |n: u32| format!("{:02}:{:02}:{:02}.000", n / 3600, n / 60 % 60, n % 60);
        text += &format!("{} --> {}\ncue {n}: {}\n\n", at(n), at(n + 1), "words ".repeat(words));
    }
    text.into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn captions_of_a_page_are_paid_once() {
    let media = served(&usual()).await;
    let site = site(media.url().to_owned()).await;
    let account = cloud().account(Amount::cents(10)).await;
    let send = |url: String| {
        let request =
            account.request(reqwest::Method::POST, "/v1/transcript").header("idempotency-key", "talk");
        crate::stack::cloud::answer(request.json(&json!({ "url": url })))
    };
    let (status, answer) = send(site.url("/talk")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["text"], "[0:00:00] Hello everyone\n[0:00:03] it's 漢字 & more");
    assert_eq!(answer["segments"][0], json!({ "start": 0.0, "end": 3.5, "text": "Hello everyone" }));
    assert_eq!((&answer["duration"], &answer["cost"]), (&json!(6.0), &json!(0.02)), "{answer}");
    assert_eq!(send(site.url("/talk")).await, (200, answer));
    assert_eq!(send(site.url("/two")).await.0, 422, "another intention under the same name");
    assert_eq!(account.audit().await, (Amount::cents(8), Amount::ZERO));
    let rows = cloud().table().entries(&account.id, WalletKind::Usd).await.unwrap();
    let charge = rows.last().unwrap();
    assert_eq!((charge.entry.kind, charge.entry.available_delta), (EntryKind::Charge, -20_000));
    assert!(charge.reference.starts_with("transcript-"), "{charge:?}");

    let (_, answer) = asked(&account, json!({ "url": site.url("/two"), "language": "de" })).await;
    assert_eq!(words(&answer), ["Guten Tag"], "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_captions_nothing_is_charged() {
    let media = served(&usual()).await;
    let site = site(media.url().to_owned()).await;
    let account = cloud().account(Amount::cents(10)).await;
    let no_video = served(&crate::root::root().join("README.md")).await;
    for (url, language, status, code) in [
        (site.url("/silent"), None, 404, "transcript_not_found"),
        (site.url("/odd"), None, 404, "transcript_not_found"),
        (site.url("/talk"), Some("fr"), 404, "transcript_not_found"),
        (media.url().to_owned(), None, 404, "transcript_not_found"),
        (site.url("/gone"), None, 422, "source_unavailable"),
        (site.url("/missing"), None, 422, "source_unavailable"),
        (site.url("/huge"), None, 422, "transcript_too_long"),
        (no_video.url().to_owned(), None, 422, "source_unsupported"),
        (site.url("/talk"), Some("not a tag"), 400, "bad_request"),
        ("ftp://example.com/a".to_owned(), None, 400, "bad_request"),
    ] {
        let (got, answer) = asked(&account, json!({ "url": url, "language": language })).await;
        assert_eq!((got, &answer["code"]), (status, &json!(code)), "{url}: {answer}");
    }
    assert_eq!(account.audit().await, (Amount::cents(10), Amount::ZERO));
    let poor = cloud().account(Amount::cents(1)).await;
    let (status, answer) = asked(&poor, json!({ "url": site.url("/talk") })).await;
    assert_eq!((status, &answer["code"]), (402, &json!("insufficient_balance")), "{answer}");
    let capped = account.with_key(&[domain::account::Scope::ClipsWrite], Some(Amount::cents(3))).await;
    assert_eq!(asked(&capped, json!({ "url": site.url("/talk") })).await.0, 200);
    let (status, answer) = asked(&capped, json!({ "url": site.url("/talk") })).await;
    assert_eq!((status, &answer["code"]), (402, &json!("daily_cap_reached")), "{answer}");
    assert_eq!(account.audit().await, (Amount::cents(8), Amount::ZERO));
}

/// Too large for an item of the table: the repeat gets it from the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_transcript_is_given_again_too() {
    let media = served(&usual()).await;
    let site = site(media.url().to_owned()).await;
    let account = cloud().account(Amount::cents(10)).await;
    let send = || {
        let request =
            account.request(reqwest::Method::POST, "/v1/transcript").header("idempotency-key", "long");
        crate::stack::cloud::answer(request.json(&json!({ "url": site.url("/large") })))
    };
    let (status, first) = send().await;
    assert_eq!((status, words(&first).len()), (200, 6_000));
    assert_eq!(send().await, (200, first));
    assert_eq!(account.audit().await, (Amount::cents(8), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn captions_of_a_stream_and_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let srt = folder.path().join("said.srt");
    let cues =
        "1\n00:00:01,000 --> 00:00:02,500\nOne <i>line</i>\n\n2\n00:00:04,000 --> 00:00:05,000\nZwei 漢字\n";
    std::fs::write(&srt, cues).unwrap();
    let said = made(
        "said.mp4",
        &format!(
            "-i {} -i {} -map 0 -map 1 -c copy -c:s mov_text -metadata:s:s:0 language=ger",
            usual().display(),
            srt.display()
        ),
    );
    let media = served(&said).await;
    let account = cloud().account(Amount::cents(10)).await;
    let (status, answer) = asked(&account, json!({ "url": media.url() })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(words(&answer), ["One line", "Zwei 漢字"]);
    assert_eq!(answer["segments"][0]["start"], 1.0);
    assert_eq!((&answer["segments"][1]["end"], &answer["duration"]), (&json!(5.0), &json!(8.0)), "{answer}");
    let (status, answer) = asked(&account, json!({ "url": media.url(), "language": "fr" })).await;
    assert_eq!(status, 404, "{answer}");

    let id = uploaded(&account, &said).await;
    let (status, answer) = asked(&account, json!({ "file_id": id })).await;
    assert_eq!((status, words(&answer)), (200, vec!["One line", "Zwei 漢字"]), "{answer}");
    let other = cloud().account(Amount::cents(10)).await;
    let (status, answer) = asked(&other, json!({ "file_id": id })).await;
    assert_eq!(status, 404, "{answer}");
    let (status, answer) = asked(&account, json!({ "file_id": id, "url": media.url() })).await;
    assert_eq!(status, 400, "{answer}");

    let site = site(media.url().to_owned()).await;
    let (status, answer) = asked(&account, json!({ "url": site.url("/master.m3u8") })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["text"], "[0:00:01] one\n[0:00:07] two", "{answer}");
}
