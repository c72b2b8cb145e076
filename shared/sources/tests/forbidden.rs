//! Nothing connects to where it must not: a table of URLs and of redirects to them, for our own client, for the proxy,
//! and for other programs behind it. A listener on the forbidden side proves it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod kit;

use std::{io::Write as _, process::Stdio, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::RawQuery,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use sources::{Guard, Limits, Pauses, Proxy, ProxyLimits, SourceClient, SourceError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use kit::{
    Forbidden, guard, names, public_server,
    table::{self, ELSEWHERE, LOOPBACK, WITH_USER, at},
};

const LIMITS: Limits = Limits { silence: Duration::from_secs(20), bytes_max: 1 << 20 };
const PROXY_LIMITS: ProxyLimits = ProxyLimits {
    lifetime: Duration::from_secs(120),
    silence: Duration::from_secs(20),
    bytes_max: 16 << 20,
    connections_max: 64,
};

#[derive(Debug)]
struct NoPauses;

impl Pauses for NoPauses {
    fn pause(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

fn client(guard: Guard) -> SourceClient {
    SourceClient::new(guard, LIMITS).unwrap().with_pauses(Arc::new(NoPauses))
}

/// A server that may be reached, and leads elsewhere: `/STATUS?URL` in one step, `/far?URL` in three.
fn leading_elsewhere() -> Router {
    let to = |status: u16, target: Vec<u8>| -> Response {
        let location = HeaderValue::from_bytes(&target).unwrap();
        (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, location)]).into_response()
    };
    let decoded =
        |query: Option<String>| percent_encoding::percent_decode_str(&query.unwrap()).collect::<Vec<u8>>();
    let mut app = Router::new().route("/", get(|| async { "good" }));
    for status in [301, 302, 303, 307, 308] {
        let step = get(move |RawQuery(query): RawQuery| async move { to(status, decoded(query)) });
        app = app.route(&format!("/{status}"), step);
    }
    for (from, next) in [("/far", "/nearer"), ("/nearer", "/302")] {
        let step = get(move |RawQuery(query): RawQuery| async move {
            to(302, format!("{next}?{}", query.unwrap()).into_bytes())
        });
        app = app.route(from, step);
    }
    app
}

fn encoded(url: &str) -> String {
    percent_encoding::utf8_percent_encode(url, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The good server's addresses that lead to `url`.
fn ways_to(url: &str, server: std::net::SocketAddr) -> Vec<String> {
    let ways = ["301", "302", "303", "307", "308", "far"];
    ways.iter().map(|way| format!("http://good.test:{}/{way}?{}", server.port(), encoded(url))).collect()
}

#[test]
fn the_table_is_long_and_says_nothing_twice() {
    let all = table::all(1);
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(all.len() >= 100 && distinct.len() == all.len(), "{} of {}", distinct.len(), all.len());
}

/// The control of what follows: without the guard, the listener hears of all these.
#[tokio::test]
async fn the_listener_hears_whoever_comes() {
    let forbidden = Forbidden::listen().await;
    let client = client(Guard::allowing_private().with_names(Arc::new(names())));
    for url in LOOPBACK {
        let before = forbidden.accepted().await;
        assert!(client.open(&at(url, forbidden.port)).await.is_err(), "nobody answers there");
        assert!(forbidden.accepted().await > before, "{url} did not lead to the listener");
    }
}

#[tokio::test]
async fn our_client() {
    let (forbidden, server) = (Forbidden::listen().await, public_server(leading_elsewhere()).await);
    let client = client(guard(names()));
    let is_forbidden = |outcome: Result<sources::RemoteFile, SourceError>, url: &str| match outcome {
        Err(SourceError::Forbidden(_)) => {}
        Err(problem) => panic!("{url}: {problem}"),
        Ok(_) => panic!("{url} was opened"),
    };
    for url in [LOOPBACK, WITH_USER, ELSEWHERE].concat() {
        let url = at(url, forbidden.port);
        is_forbidden(client.open(&url).await, &url);
        // Without slashes it is a path on the same server.
        for way in ways_to(&url, server).iter().filter(|_| url[5..].starts_with("//")) {
            is_forbidden(client.open(way).await, way);
        }
    }
    for url in table::all(forbidden.port) {
        assert!(client.open(&url).await.is_err(), "{url}");
        let relative = url.strip_prefix("http:").unwrap_or(&url);
        for way in [ways_to(&url, server), ways_to(relative, server)].concat() {
            // Where a server cannot lead any further, its answer is no file.
            assert!(client.open(&way).await.is_err(), "{way}");
        }
    }
    assert_eq!(forbidden.accepted().await, 0);
    // The same client does read what it may.
    let good = client.open(&format!("http://good.test:{}/", server.port())).await.unwrap();
    assert_eq!(good.head(), b"good");
}

#[tokio::test]
async fn a_name_that_changes_its_mind() {
    let (forbidden, server) = (Forbidden::listen().await, public_server(leading_elsewhere()).await);
    let client = client(guard(names()));
    // The answer that was checked is the answer that is dialled: there is no second one to ask for.
    let first = client.open(&format!("http://rebinding.test:{}/", server.port())).await.unwrap();
    assert_eq!(first.head(), b"good");
    // Another connection asks anew, and is refused.
    let again = client.open(&format!("http://rebinding.test:{}/", forbidden.port)).await;
    assert!(matches!(again, Err(SourceError::Forbidden(_))));
    // Of several addresses only the public ones are tried.
    let both = client.open(&format!("http://both.test:{}/", forbidden.port)).await;
    assert!(matches!(both, Err(SourceError::Unavailable(_))));
    assert_eq!(forbidden.accepted().await, 0);
}

async fn proxy() -> (Proxy, String) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let proxy = Proxy::start(guard(names()), PROXY_LIMITS).await.unwrap();
    let url = url::Url::parse(proxy.url()).unwrap();
    let secret = BASE64_STANDARD.encode(format!("{}:{}", url.username(), url.password().unwrap()));
    (proxy, format!("Proxy-Authorization: Basic {secret}\r\nConnection: close\r\n\r\n"))
}

#[tokio::test]
async fn the_proxy() {
    let (forbidden, server) = (Forbidden::listen().await, public_server(leading_elsewhere()).await);
    let (proxy, headers) = proxy().await;
    let port = url::Url::parse(proxy.url()).unwrap().port().unwrap();
    let status = async |line: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream
            .write_all(format!("{line} HTTP/1.1\r\nHost: good.test\r\n{headers}").as_bytes())
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or("none").to_owned()
    };
    for url in table::all(forbidden.port) {
        let forwarded = status(format!("GET {url}")).await;
        assert!(!forwarded.starts_with(['2', '3']), "GET {url}: {forwarded}");
        let rest = url.split_once("//").map_or(url.as_str(), |(_, rest)| rest);
        let host = rest.split_once(['/', '?', '#', '\\']).map_or(rest, |(host, _)| host);
        for target in [host.to_owned(), format!("{host}:{}", forbidden.port), format!("{host}:443")] {
            let tunnelled = status(format!("CONNECT {target}")).await;
            assert!(!tunnelled.starts_with(['2', '3']), "CONNECT {target}: {tunnelled}");
        }
    }
    assert_eq!(forbidden.accepted().await, 0);
    assert_eq!(proxy.traffic().bytes(), 0, "something was received");
    assert!(matches!(proxy.problem(), Some(SourceError::Forbidden(_))));
    assert_eq!(status(format!("GET http://good.test:{}/", server.port())).await, "200");
}

/// Other programs, which have their own ideas of what a URL is, and follow redirects on their own.
#[tokio::test]
async fn programs_behind_the_proxy() {
    let (forbidden, server) = (Forbidden::listen().await, public_server(leading_elsewhere()).await);
    let (proxy, _) = proxy().await;
    let mut urls = table::all(forbidden.port);
    urls.retain(|url| !url.starts_with("file:") && !url.starts_with("data:"));
    let ways: Vec<_> = urls.iter().map(|url| ways_to(url, server).pop().unwrap()).collect();
    urls.extend(ways);
    let good = format!("http://good.test:{}/", server.port());
    urls.push(good.clone());

    let config: String = urls
        .iter()
        .map(|url| format!("url = \"{}\"\noutput = \"/dev/null\"\n", url.replace('\\', "\\\\")))
        .collect();
    let curl = ["-s", "-L", "--globoff", "--max-time", "20", "-w", "%{http_code} %{url}\\n", "-K", "-"];
    let tunnel = [["--proxytunnel"].as_slice(), &curl].concat();
    // `urls` may not be URLs at all for Python: then it says so, and nothing is sent.
    let python = "
import sys, urllib.request
for url in sys.stdin.read().split('\\n'):
    try: print(urllib.request.urlopen(url, timeout=20).status, url)
    except Exception as problem: print(getattr(problem, 'code', '000'), url)
";
    for (program, arguments, input) in [
        ("curl", curl.as_slice(), &config),
        ("curl", tunnel.as_slice(), &config),
        ("python3", &["-c", python], &urls.join("\n")),
    ] {
        let answers = run(program, arguments, input, proxy.url()).await;
        let passed: Vec<_> = answers.lines().filter(|line| line.starts_with('2')).collect();
        assert_eq!(passed, [format!("200 {good}")], "{program} {arguments:?}:\n{answers}");
        assert_eq!(forbidden.accepted().await, 0, "{program}");
    }
}

/// Runs a program whose only way out is the proxy.
async fn run(program: &str, arguments: &[&str], input: &str, proxy: &str) -> String {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).stdin(file).stderr(Stdio::inherit()).env("PYTHONIOENCODING", "utf-8");
    for name in ["NO_PROXY", "no_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "ftp_proxy", "all_proxy"] {
        command.env(name, proxy);
    }
    String::from_utf8(command.output().await.unwrap().stdout).unwrap()
}
