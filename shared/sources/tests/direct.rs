//! Files on servers that do not behave: each ends in the right bytes after a few tries, or in an error that says why.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod kit;

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use sources::{Extras, Guard, Limits, Pauses, RemoteFile, SourceClient, SourceError};

use kit::raw::{Asked, RawServer, Say, answer, bare, good};

/// 300 kB that begin like an MP4 file, no two parts of which are the same.
static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let noise = (0..75_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes());
    b"\0\0\0\x18ftypisom".iter().copied().chain(noise).collect()
});
const LIMITS: Limits = Limits { silence: Duration::from_secs(20), bytes_max: 2_000_000 };
const TAG: (&str, &str) = ("ETag", "\"one\"");

/// Pauses that take no time, and are remembered.
#[derive(Debug, Default)]
struct NoPauses(Mutex<Vec<Duration>>);

impl Pauses for NoPauses {
    fn pause(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.0.lock().unwrap().push(pause);
        Box::pin(async {})
    }
}

struct Tried {
    server: RawServer,
    pauses: Arc<NoPauses>,
    outcome: Result<Vec<u8>, SourceError>,
}

impl Tried {
    fn requests(&self) -> usize {
        self.server.asked().len()
    }

    fn is_file(&self) {
        assert_eq!(self.outcome.as_ref().map(Vec::len), Ok(FILE.len()), "{:?}", self.server.asked());
        assert!(self.outcome.as_ref().unwrap() == &*FILE, "other bytes");
    }

    fn says(&self, word: &str) {
        let problem = self.outcome.as_ref().expect_err("it was read");
        assert!(problem.to_string().contains(word), "{problem}");
    }
}

async fn all_of(file: RemoteFile) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    file.copy_all(&mut bytes).await?;
    Ok(bytes)
}

async fn tried_with(limits: Limits, say: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Tried {
    let (server, pauses) = (RawServer::start(say).await, Arc::new(NoPauses::default()));
    let client = SourceClient::new(Guard::allowing_private(), limits).unwrap().with_pauses(pauses.clone());
    let outcome = match client.open(&server.url()).await {
        Ok(file) => all_of(file).await,
        Err(problem) => Err(problem),
    };
    Tried { server, pauses, outcome }
}

async fn tried(say: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Tried {
    tried_with(LIMITS, say).await
}

/// The file as a server sends it that breaks off `body` bytes after the header.
fn broken(asked: &Asked, headers: &[(&str, &str)], body: usize) -> Vec<u8> {
    let mut bytes = good(asked, &FILE, headers);
    let header = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    bytes.truncate(header + body);
    bytes
}

fn whole(headers: &[(&str, &str)]) -> Vec<u8> {
    answer("200 OK", headers, &FILE)
}

#[tokio::test]
async fn ordinary_servers() {
    tried(|asked| Say::Bytes(good(asked, &FILE, &[TAG]))).await.is_file();
    tried(|_| Say::Bytes(whole(&[]))).await.is_file();
    tried(|_| Say::Bytes(bare("200 OK", &[], &FILE))).await.is_file();
    tried(|_| Say::Bytes(whole(&[("Content-Type", "text/html; charset=utf-8")]))).await.is_file();
    tried(|_| {
        let chunks = FILE
            .chunks(10_000)
            .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        let body = [chunks.collect::<Vec<_>>().concat(), b"0\r\n\r\n".to_vec()].concat();
        Say::Bytes(bare("200 OK", &[("Transfer-Encoding", "chunked")], &body))
    })
    .await
    .is_file();
    let hostile = |asked: &Asked| match asked.head.starts_with("GET ") {
        true => Say::Bytes(good(asked, &FILE, &[TAG])),
        false => Say::Bytes(answer("405 Method Not Allowed", &[], b"")),
    };
    tried(hostile).await.is_file();
}

#[tokio::test]
async fn redirects() {
    let relative = |asked: &Asked| match asked.path() {
        "/video.mp4" => Say::Bytes(answer("302 Found", &[("Location", "../cdn/./a/../b.mp4?x=1")], b"")),
        "/cdn/b.mp4?x=1" => Say::Bytes(good(asked, &FILE, &[TAG])),
        other => panic!("{other}"),
    };
    tried(relative).await.is_file();
    let around = tried(|_| Say::Bytes(answer("302 Found", &[("Location", "/video.mp4")], b""))).await;
    around.says("more than 5 redirects");
    assert_eq!(around.requests(), 6);
    tried(|_| Say::Bytes(answer("302 Found", &[], b""))).await.says("302");
    let file = |_: &Asked| Say::Bytes(answer("302 Found", &[("Location", "file:///etc/passwd")], b""));
    assert!(tried(file).await.outcome.is_err());
}

#[tokio::test]
async fn servers_that_compress_although_they_were_asked_not_to() {
    let gzip =
        |_: &Asked| Say::Bytes(answer("200 OK", &[("Content-Encoding", "gzip")], b"\x1f\x8b\x08\0\0\0\0\0"));
    tried(gzip).await.says("compressed (Content-Encoding: gzip)");
    // A label alone does no harm.
    for label in ["gzip", "aws-chunked", "identity"] {
        tried(move |asked| Say::Bytes(good(asked, &FILE, &[("Content-Encoding", label)]))).await.is_file();
    }
    let later = |asked: &Asked| match asked.n {
        0 => Say::Bytes(good(asked, &FILE, &[])),
        _ => Say::Bytes(good(asked, &FILE, &[("Content-Encoding", "br")])),
    };
    tried(later).await.says("changed");
}

/// A file of the same length that begins otherwise.
static OTHER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut other = FILE.clone();
    other[100] ^= 1;
    other
});

