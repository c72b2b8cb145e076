//! Counts what the functions ask of DynamoDB, and the capacity that AWS would charge for: a proxy in front of it. Who calls
//! is told by the application's name in the SDK's user agent, which is the function's handler (see `bundle`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Calls by handler, then by operation.
pub type Calls = BTreeMap<String, BTreeMap<String, u64>>;

/// Capacity units by handler: of reads, an item of up to 4 KB that is read consistently is one.
pub type Units = BTreeMap<String, f64>;

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) calls: Calls,
    pub(crate) units: Units,
}

/// DynamoDB takes no larger request, nor does it answer more.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A running proxy; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) url: String,
    counted: Arc<Mutex<Counted>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    target: String,
    client: reqwest::Client,
    counted: Arc<Mutex<Counted>>,
}

impl Meter {
    /// Counts what goes to `target`.
    pub(crate) async fn start(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the meter")?;
        let url = format!("http://{}", listener.local_addr()?);
        let counted = Arc::<Mutex<Counted>>::default();
        let way =
            Way { target: target.to_owned(), client: crate::http::client()?, counted: Arc::clone(&counted) };
        let app = Router::new().fallback(pass).with_state(way);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the meter stopped: {error}");
            }
        });
        Ok(Self { url, counted, server })
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Arc<Mutex<Counted>> {
        Arc::clone(&self.counted)
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
        let mut counted = way.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.calls.entry(caller.clone()).or_default().entry(operation).or_default() += 1;
    }
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    // The embedded DynamoDB does not check signatures, which cover both headers and the body.
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    let asked = asking_for_capacity(body);
    let sent = way.client.request(parts.method, &way.target).headers(headers).body(asked).send().await;
    match answered(sent).await {
        Ok((status, headers, body)) => {
            let mut counted = way.counted.lock().unwrap_or_else(PoisonError::into_inner);
            *counted.units.entry(caller).or_default() += units(&body);
            (status, headers, body).into_response()
        }
        Err(error) => {
            tracing::warn!("DynamoDB did not answer: {error}");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}

async fn answered(
    sent: reqwest::Result<reqwest::Response>,
) -> reqwest::Result<(StatusCode, HeaderMap, Bytes)> {
    let answer = sent?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok((status, headers, answer.bytes().await?))
}

/// The request, asking for what it costs as well.
fn asking_for_capacity(body: Bytes) -> Bytes {
    match serde_json::from_slice(&body) {
        Ok(Json::Object(mut request)) => {
            request.insert("ReturnConsumedCapacity".to_owned(), json!("TOTAL"));
            Json::Object(request).to_string().into()
        }
        // DynamoDB will say what is wrong with it.
        _ => body,
    }
}

/// The units that an answer says it took: of one table, or of each.
fn units(answer: &[u8]) -> f64 {
    let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
    let of = |capacity: &Json| capacity["CapacityUnits"].as_f64().unwrap_or_default();
    match &answer["ConsumedCapacity"] {
        Json::Array(tables) => tables.iter().map(of).sum(),
        table => of(table),
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

    #[test]
    fn an_answer_tells_what_it_took() {
        let asked = asking_for_capacity(Bytes::from_static(br#"{"TableName":"t"}"#));
        assert_eq!(asked, br#"{"ReturnConsumedCapacity":"TOTAL","TableName":"t"}"#[..]);
        assert_eq!(asking_for_capacity(Bytes::from_static(b"[]")), b"[]"[..]);
        assert_eq!(units(br#"{"ConsumedCapacity":{"CapacityUnits":2.5}}"#).to_bits(), 2.5_f64.to_bits());
        let both = br#"{"ConsumedCapacity":[{"CapacityUnits":2},{"CapacityUnits":0.5}]}"#;
        assert_eq!(units(both).to_bits(), 2.5_f64.to_bits());
        assert_eq!(units(b"{}").to_bits(), 0);
    }
}
