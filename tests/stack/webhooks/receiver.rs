//! A receiver of webhooks: an https server on loopback that answers as the test says and keeps what it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls;

/// Longer than two sweeps and a lease: what comes later does not come.
const PATIENCE: Duration = Duration::from_secs(200);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Hit {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The server; dropping it ends it.
pub(crate) struct Receiver {
    address: SocketAddr,
    hits: Arc<Mutex<Vec<Hit>>>,
    count: watch::Receiver<usize>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// `answer` gets the requests so far, the latest last.
    pub(crate) async fn start(answer: impl Fn(&[Hit]) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let hits: Arc<Mutex<Vec<Hit>>> = Arc::default();
        let (told, count) = watch::channel(0);
        let (seen, told) = (Arc::clone(&hits), Arc::new(told));
        let app = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = String::from_utf8(body.to_vec()).unwrap();
            let mut seen = seen.lock().unwrap();
            seen.push(Hit { path: uri.path().to_owned(), headers, body });
            let answer = answer(&seen);
            told.send_replace(seen.len());
            async move { answer }
        });
        let listener = Tls { listener, acceptor: TlsAcceptor::from(tls::server()) };
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, hits, count, server }
    }

    /// One that takes everything.
    pub(crate) async fn willing() -> Self {
        Self::start(|_| Response::default()).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// The first `count` requests, once they are there.
    pub(crate) async fn heard(&self, count: usize) -> Vec<Hit> {
        let mut counted = self.count.clone();
        let waited = tokio::time::timeout(PATIENCE, counted.wait_for(|&so_far| so_far >= count)).await;
        let hits = self.so_far();
        assert!(waited.is_ok(), "{count} requests expected, there are {hits:#?}");
        hits[..count].to_vec()
    }

    pub(crate) fn so_far(&self) -> Vec<Hit> {
        self.hits.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Accepts connections that speak TLS, one handshake at a time.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            // Who speaks something else is not served.
            let Ok(stream) = self.acceptor.accept(stream).await else { continue };
            return (stream, address);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
