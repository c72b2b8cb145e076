//! Crashes a function on demand, with no test hook in the function itself.
//!
//! With `Options.faults`, every `bootstrap` starts this shim, which starts the real binary and stands between
//! it and the Lambda runtime API. While no fault file is there it only passes things on. When it finds one it
//! removes it, so that each crash happens once, and:
//!
//! - `<handler>.start`: ends the binary after an invocation was taken, before the binary sees it;
//! - `<handler>.call.N`: ends it when AWS, or Stripe, has carried out the invocation's Nth call, before the function sees the answer;
//! - `<handler>.end`: ends it when it posts its response, which Lambda then never gets. All the work was done.
//!
//! So that calls can be counted, the shim also stands between the binary and AWS ([`crate::tap`]); links to the bucket
//! that the binary signs lead there, too.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::tap::{self, Listens};

/// Where functions are told to find the services: all of AWS's, the two of them that are embedded, and Stripe.
const ENDPOINTS: [&str; 4] =
    ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_S3", "STRIPE_ENDPOINT_URL"];

/// A function's event and answer are at most 6 MB; the rest is room for headers' worth of slack.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Debug)]
struct Shim {
    /// The real runtime API.
    upstream: String,
    handler: String,
    faults: PathBuf,
    client: reqwest::Client,
    /// Calls of AWS that this invocation has made.
    calls: AtomicU64,
    crash: mpsc::Sender<()>,
}

impl Listens for Shim {
    async fn carried_out(&self) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if self.consume(&format!("call.{number}")) {
            self.crash().await;
        }
    }
}

impl Shim {
    /// Whether a crash was asked for at this point; asking is used up by the answer.
    fn consume(&self, point: &str) -> bool {
        let file = self.faults.join(format!("{}.{point}", self.handler));
        std::fs::remove_file(file).is_ok()
    }

    /// Ends the function. Nothing is answered: the one who waits is about to be killed.
    async fn crash(&self) -> Response {
        let _ = self.crash.send(()).await;
        std::future::pending().await
    }
}

/// Runs `command` behind the shim; returns the exit code.
pub async fn run(faults: PathBuf, mut command: impl Iterator<Item = OsString>) -> anyhow::Result<i32> {
    let upstream = std::env::var("AWS_LAMBDA_RUNTIME_API").context("AWS_LAMBDA_RUNTIME_API is not set")?;
    let handler = std::env::var("_HANDLER").context("_HANDLER is not set")?;
    let (crash, mut crashed) = mpsc::channel(1);
    let client = crate::http::client()?;
    let calls = AtomicU64::new(0);
    let shim = Arc::new(Shim { upstream, handler, faults, client, calls, crash });
    let mut taps = Vec::new();
    for name in ENDPOINTS {
        if let Ok(service) = std::env::var(name) {
            taps.push((name, tap::open(service, Arc::clone(&shim)).await?));
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?.to_string();
    let app = Router::new().fallback(pass).with_state(shim);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut terminate = signal(SignalKind::terminate())?;
    let program = command.next().context("shim needs a command")?;
    let mut child = Command::new(&program)
        .args(command)
        .env("AWS_LAMBDA_RUNTIME_API", address)
        .envs(taps)
        // A crash takes the whole sandbox, so the binary's own children too.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let code = tokio::select! {
        status = child.wait() => exit_code(status?),
        _ = crashed.recv() => 1,
        _ = terminate.recv() => 0,
    };
    if let Some(group) = group {
        // Fails when all have ended already, which is what is wanted.
        let _ = killpg(group, Signal::SIGKILL);
    }
    Ok(code)
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

async fn pass(State(shim): State<Arc<Shim>>, request: Request) -> Response {
    let path = request.uri().path();
    let takes = request.method() == Method::GET && path.ends_with("/invocation/next");
    let answers = request.method() == Method::POST && path.ends_with("/response");
    if answers && shim.consume("end") {
        return shim.crash().await;
    }
    let answer = match forward(&shim, request).await {
        Ok(answer) => answer,
        Err(error) => {
            // The binary sees a broken runtime API and ends, as it should.
            tracing::warn!("the runtime API did not answer: {error:#}");
            return StatusCode::BAD_GATEWAY.into_response();
        }
    };
    if takes && answer.status().is_success() {
        shim.calls.store(0, Ordering::Relaxed);
        if shim.consume("start") {
            return shim.crash().await;
        }
    }
    answer
}

async fn forward(shim: &Shim, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await?;
    let answer = shim
        .client
        .request(parts.method, format!("http://{}{path}", shim.upstream))
        .headers(without_framing(parts.headers))
        .body(body)
        .send()
        .await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = without_framing(answer.headers().clone());
    *response.body_mut() = Body::from(answer.bytes().await?);
    Ok(response)
}

/// Bodies are read whole on both ways, so their framing is made anew.
fn without_framing(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