#[tokio::test]
async fn files_that_change_under_our_feet() {
    let tag = |asked: &Asked| match (asked.n, asked.header("if-range")) {
        (0, None) => Say::Bytes(good(asked, &FILE, &[TAG])),
        (_, None) => Say::Bytes(good(asked, &OTHER, &[("ETag", "\"two\"")])),
        (_, Some(tag)) => {
            assert_eq!(tag, TAG.1);
            Say::Bytes(answer("200 OK", &[("ETag", "\"two\"")], &OTHER))
        }
    };
    tried(tag).await.says("changed");
    let ignored = |asked: &Asked| match asked.n {
        0 => Say::Bytes(good(asked, &FILE, &[("ETag", "\"one\"")])),
        _ => Say::Bytes(good(asked, &OTHER, &[("ETag", "\"two\"")])),
    };
    tried(ignored).await.says("changed");
    let date = |asked: &Asked| {
        let (date, file) = match asked.n {
            0 => ("Sun, 06 Nov 1994 08:49:37 GMT", &FILE),
            _ => ("Sun, 06 Nov 1994 08:49:38 GMT", &OTHER),
        };
        Say::Bytes(good(asked, file, &[("Last-Modified", date), ("ETag", "W/\"one\"")]))
    };
    tried(date).await.says("changed");
    for len in [FILE.len() - 1, FILE.len() + 1] {
        let other: Vec<u8> = FILE.iter().chain(b"x").copied().take(len).collect();
        let lengths =
            move |asked: &Asked| Say::Bytes(good(asked, if asked.n == 0 { &FILE } else { &other }, &[]));
        let tried = tried(lengths).await;
        tried.says("changed");
        assert_eq!(tried.requests(), 2);
    }
    let gone = |asked: &Asked| match asked.n {
        0 => Say::Bytes(good(asked, &FILE, &[])),
        _ => Say::Bytes(answer("416 Range Not Satisfiable", &[("Content-Range", "bytes */100")], b"")),
    };
    tried(gone).await.says("changed");
    // Without ranges a break leads back to the beginning, which is another one now.
    let anew = |asked: &Asked| match asked.n {
        0 => Say::Reset(whole(&[])[..100_000].to_vec()),
        _ => Say::Bytes(answer("200 OK", &[], &OTHER)),
    };
    tried(anew).await.says("changed");
}

