//! Counts what the functions ask of DynamoDB: a proxy in front of it that looks at nothing but who calls what. Who is
//! told by the application's name in the SDK's user agent, which is the function's handler (see `bundle`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Calls by handler, then by operation.
pub type Calls = BTreeMap<String, BTreeMap<String, u64>>;

/// DynamoDB takes no larger request.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) url: String,
    calls: Arc<Mutex<Calls>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    target: String,
    client: reqwest::Client,
    calls: Arc<Mutex<Calls>>,
}

impl Meter {
    /// Counts what goes to `target`.
    pub(crate) async fn start(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the meter")?;
        let url = format!("http://{}", listener.local_addr()?);
        let calls = Arc::<Mutex<Calls>>::default();
        let way =
            Way { target: target.to_owned(), client: crate::http::client()?, calls: Arc::clone(&calls) };
        let app = Router::new().fallback(pass).with_state(way);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the meter stopped: {error}");
            }
        });
        Ok(Self { url, calls, server })
    }

    /// What was counted so far.
    pub(crate) fn calls(&self) -> Arc<Mutex<Calls>> {
        Arc::clone(&self.calls)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let (caller, operation) = named(&parts.headers);
    {
        let mut calls = way.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(caller).or_default().entry(operation).or_default() += 1;
    }
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // The host is part of the signature, which the embedded DynamoDB does not check.
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let sent = way.client.request(parts.method, &way.target).headers(headers).body(body).send().await;
    match sent {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(error) => {
            tracing::warn!("DynamoDB did not answer: {error}");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

/// Who calls, and what: `app/clips.get` of the user agent, and `GetItem` of `DynamoDB_20120810.GetItem`.
fn named(headers: &HeaderMap) -> (String, String) {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = text("x-amz-user-agent").split(' ').chain(text("user-agent").split(' '));
    let caller = agent.into_iter().find_map(|word| word.strip_prefix("app/"));
    let operation = text("x-amz-target").rsplit('.').next().unwrap_or_default();
    (caller.unwrap_or("others").to_owned(), operation.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handler_and_the_operation_are_read_from_the_headers() {
        let headers = |agent: &str| {
            HeaderMap::from_iter([
                ("x-amz-user-agent".parse().unwrap(), agent.parse().unwrap()),
                ("x-amz-target".parse().unwrap(), "DynamoDB_20120810.GetItem".parse().unwrap()),
            ])
        };
        let of = |agent| named(&headers(agent));
        assert_eq!(of("aws-sdk-rust/1 app/clips.get m/E"), ("clips.get".to_owned(), "GetItem".to_owned()));
        assert_eq!(of("aws-sdk-rust/1").0, "others");
    }
}
