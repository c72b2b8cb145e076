//! Servers that misbehave: the clip comes all the same, or the request is refused, or the job fails, says why, and
//! costs nothing. Never does a broken clip come out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::money::Amount;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::stack::cloud;
use crate::stack::source::{distance, frames, served, usual};

#[path = "../../shared/sources/tests/kit/raw.rs"]
#[allow(dead_code)] // each test uses its part
mod raw;

use raw::{Asked, RawServer, Say, answer, bare, good};

const TAG: (&str, &str) = ("ETag", "\"one\"");
/// The header of the usual source lies before this, what a clip needs of it behind.
const HEAD: usize = 16 << 10;

type Script = Box<dyn Fn(&Asked, &[u8]) -> Say + Send + Sync>;

fn script(say: impl Fn(&Asked, &[u8]) -> Say + Send + Sync + 'static) -> Script {
    Box::new(say)
}

async fn serve(say: Script) -> RawServer {
    let file = std::fs::read(usual()).unwrap();
    RawServer::start(move |asked| say(asked, &file)).await
}

/// What a good server answers, broken off `body` bytes behind the header.
fn broken(asked: &Asked, file: &[u8], body: usize) -> Vec<u8> {
    let mut bytes = good(asked, file, &[TAG]);
    let header = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    bytes.truncate(header + body);
    bytes
}

/// A server that is good until the job fetches its span.
fn later(say: impl Fn(&Asked, &[u8]) -> Say + Send + Sync + 'static) -> Script {
    script(move |asked, file| match asked.range(file.len()) {
        Some(part) if part.start >= HEAD => say(asked, file),
        _ => Say::Bytes(good(asked, file, &[TAG])),
    })
}

/// A server that has another file of the same length once the job fetches its span.
fn replaced(say: impl Fn(&Asked, &[u8]) -> Say + Send + Sync + 'static) -> Script {
    let is_replaced = AtomicBool::new(false);
    script(move |asked, file| {
        if asked.range(file.len()).is_some_and(|part| part.start >= HEAD) {
            is_replaced.store(true, Ordering::Relaxed);
        }
        if !is_replaced.load(Ordering::Relaxed) {
            return Say::Bytes(good(asked, file, &[TAG]));
        }
        let other: Vec<u8> = file.iter().map(|byte| !byte).collect();
        say(asked, &other)
    })
}

