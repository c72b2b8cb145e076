//! The forward proxy: what passes, what does not, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod kit;

use std::time::Duration;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use domain::hosts::AllowedHosts;
use futures_util::{StreamExt, stream};
use sources::{Guard, Proxy, ProxyLimits, SourceError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use kit::{Forbidden, guard, names, public_server};

const LIMITS: ProxyLimits = ProxyLimits {
    lifetime: Duration::from_secs(60),
    silence: Duration::from_secs(20),
    bytes_max: 1 << 20,
    connections_max: 8,
};
/// Longer than anything here takes: a test that would hang fails.
const SOON: Duration = Duration::from_secs(15);

async fn proxy(limits: ProxyLimits) -> Proxy {
    Proxy::start(guard(names()), limits).await.unwrap()
}

fn client(proxy: &Proxy) -> reqwest::Client {
    reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy.url()).unwrap()).build().unwrap()
}

/// A connection to the proxy, and the header line that opens it.
async fn raw(proxy: &Proxy) -> (TcpStream, String) {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let url = url::Url::parse(proxy.url()).unwrap();
    let secret = format!("{}:{}", url.username(), url.password().unwrap());
    let stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    (stream, format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(secret)))
}

/// Sends a request for a tunnel; returns the status and, for 200, the tunnel.
async fn connect(proxy: &Proxy, target: &str) -> (u16, TcpStream) {
    let (mut stream, credential) = raw(proxy).await;
    stream.write_all(format!("CONNECT {target} HTTP/1.1\r\n{credential}\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, stream.read_u8()).await.unwrap().unwrap());
    }
    let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
    (status, stream)
}

/// Reads until the other side ends or breaks the connection.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut bytes)).await.expect("the connection should end");
    bytes
}