/// A server of three machines, each of which has a validator of its own for the same bytes: in an entity tag or a date,
/// with respect for `If-Range` or without.
#[tokio::test]
async fn machines_that_call_one_file_by_several_names() {
    for name in ["ETag", "Last-Modified"] {
        for how in ["part", "whole", "failed"] {
            let several = move |asked: &Asked| {
                let own = match name {
                    "ETag" => format!("\"{}\"", asked.n % 3),
                    _ => format!("Sun, 06 Nov 1994 08:49:3{} GMT", asked.n % 3),
                };
                let is_own = asked.header("if-range").is_none_or(|asked| asked == own);
                let named = [(name, own.as_str())];
                Say::Bytes(match how {
                    "whole" if !is_own => whole(&named),
                    "failed" if !is_own => answer("412 Precondition Failed", &named, b""),
                    _ => good(asked, &FILE, &named),
                })
            };
            let (server, pauses) = (RawServer::start(several).await, Arc::new(NoPauses::default()));
            let client =
                SourceClient::new(Guard::allowing_private(), LIMITS).unwrap().with_pauses(pauses.clone());
            let file = client.open(&server.url()).await.unwrap();
            // Several reads, each of which meets another machine.
            for part in [100_000..150_000, 20_000..60_000, 250_000..300_000, 0..99, 60_000..70_000] {
                let (from, to) = (part.start as usize, part.end as usize);
                assert_eq!(file.read(part).await.as_deref(), Ok(&FILE[from..to]), "{name}, {how}");
            }
            let asked = server.asked().len();
            assert!(asked <= 10, "{name}, {how}: {asked} requests for five reads");
        }
    }
    // Without ranges, and a break in the middle.
    let anew = |asked: &Asked| match asked.n {
        0 => Say::Reset(whole(&[TAG])[..100_000].to_vec()),
        _ => Say::Bytes(whole(&[("ETag", "\"two\"")])),
    };
    tried(anew).await.is_file();
}

#[tokio::test]
async fn servers_that_refuse_parts_give_all_of_it() {
    for status in [
        "400 Bad Request",
        "403 Forbidden",
        "405 Method Not Allowed",
        "412 Precondition Failed",
        "501 Not Implemented",
    ] {
        let refusing = move |asked: &Asked| match asked.header("range") {
            Some(_) => Say::Bytes(answer(status, &[], b"")),
            None => Say::Bytes(whole(&[TAG])),
        };
        let tried = tried(refusing).await;
        tried.is_file();
        assert_eq!(tried.requests(), 2, "{status}");
    }
    // Those that break at a range do so each time.
    let breaking = |asked: &Asked| match asked.header("range") {
        Some(_) => Say::Bytes(answer("500 Internal Server Error", &[], b"")),
        None => Say::Bytes(whole(&[])),
    };
    tried(breaking).await.is_file();
    tried(|asked| match asked.header("range") {
        Some(_) => Say::Reset(vec![]),
        None => Say::Bytes(whole(&[])),
    })
    .await
    .is_file();
}

#[tokio::test]
async fn parts_that_begin_too_early_are_read_up_to_the_right_place() {
    // Servers that know ranges in blocks, and one that sends all of it and calls it a part.
    for block in [1000, 4096, FILE.len()] {
        let blocks = move |asked: &Asked| {
            let part = asked.range(FILE.len()).unwrap();
            let part = part.start / block * block..FILE.len().min(part.end.div_ceil(block) * block);
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, FILE.len());
            Say::Bytes(answer("206 Partial Content", &[("Content-Range", &range), TAG], &FILE[part]))
        };
        let server = RawServer::start(blocks).await;
        let client = SourceClient::new(Guard::allowing_private(), LIMITS).unwrap();
        let file = client.open(&server.url()).await.unwrap();
        for part in [100_001..150_002, 299_999..300_000, 16_383..16_385] {
            let (from, to) = (part.start as usize, part.end as usize);
            assert_eq!(file.read(part).await.as_deref(), Ok(&FILE[from..to]), "{block}");
        }
        assert_eq!(server.asked().len(), 4, "{block}");
    }
}