fn chunked(file: &[u8]) -> Vec<u8> {
    let chunk = |chunk: &[u8]| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
    file.chunks(10_000).map(chunk).chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_faults_are_got_over() {
    let account = Arc::new(cloud().account(Amount::cents(100)).await);
    let scripts = [
        (
            "busy",
            script(|asked, file| match asked.n % 3 {
                0 => Say::Bytes(answer("429 Too Many Requests", &[("Retry-After", "1")], b"")),
                _ => Say::Bytes(good(asked, file, &[TAG])),
            }),
        ),
        (
            "flapping",
            script(|asked, file| match asked.n % 2 {
                0 => Say::Bytes(answer("503 Service Unavailable", &[], b"")),
                _ => Say::Bytes(good(asked, file, &[])),
            }),
        ),
        (
            "breaking",
            script(|asked, file| match asked.n % 2 {
                0 => Say::Reset(broken(asked, file, 50_000)),
                _ => Say::Bytes(good(asked, file, &[TAG])),
            }),
        ),
        (
            "breaking, without ranges",
            script(|asked, file| match asked.n % 2 {
                1 => Say::Reset(answer("200 OK", &[], file)[..file.len() / 2].to_vec()),
                _ => Say::Bytes(answer("200 OK", &[], file)),
            }),
        ),
        (
            "chunked text, it says",
            script(|_, file| {
                let headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "text/html")];
                Say::Bytes(bare("200 OK", &headers, &chunked(file)))
            }),
        ),
        (
            "gzip, it says",
            script(|asked, file| Say::Bytes(good(asked, file, &[TAG, ("Content-Encoding", "gzip")]))),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let clip = async |url: &str, name: &str| {
        let (answer, bytes) = account.clip(&json!({ "url": url, "start": 5.2, "end": 7.2 })).await;
        let path = folder.path().join(name.replace(' ', "-")).with_extension("mp4");
        std::fs::write(&path, bytes).unwrap();
        (answer, frames(&path))
    };
    let plain = served(&usual()).await;
    let (_, expected) = clip(plain.url(), "plain").await;
    assert_eq!(expected.len(), 60);
    join_all(scripts.map(|(name, say)| {
        let (clip, expected) = (&clip, &expected);
        async move {
            let server = serve(say).await;
            let (_, got) = clip(&server.url(), name).await;
            assert_eq!(got.len(), expected.len(), "{name}");
            let apart = got.iter().zip(expected).map(|(a, b)| distance(a, b)).fold(0.0, f64::max);
            assert!(apart < 1.0, "{name}: {apart}");
        }
    }))
    .await;
    assert_eq!(account.audit().await, (Amount::cents(30), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_last_fail_the_job() {
    let account = cloud().account(Amount::cents(100)).await;
    let scripts = [
        (later(|asked, file| Say::Dribble(broken(asked, file, 100), 0)), "too slowly"),
        (later(|asked, file| Say::Reset(broken(asked, file, 0))), "ended before"),
        (later(|_, _| Say::Reset(vec![])), "closed the connection"),
        (later(|asked, file| Say::Bytes(broken(asked, file, 1000))), "ended before"),
        (
            later(|_, _| Say::Bytes(answer("429 Too Many Requests", &[("Retry-After", "3600")], b""))),
            "asks to wait 3600 s",
        ),
        (later(|_, _| Say::Bytes(answer("500 Internal Server Error", &[], b""))), "answered 500"),
        (later(|_, _| Say::Bytes(answer("404 Not Found", &[], b""))), "answered 404"),
        (replaced(|asked, other| Say::Bytes(good(asked, other, &[("ETag", "\"two\"")]))), "changed"),
        (replaced(|_, other| Say::Bytes(answer("200 OK", &[("ETag", "\"two\"")], other))), "changed"),
        (
            later(|_, file| {
                let range = format!("bytes 7-106/{}", file.len());
                Say::Bytes(answer("206 Partial Content", &[("Content-Range", &range)], &file[7..107]))
            }),
            "other parts",
        ),
    ];
    join_all(scripts.map(|(say, word)| {
        let account = &account;
        async move {
            let server = serve(say).await;
            let job = account.ask(&json!({ "url": server.url(), "start": 5.2, "end": 7.2 })).await;
            let answer = account.finish(&job).await;
            let outcome = (&answer["status"], &answer["error_code"], &answer["download_url"]);
            assert_eq!(
                outcome,
                (&json!("failed"), &json!("source_unavailable"), &Value::Null),
                "{word}: {answer}"
            );
            assert!(answer["error"].as_str().unwrap().contains(word), "{word}: {answer}");
        }
    }))
    .await;
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_cannot_be_looked_at() {
    let account = cloud().account(Amount::cents(100)).await;
    let endless = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    let scripts = [
        (
            script(|_, _| {
                Say::Bytes(answer("200 OK", &[("Content-Encoding", "gzip")], b"\x1f\x8b\x08\0\0\0"))
            }),
            "compressed",
        ),
        (
            script(|_, _| Say::Bytes(answer("503 Service Unavailable", &[("Retry-After", "600")], b""))),
            "asks to wait 600 s",
        ),
        (script(|_, _| Say::Bytes(answer("302 Found", &[("Location", "/video.mp4")], b""))), "redirects"),
        (
            script(|_, _| Say::Bytes(answer("302 Found", &[("Location", "file:///etc/passwd")], b""))),
            "the scheme file is not fetched",
        ),
        (script(|_, _| Say::Bytes(b"220 mail.example.com ESMTP\r\n".to_vec())), "web server"),
        (script(|_, _| Say::Dribble(bare("200 OK", &[], b""), 7)), "too slowly"),
        (script(|_, _| Say::Dribble(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b'x')), "in time"),
        // Too large, or not in time on a slow machine.
        (
            script(move |_, _| {
                Say::Endless(bare("200 OK", &[("Transfer-Encoding", "chunked")], b""), endless.clone())
            }),
            "source ",
        ),
    ];
    join_all(scripts.map(|(say, word)| {
        let account = &account;
        async move {
            let server = serve(say).await;
            let ask = json!({ "url": server.url(), "start": 1, "end": 2 });
            let (status, answer) = account.post("/v1/clip", &ask).await;
            assert_eq!(status, 422, "{word}: {answer}");
            assert!(answer["detail"].as_str().unwrap().contains(word), "{word}: {answer}");
        }
    }))
    .await;
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}