fn app() -> Router {
    let endless = || async {
        Body::from_stream(stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![7; 64 << 10]))))
    };
    let silent = || async {
        let first = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"first")) });
        Body::from_stream(first.chain(stream::pending()))
    };
    Router::new()
        .route("/hello", get(|headers: HeaderMap| async move { format!("{headers:?}") }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/endless", get(endless))
        .route("/silent", get(silent))
        .route("/teapot", get(|| async { (StatusCode::IM_A_TEAPOT, "short and stout") }))
}

#[tokio::test]
async fn requests_pass_and_are_counted() {
    let (proxy, server) = (proxy(LIMITS).await, public_server(app()).await);
    let client = client(&proxy);
    let hello = client.get(format!("http://good.test:{}/hello?a=b", server.port())).send().await.unwrap();
    let headers = hello.text().await.unwrap();
    assert!(headers.contains(&format!("good.test:{}", server.port())), "{headers}");
    assert!(!headers.to_lowercase().contains("proxy"), "the secret went on: {headers}");

    let big = vec![b'x'; 100_000];
    let echo = client.post(format!("http://{server}/echo")).body(big.clone()).send().await.unwrap();
    assert_eq!(echo.bytes().await.unwrap(), big);
    assert!((100_000..110_000).contains(&proxy.traffic().bytes()), "{}", proxy.traffic().bytes());

    let head = client.head(format!("http://{server}/hello")).send().await.unwrap();
    assert_eq!(head.status(), 200);
    let teapot = client.get(format!("http://{server}/teapot")).send().await.unwrap();
    assert_eq!((teapot.status().as_u16(), teapot.text().await.unwrap().as_str()), (418, "short and stout"));
    let put = client.put(format!("http://{server}/echo")).body("x").send().await.unwrap();
    assert_eq!(put.status(), 405);
    assert_eq!(proxy.problem(), None);
}

#[tokio::test]
async fn a_tunnel_passes_bytes_both_ways() {
    let (proxy, server) = (proxy(LIMITS).await, public_server(app()).await);
    let (status, mut tunnel) = connect(&proxy, &format!("good.test:{}", server.port())).await;
    assert_eq!(status, 200);
    tunnel.write_all(b"GET /hello HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = rest(&mut tunnel).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(proxy.traffic().bytes(), answer.len() as u64);
}

#[tokio::test]
async fn nobody_else_uses_it() {
    let (proxy, server) = (proxy(LIMITS).await, public_server(app()).await);
    let own = url::Url::parse(proxy.url()).unwrap();
    let mut wrong = own.clone();
    wrong.set_password(Some("guess")).unwrap();
    let mut none = own.clone();
    none.set_username("").unwrap();
    none.set_password(None).unwrap();
    for url in [wrong, none] {
        let stranger = reqwest::Client::builder().proxy(reqwest::Proxy::all(url).unwrap()).build().unwrap();
        let answer = stranger.get(format!("http://{server}/hello")).send().await.unwrap();
        assert_eq!(answer.status(), 407);
    }
    let (mut stream, _) = raw(&proxy).await;
    stream.write_all(format!("CONNECT {server} HTTP/1.1\r\n\r\n").as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with(b"HTTP/1.1 407"));
    assert_eq!(proxy.traffic().bytes(), 0);
    let secret = own.password().unwrap();
    assert!(!format!("{proxy:?}").contains(secret));
}

#[tokio::test]
async fn it_dials_what_it_checked() {
    let (proxy, server, forbidden) =
        (proxy(LIMITS).await, public_server(app()).await, Forbidden::listen().await);
    let port = forbidden.port;
    for host in ["evil.test", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "localhost"] {
        assert_ne!(connect(&proxy, &format!("{host}:{port}")).await.0, 200, "{host}");
        let got = client(&proxy).get(format!("http://{host}:{port}/")).send().await.unwrap();
        assert!(matches!(got.status().as_u16(), 403 | 502), "{host}: {}", got.status());
    }
    assert!(matches!(proxy.problem(), Some(SourceError::Forbidden(_))), "{:?}", proxy.problem());
    // Of a name with both kinds of addresses, only the public ones are dialled.
    assert_eq!(connect(&proxy, &format!("both.test:{}", server.port())).await.0, 200);
    assert_eq!(connect(&proxy, &format!("both.test:{port}")).await.0, 502);
    // A name that was public when it was last asked for is checked again.
    assert_eq!(connect(&proxy, &format!("rebinding.test:{}", server.port())).await.0, 200);
    assert_eq!(connect(&proxy, &format!("rebinding.test:{port}")).await.0, 403);
    assert_eq!(forbidden.accepted().await, 0);
}

#[tokio::test]
async fn odd_requests_are_refused() {
    let (proxy, server) = (proxy(LIMITS).await, public_server(app()).await);
    for line in [
        "GET / HTTP/1.1".to_owned(),
        "GET /http://good.test/ HTTP/1.1".to_owned(),
        format!("GET https://{server}/hello HTTP/1.1"),
        format!("GET ftp://{server}/hello HTTP/1.1"),
        format!("GET http://user@{server}/hello HTTP/1.1"),
        format!("CONNECT user@{server} HTTP/1.1"),
        format!("CONNECT http://{server}/ HTTP/1.1"),
        "CONNECT good.test HTTP/1.1".to_owned(),
        "CONNECT [fe80::1%25lo]:80 HTTP/1.1".to_owned(),
        "CONNECT :80 HTTP/1.1".to_owned(),
        "DELETE http://good.test/ HTTP/1.1".to_owned(),
        "nonsense".to_owned(),
    ] {
        let (mut stream, credential) = raw(&proxy).await;
        let request = format!("{line}\r\nHost: good.test\r\n{credential}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 4"), "{line}: {answer}");
    }
    let (mut stream, _) = raw(&proxy).await;
    let _ =
        stream.write_all(format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(100_000)).as_bytes()).await;
    assert!(!rest(&mut stream).await.starts_with(b"HTTP/1.1 2"));
    assert_eq!(proxy.traffic().bytes(), 0);
}

#[tokio::test]
async fn a_proxy_without_exceptions_knows_two_ports() {
    let proxy = Proxy::start(Guard::public_only(), LIMITS).await.unwrap();
    for target in ["93.184.215.14:22", "93.184.215.14:8080", "127.0.0.1:80", "127.0.0.1:443"] {
        assert_eq!(connect(&proxy, target).await.0, 403, "{target}");
    }
}

#[tokio::test]
async fn bytes_are_bounded() {
    let (proxy, server) = (proxy(LIMITS).await, public_server(app()).await);
    let answer = client(&proxy).get(format!("http://{server}/endless")).send().await.unwrap();
    let read = timeout(SOON, answer.bytes()).await.unwrap();
    assert!(read.is_err(), "an endless body came to an end");
    let (_, mut tunnel) = connect(&proxy, &server.to_string()).await;
    tunnel.write_all(b"GET /endless HTTP/1.1\r\nHost: good.test\r\n\r\n").await.unwrap();
    assert!(rest(&mut tunnel).await.is_empty(), "the limit is for all connections together");
    let bytes = proxy.traffic().bytes();
    assert!((LIMITS.bytes_max..LIMITS.bytes_max + (1 << 20)).contains(&bytes), "{bytes}");
    assert!(matches!(proxy.problem(), Some(SourceError::TooLarge(_))), "{:?}", proxy.problem());
}