#[tokio::test]
async fn parts_that_were_not_asked_for() {
    let other = |asked: &Asked| match asked.n {
        0 => Say::Bytes(good(asked, &FILE, &[TAG])),
        _ => {
            let range = format!("bytes 5-104/{}", FILE.len());
            Say::Bytes(answer("206 Partial Content", &[("Content-Range", &range)], &FILE[5..105]))
        }
    };
    let other = tried(other).await;
    other.says("other parts");
    assert_eq!(other.requests(), 2);
    let short = |asked: &Asked| {
        let part = asked.range(FILE.len()).unwrap();
        let part = part.start..part.end.min(part.start + 100_000);
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, FILE.len());
        Say::Bytes(answer("206 Partial Content", &[("Content-Range", &range)], &FILE[part]))
    };
    tried(short).await.is_file();
    // Ranges that begin badly are not asked for again.
    let multipart = ("Content-Type", "multipart/byteranges; boundary=x");
    for headers in [
        vec![multipart],
        vec![("Content-Range", "bytes 0-16383/*")],
        vec![("Content-Range", "bytes 9-99/100")],
    ] {
        let odd = move |asked: &Asked| match asked.range(FILE.len()) {
            Some(part) => Say::Bytes(answer("206 Partial Content", &headers, &FILE[part])),
            None => Say::Bytes(whole(&[])),
        };
        tried(odd).await.is_file();
    }
    let unsatisfied = |asked: &Asked| match asked.range(FILE.len()) {
        Some(_) => Say::Bytes(answer("416 Range Not Satisfiable", &[], b"")),
        None => Say::Bytes(whole(&[])),
    };
    tried(unsatisfied).await.is_file();
    // Ranges that are ignored later: once, and from then on.
    let once = |asked: &Asked| Say::Bytes(if asked.n == 1 { whole(&[]) } else { good(asked, &FILE, &[]) });
    tried(once).await.is_file();
    let always = |asked: &Asked| Say::Bytes(if asked.n == 0 { good(asked, &FILE, &[]) } else { whole(&[]) });
    tried(always).await.is_file();
}

#[tokio::test]
async fn servers_that_ask_for_patience() {
    let busy = |asked: &Asked| match asked.n {
        0 => Say::Bytes(answer("429 Too Many Requests", &[("Retry-After", "3")], b"")),
        2 => Say::Bytes(answer("503 Service Unavailable", &[("Retry-After", "7")], b"")),
        _ => Say::Bytes(good(asked, &FILE, &[TAG])),
    };
    let busy = tried(busy).await;
    busy.is_file();
    assert_eq!(*busy.pauses.0.lock().unwrap(), [3, 7].map(Duration::from_secs));

    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let closed = tried(move |_| Say::Bytes(answer(status, &[("Retry-After", "3600")], b""))).await;
        closed.says(&format!("answered {status} and asks to wait 3600 s"));
        assert_eq!(closed.requests(), 1);
        let more = tried(move |_| Say::Bytes(answer(status, &[("Retry-After", "8")], b""))).await;
        more.says("asks to wait 8 s");
        assert_eq!(more.requests(), 3, "twice 8 s are within the 20 s, three times are not");
    }
}

#[tokio::test]
async fn servers_that_flap() {
    let flapping = |asked: &Asked| match asked.n {
        0 => Say::Bytes(answer("502 Bad Gateway", &[], b"")),
        1 => Say::Bytes(answer("500 Internal Server Error", &[], b"")),
        3 => Say::Bytes(answer("504 Gateway Timeout", &[], b"")),
        _ => Say::Bytes(good(asked, &FILE, &[TAG])),
    };
    tried(flapping).await.is_file();
    let down = tried(|_| Say::Bytes(answer("500 Internal Server Error", &[], b""))).await;
    down.says("answered 500 Internal Server Error; try again later");
    assert_eq!(down.requests(), 5);
    for (status, requests) in [
        ("404 Not Found", 1),
        ("410 Gone", 1),
        ("401 Unauthorized", 1),
        ("204 No Content", 1),
        ("403 Forbidden", 2),
    ] {
        let gone = tried(move |_| Say::Bytes(answer(status, &[], b""))).await;
        gone.says(status);
        assert_eq!(gone.requests(), requests);
    }
}

