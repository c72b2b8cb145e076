//! A forward proxy on loopback: the way out for programs that we do not write, such as yt-dlp.
//!
//! It knows `CONNECT` for https, and GET, HEAD and POST with an absolute URL for http (RFC 9110, sections 7.6 and
//! 9.3.6). Invariants: it dials only what the guard allows, and the very address that was checked; nobody uses it
//! without its secret; bytes, connections and time are bounded; when it is dropped, all its connections are closed.

mod forward;
mod meter;
mod tunnel;
mod upstream;

pub use upstream::Upstream;

use std::{
    convert::Infallible,
    fmt, io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderMap, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info};
use url::Url;

use self::meter::Metered;
use crate::{Guard, SourceError, Traffic};

/// Longest wait for a name and a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many of a name's addresses are tried.
const ADDRESSES_MAX: usize = 4;
/// A client is a program of our own: its header is here at once, and small.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const HEADER_BYTES_MAX: usize = 32 << 10;
const USER: &str = "clipwright";

/// Bounds of one proxy.
#[derive(Clone, Copy, Debug)]
pub struct ProxyLimits {
    /// How long it lives. Then every connection is closed and none is made any more.
    pub lifetime: Duration,
    /// Longest silence on a connection, both directions together.
    pub silence: Duration,
    /// Most bytes received through it, and most bytes sent.
    pub bytes_max: u64,
    /// Connections at once; further ones wait.
    pub connections_max: usize,
}

/// A running proxy. Dropping it closes it and all its connections.
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
    /// Every task of this proxy ends when this is dropped.
    _open: watch::Sender<()>,
}

impl Proxy {
    /// Starts a proxy on a free port of loopback.
    ///
    /// # Errors
    /// What the operating system says when there is no port or no randomness.
    pub async fn start(guard: Guard, limits: ProxyLimits) -> io::Result<Self> {
        Self::behind(None, guard, limits).await
    }

    /// The same, with a proxy of the operator's as its way out to the hosts that it is for, if there is one.
    ///
    /// # Errors
    /// As [`Proxy::start`].
    pub async fn behind(upstream: Option<Upstream>, guard: Guard, limits: ProxyLimits) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let secret = secret()?;
        let url = format!("http://{USER}:{secret}@{}", listener.local_addr()?);
        let (open, closed) = watch::channel(());
        let shared = Arc::new(Shared {
            guard,
            upstream,
            limits,
            credential: format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{secret}"))),
            ends: Instant::now() + limits.lifetime,
            received: Traffic::default(),
            sent: Traffic::default(),
            problem: Mutex::default(),
            closed,
        });
        shared.spawn(accept(Arc::clone(&shared), listener));
        Ok(Self { url, shared, _open: open })
    }

    /// The proxy's address with its secret, as `http_proxy` and `--proxy` want it. Give it to a child in its
    /// environment rather than in its arguments, which everybody on the machine can read.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes received through it so far.
    #[must_use]
    pub fn traffic(&self) -> &Traffic {
        &self.shared.received
    }

    /// The first thing that the rules of the guard or the limits forbade, if any. A program whose request was refused
    /// tells of a failed connection at best; this is what its user should hear.
    #[must_use]
    pub fn problem(&self) -> Option<SourceError> {
        self.shared.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("received", &self.traffic().bytes()).finish_non_exhaustive()
    }
}

/// What the tasks of one proxy share.
struct Shared {
    guard: Guard,
    upstream: Option<Upstream>,
    limits: ProxyLimits,
    /// The value of `Proxy-Authorization` that opens it.
    credential: String,
    ends: Instant,
    received: Traffic,
    sent: Traffic,
    problem: Mutex<Option<SourceError>>,
    closed: watch::Receiver<()>,
}

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

impl Shared {
    /// Runs `work` until it ends or the proxy does.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (mut closed, ends) = (self.closed.clone(), self.ends);
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                _ = closed.changed() => {}
                () = sleep_until(ends) => {}
            }
        });
    }

    /// Connects to the host of `url`, if the guard allows it.
    async fn dial(self: &Arc<Self>, url: &Url) -> Result<Metered, SourceError> {
        let dialled = timeout(CONNECT_TIMEOUT, async {
            for address in self.guard.addresses(url).await?.into_iter().take(ADDRESSES_MAX) {
                let stream = match self.upstream.as_ref().filter(|upstream| upstream.is_for(url)) {
                    Some(upstream) => upstream.connect(address).await,
                    None => TcpStream::connect(address).await,
                };
                if let Ok(stream) = stream {
                    return Ok(stream);
                }
            }
            Err(SourceError::Unavailable("no connection to the server".to_owned()))
        });
        let stream = dialled.await.map_err(|_| SourceError::Stalled)??;
        Ok(Metered::new(stream, Arc::clone(self)))
    }

    /// Keeps the first rule that was broken.
    fn note(&self, problem: &SourceError) {
        if matches!(problem, SourceError::Forbidden(_) | SourceError::TooLarge(_)) {
            let mut first = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| problem.clone());
        }
    }

    fn is_ours(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::PROXY_AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let differences = given.iter().zip(self.credential.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
        given.len() == self.credential.len() && differences == 0
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(shared.limits.connections_max));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => shared.spawn(serve(Arc::clone(&shared), stream, Arc::new(place))),
            // Too many open files: others will be closed meanwhile.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, place: Arc<OwnedSemaphorePermit>) {
    let answering = service_fn(|request| answer(Arc::clone(&shared), request, Arc::clone(&place)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answering)
        .with_upgrades();
    if let Err(problem) = served.await {
        debug!(%problem, "a connection to the proxy broke");
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    place: Arc<OwnedSemaphorePermit>,
) -> Result<Response<Body>, Infallible> {
    if !shared.is_ours(request.headers()) {
        let mut refusal = refuse(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "this proxy is not for you");
        let challenge = HeaderValue::from_static("Basic realm=\"clipwright\"");
        refusal.headers_mut().insert(header::PROXY_AUTHENTICATE, challenge);
        return Ok(refusal);
    }
    let answer = match *request.method() {
        Method::CONNECT => tunnel::open(&shared, request, place).await,
        Method::GET | Method::HEAD | Method::POST => forward::forward(&shared, request).await,
        _ => return Ok(refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET, HEAD, POST and CONNECT pass")),
    };
    Ok(answer.unwrap_or_else(|problem| {
        info!(%problem, "the proxy refuses");
        shared.note(&problem);
        let status = match problem {
            SourceError::Forbidden(_) => StatusCode::FORBIDDEN,
            SourceError::Stalled => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        };
        refuse(status, &problem.to_string())
    }))
}

/// An answer of our own; the connection ends with it.
fn refuse(status: StatusCode, why: &str) -> Response<Body> {
    let text = Full::new(Bytes::from(format!("{why}\n")));
    let mut response = Response::new(text.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn secret() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