#[tokio::test]
async fn silence_and_life_are_bounded() {
    let server = public_server(app()).await;
    let ask = b"GET /silent HTTP/1.1\r\nHost: good.test\r\n\r\n";
    let quiet = proxy(ProxyLimits { silence: Duration::from_millis(200), ..LIMITS }).await;
    let short = proxy(ProxyLimits { lifetime: Duration::from_millis(500), ..LIMITS }).await;
    for proxy in [&quiet, &short] {
        let (status, mut tunnel) = connect(proxy, &server.to_string()).await;
        assert_eq!(status, 200);
        tunnel.write_all(ask).await.unwrap();
        assert!(rest(&mut tunnel).await.ends_with(b"first\r\n"));
    }
    let answer = client(&quiet).get(format!("http://{server}/silent")).send().await.unwrap();
    assert!(timeout(SOON, answer.bytes()).await.unwrap().is_err());
    // A proxy whose life is over takes nobody any more.
    assert!(client(&short).get(format!("http://{server}/hello")).send().await.is_err());
}

#[tokio::test]
async fn it_closes_with_its_owner() {
    let (proxy, server) = (proxy(LIMITS).await, public_server(app()).await);
    let (status, mut tunnel) = connect(&proxy, &server.to_string()).await;
    assert_eq!(status, 200);
    let (mut waiting, _) = raw(&proxy).await;
    let late = client(&proxy);
    drop(proxy);
    assert!(rest(&mut tunnel).await.is_empty());
    assert!(rest(&mut waiting).await.is_empty());
    assert!(late.get(format!("http://{server}/hello")).send().await.is_err());
}

#[tokio::test]
async fn connections_are_bounded() {
    let (proxy, server) =
        (proxy(ProxyLimits { connections_max: 1, ..LIMITS }).await, public_server(app()).await);
    let target = server.to_string();
    let (status, tunnel) = connect(&proxy, &target).await;
    assert_eq!(status, 200);
    let mut second = Box::pin(connect(&proxy, &target));
    assert!(timeout(Duration::from_millis(200), &mut second).await.is_err(), "a second one passed");
    drop(tunnel);
    assert_eq!(second.await.0, 200);
}

/// The operator's proxy gets what the guard has allowed, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_out_of_the_operators() {
    let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let outer = Proxy::start(Guard::allowing_private(), LIMITS).await.unwrap();
    let hosts = AllowedHosts::parse("127.0.0.1").unwrap();
    let upstream = sources::Upstream::parse(outer.url(), hosts).unwrap();
    let inner = Proxy::behind(Some(upstream), Guard::public_and(here), LIMITS).await.unwrap();
    let app = axum::Router::new().fallback(|| async { vec![7_u8; 1000] });
    let listener = tokio::net::TcpListener::bind((here, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let limits = sources::Limits { silence: std::time::Duration::from_secs(5), bytes_max: 1 << 20 };
    let client =
        sources::SourceClient::through(std::sync::Arc::new(inner), Guard::public_and(here), limits).unwrap();
    let file = client.open(&format!("http://127.0.0.1:{port}/a.bin")).await.unwrap();
    assert_eq!(file.head().len(), 1000);
    let passed = outer.traffic().bytes();
    assert!(passed >= 1000, "{passed}");
    assert!(client.open(&format!("http://127.0.0.2:{port}/a.bin")).await.is_err());
    assert_eq!(outer.traffic().bytes(), passed);

    // A host that it is not for is gone to without it.
    let hosts = AllowedHosts::parse("example.org").unwrap();
    let upstream = sources::Upstream::parse(outer.url(), hosts).unwrap();
    let inner = Proxy::behind(Some(upstream), Guard::public_and(here), LIMITS).await.unwrap();
    let client =
        sources::SourceClient::through(std::sync::Arc::new(inner), Guard::public_and(here), limits).unwrap();
    assert!(client.open(&format!("http://127.0.0.1:{port}/a.bin")).await.is_ok());
    assert_eq!(outer.traffic().bytes(), passed);
}
