//! The front door: the one address of the local cloud. `/_local/info` tells where everything is, `/_local/mail` what
//! mail was sent, `/_local/calls` what was asked of DynamoDB and `/_local/units` what AWS would charge for it, if that is
//! counted; `POST /_local/lifecycle?now=` runs the buckets' rules as of that time; [`SAMPLE`] is a video, if there is one;
//! [`bedrock::PREFIX`] is a large model. Every other request goes to the stack's HTTP API, as it would reach API Gateway on
//! AWS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower_http::services::ServeFile;

use crate::bedrock;
use crate::lifecycle::{Expired, Lifecycle};
use crate::mail;
use crate::meter::{Calls, Counted, Units};
use crate::routes::STAGE;
use crate::stack::Info;

/// Where the video to try things with is.
pub(crate) const SAMPLE: &str = "/_local/test-picture.mp4";

/// API Gateway's limit for a request's body.
const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// How much of a body that is too large is read all the same, because a client that is cut off while it sends sees
/// a broken connection instead of the answer.
const BODY_BYTES_READ_MAX: usize = 10 * BODY_BYTES_MAX;

/// Headers that are about one connection, not about the message.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[derive(Debug)]
struct Front {
    info: Info,
    client: reqwest::Client,
    lifecycle: Arc<Lifecycle>,
    counted: Option<Arc<Mutex<Counted>>>,
}

/// Serves the front door on `listener`.
pub(crate) fn serve(
    listener: TcpListener,
    (info, sample): (Info, Option<PathBuf>),
    client: reqwest::Client,
    lifecycle: Arc<Lifecycle>,
    counted: Option<Arc<Mutex<Counted>>>,
) -> JoinHandle<()> {
    let offered = match sample {
        Some(file) => Router::new().route_service(SAMPLE, ServeFile::new(file)),
        None => Router::new(),
    };
    let app = offered
        .route("/_local/info", get(local_info))
        .route("/_local/calls", get(local_calls))
        .route("/_local/units", get(local_units))
        .route("/_local/lifecycle", post(local_lifecycle))
        .route("/_local/mail", get(local_mail))
        .route(&format!("{}/model/{{model}}/converse", bedrock::PREFIX), post(bedrock::converse))
        .fallback(forward)
        .with_state(Arc::new(Front { info, client, lifecycle, counted }))
        .into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, app).await {
            tracing::error!("the front door closed: {error}");
        }
    })
}

async fn local_info(State(front): State<Arc<Front>>) -> Json<Info> {
    Json(front.info.clone())
}

/// 404 unless the devstack was asked to count.
async fn local_calls(State(front): State<Arc<Front>>) -> Result<Json<Calls>, StatusCode> {
    let counted = front.counted.as_ref().ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(counted.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()))
}

/// 404 unless the devstack was asked to count.
async fn local_units(State(front): State<Arc<Front>>) -> Result<Json<Units>, StatusCode> {
    let counted = front.counted.as_ref().ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(counted.lock().unwrap_or_else(PoisonError::into_inner).units.clone()))
}

/// When the rules are to be run, as RFC 3339 writes it; now, if it is left out.
#[derive(Deserialize)]
struct AsOf {
    now: Option<String>,
}

/// Runs the buckets' lifecycle rules; returns what they deleted. 400 for an invalid time.
async fn local_lifecycle(
    State(front): State<Arc<Front>>,
    Query(AsOf { now }): Query<AsOf>,
) -> Result<Json<Expired>, StatusCode> {
    let now = now.map(|text| text.parse::<Timestamp>()).transpose().map_err(|_| StatusCode::BAD_REQUEST)?;
    let (lifecycle, now) = (Arc::clone(&front.lifecycle), now.map_or_else(SystemTime::now, SystemTime::from));
    let run = tokio::task::spawn_blocking(move || lifecycle.run(now)).await;
    run.map_err(std::io::Error::other).flatten().map(Json).map_err(|problem| {
        tracing::warn!("the lifecycle rules stopped half-way: {problem}");
        StatusCode::INTERNAL_SERVER_ERROR
    })
}

/// The mail that was sent: for programs as JSON, oldest first; in a browser a page, newest first.
async fn local_mail(State(front): State<Arc<Front>>, headers: HeaderMap) -> Result<Response, StatusCode> {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let answer = async {
        let mails = mail::sent(&front.client, &front.info.ministack_url).await?;
        Ok::<_, anyhow::Error>(match accepted.is_some_and(|accepted| accepted.contains("text/html")) {
            true => {
                let policy =
                    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'");
                ([policy], Html(mail::page(&mails)?)).into_response()
            }
            false => Json(mails).into_response(),
        })
    };
    answer.await.map_err(|error| {
        tracing::warn!("no mail to show: {error:#}");
        StatusCode::BAD_GATEWAY
    })
}

async fn forward(
    State(front): State<Arc<Front>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match bounded(&parts.headers, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let path = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let Info { ministack_url, http_api, .. } = &front.info;
    let url = format!("{ministack_url}/_aws/execute-api/{http_api}/{STAGE}{path}");
    let mut headers = end_to_end(parts.headers);
    // The body was read whole; its length is set anew.
    headers.remove(header::CONTENT_LENGTH);
    append_forwarded(&mut headers, client);
    match front.client.request(parts.method, url).headers(headers).body(body).send().await {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = end_to_end(answer.headers().clone());
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(error) => {
            tracing::warn!("the HTTP API did not answer: {error}");
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
    }
}

/// Reads the body up to API Gateway's limit.
async fn bounded(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    // A client that asked first (`Expect: 100-continue`) must hear the refusal before it sends.
    let declared =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let too_large = || message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    if headers.contains_key(header::EXPECT) && declared.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let (mut kept, mut seen) = (Vec::new(), 0);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| message(StatusCode::BAD_REQUEST, "Bad Request"))?;
        seen += chunk.len();
        if seen <= BODY_BYTES_MAX {
            kept.extend_from_slice(&chunk);
        } else if seen > BODY_BYTES_READ_MAX {
            break;
        }
    }
    if seen <= BODY_BYTES_MAX { Ok(kept.into()) } else { Err(too_large()) }
}

/// The headers without those of the connection, the ones that `Connection` names included.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').filter_map(|name| name.trim().parse().ok()))
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers
}

/// API Gateway tells the function who called in this header, after what the caller had put there.
fn append_forwarded(headers: &mut HeaderMap, client: SocketAddr) {
    const NAME: &str = "x-forwarded-for";
    let before = headers.get(NAME).and_then(|value| value.to_str().ok()).map(|value| format!("{value}, "));
    let value = format!("{}{}", before.unwrap_or_default(), client.ip());
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(NAME, value);
    }
}

/// An answer of the gateway itself, in its own form.
fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "message": text }))).into_response()
}