#[tokio::test]
async fn connections_that_break() {
    let refusing = |asked: &Asked| match asked.n {
        0 => Say::Reset(vec![]),
        1 => Say::Bytes(vec![]),
        _ => Say::Bytes(good(asked, &FILE, &[TAG])),
    };
    tried(refusing).await.is_file();
    let never = tried(|_| Say::Reset(vec![])).await;
    never.says("closed the connection");
    assert_eq!(never.requests(), 5);

    // With ranges it goes on where it ended.
    let resumed = tried(|asked| match asked.n {
        1 | 2 => Say::Reset(broken(asked, &[TAG], 100_000)),
        _ => Say::Bytes(good(asked, &FILE, &[TAG])),
    })
    .await;
    resumed.is_file();
    let starts: Vec<_> =
        resumed.server.asked().iter().filter_map(|asked| asked.range(FILE.len())).map(|r| r.start).collect();
    assert_eq!(starts, [0, 0, 100_000, 200_000]);

    // Without, it is read again up to there.
    let restarted = tried(|asked| match asked.n {
        0 | 1 => Say::Reset(whole(&[])[..150_000].to_vec()),
        _ => Say::Bytes(whole(&[])),
    })
    .await;
    restarted.is_file();
    assert_eq!(restarted.requests(), 3);

    let short =
        tried(|asked| Say::Bytes(broken(asked, &[TAG], if asked.n == 0 { 20_000 } else { 1000 }))).await;
    short.says("ended before all of it was sent");
    assert_eq!(short.requests(), 6, "one to open it, and five that each got a little further");
}

#[tokio::test]
async fn lengths_that_are_wrong() {
    let long = tried(|_| {
        let length = (FILE.len() + 1).to_string();
        Say::Bytes(bare("200 OK", &[("Content-Length", &length)], &FILE))
    })
    .await;
    long.says("ended before all of it was sent");
    // What is beyond the length is not part of the answer.
    let short = tried(|_| Say::Bytes(bare("200 OK", &[("Content-Length", "100000")], &FILE))).await;
    assert_eq!(short.outcome, Ok(FILE[..100_000].to_vec()));
    let two =
        tried(|_| Say::Bytes(bare("200 OK", &[("Content-Length", "5"), ("Content-Length", "6")], &FILE)))
            .await;
    two.says("web server");
}

#[tokio::test]
async fn bodies_and_headers_without_end() {
    let body = tried(|_| {
        let head = bare("200 OK", &[("Transfer-Encoding", "chunked")], b"");
        Say::Endless(head, [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat())
    })
    .await;
    body.says("too large");
    assert_eq!(body.requests(), 1);
    let headers = tried(|_| Say::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(1000))).await;
    headers.says("web server");
    let nonsense = tried(|_| Say::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec())).await;
    nonsense.says("web server");
    assert_eq!((headers.requests(), nonsense.requests()), (1, 1));
}

#[tokio::test]
async fn servers_that_only_keep_the_connection_busy() {
    let limits = Limits { silence: Duration::from_secs(1), ..LIMITS };
    let (body, ranges, head) = tokio::join!(
        tried_with(limits, |_| Say::Dribble(bare("200 OK", &[("Content-Length", "1000000")], b""), 7)),
        tried_with(limits, |asked| match asked.n {
            0 => Say::Bytes(good(asked, &FILE, &[TAG])),
            // Behind the bytes that are known: others there would be another file's.
            _ => Say::Dribble(broken(asked, &[TAG], 20_000), 7),
        }),
        tried_with(limits, |_| Say::Dribble(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b'x')),
    );
    body.says("too slowly");
    ranges.says("too slowly");
    head.says("did not answer in time");
    assert_eq!((body.requests(), ranges.requests(), head.requests()), (1, 2, 1));
}

/// With cookies, which take https: `functions/media/src/page/theft.rs`.
#[tokio::test]
async fn headers_go_along_but_to_no_other_host() {
    let cdn = RawServer::start(|asked| Say::Bytes(good(asked, &FILE, &[TAG]))).await;
    let to = cdn.url();
    let site = RawServer::start(move |_| Say::Bytes(answer("302 Found", &[("Location", &to)], b""))).await;
    let headers = [
        ("Referer", "https://example.com/"),
        ("Authorization", "Bearer t0ken"),
        ("Accept-Language", "de"),
        ("Range", "bytes=7-8"),
        ("Host", "x"),
    ];
    let home = site.url().parse().unwrap();
    let client = SourceClient::new(Guard::allowing_private(), LIMITS).unwrap();
    let client = client.with(Extras::given_for(&home, headers, "a=b; Path=/"));
    assert_eq!(all_of(client.open(&site.url()).await.unwrap()).await.as_ref(), Ok(&*FILE));
    for (asked, referer) in [(&site.asked()[..], Some("https://example.com/")), (&cdn.asked()[..], None)] {
        for asked in asked {
            assert_eq!(asked.header("referer"), referer);
            assert_eq!(asked.header("authorization").is_some(), referer.is_some(), "{}", asked.head);
            assert_eq!((asked.header("accept-language"), asked.header("cookie")), (Some("de"), None));
            assert_eq!(asked.head.matches("range").count(), 1 + asked.head.matches("if-range").count());
            assert_ne!((asked.header("range"), asked.header("host")), (Some("bytes=7-8"), Some("x")));
        }
    }
    assert_eq!((site.asked().len(), cdn.asked().len()), (1, 2));
}

/// Sites that let a client in only once it has shown a cookie that they gave it.
#[tokio::test]
async fn cookies_that_are_set_on_the_way_are_kept_for_their_host() {
    let cdn = RawServer::start(|asked| Say::Bytes(good(asked, &FILE, &[TAG]))).await;
    let to = cdn.url();
    let gate = RawServer::start(move |asked| match (asked.path(), asked.header("cookie")) {
        ("/there", Some("seen=1")) => Say::Bytes(answer("307 Temporary Redirect", &[("Location", &to)], b"")),
        (_, Some("seen=1")) => Say::Bytes(good(asked, &FILE, &[TAG])),
        _ => {
            let set = [("Set-Cookie", "seen=1; Path=/; HttpOnly"), ("Set-Cookie", "gone=1; Max-Age=0")];
            Say::Bytes(answer("302 Found", &[&set[..], &[("Location", asked.path())]].concat(), b""))
        }
    })
    .await;
    let client = SourceClient::new(Guard::allowing_private(), LIMITS).unwrap();
    assert_eq!(all_of(client.open(&gate.url()).await.unwrap()).await.as_ref(), Ok(&*FILE));
    let shown: Vec<_> = gate.asked().iter().map(|asked| asked.header("cookie").is_some()).collect();
    assert_eq!(shown, [false, true, true], "the rest of the file is asked for with it at once");
    let there = format!("http://{}/there", gate.address);
    assert_eq!(all_of(client.open(&there).await.unwrap()).await.as_ref(), Ok(&*FILE));
    assert!(cdn.asked().iter().all(|asked| asked.header("cookie").is_none()));
}

/// Names of files in the character set of the server's disk: its bytes are asked for, whatever they mean.
#[tokio::test]
async fn a_redirect_in_any_character_set() {
    for (name, path) in
        [(&b"/caf\xe9 1.mp4"[..], "/caf%E9%201.mp4"), ("/caf\u{e9}.mp4".as_bytes(), "/caf%C3%A9.mp4")]
    {
        let redirect = [b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ", name, b"\r\n\r\n"].concat();
        let server = RawServer::start(move |asked| match asked.path() {
            "/video.mp4" => Say::Bytes(redirect.clone()),
            asked_for if asked_for == path => Say::Bytes(good(asked, &FILE, &[TAG])),
            _ => Say::Bytes(answer("404 Not Found", &[], b"")),
        })
        .await;
        let client = SourceClient::new(Guard::allowing_private(), LIMITS).unwrap();
        assert_eq!(all_of(client.open(&server.url()).await.unwrap()).await.as_ref(), Ok(&*FILE), "{path}");
    }
}
