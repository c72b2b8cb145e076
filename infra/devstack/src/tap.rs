//! Sits between one function and one AWS service, and reports each call when it was carried out, before the function
//! sees the answer.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;

/// Whoever wants to know.
pub(crate) trait Listens: Send + Sync + 'static {
    /// A call was carried out; its answer waits until this returns.
    fn carried_out(&self) -> impl Future<Output = ()> + Send;
}

struct Tap<L> {
    service: String,
    client: reqwest::Client,
    listens: Arc<L>,
}

/// Opens a way to `service`, for as long as this program runs; returns its address.
pub(crate) async fn open<L: Listens>(service: String, listens: Arc<L>) -> anyhow::Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let tap = Arc::new(Tap { service, client: crate::http::client()?, listens });
    let app = Router::new().fallback(pass).with_state(tap);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn pass<L: Listens>(State(tap): State<Arc<Tap<L>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let url = format!("{}{path}", tap.service.trim_end_matches('/'));
    let has_body = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let has_body = has_body.iter().any(|name| parts.headers.contains_key(name));
    // The headers stay as they are, the host among them: a signature may cover any of them.
    let mut call = tap.client.request(parts.method, url).headers(parts.headers);
    if has_body {
        call = call.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    match call.send().await {
        Ok(answer) => {
            tap.listens.carried_out().await;
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(error) => {
            tracing::warn!("a service did not answer: {error}");
            StatusCode::BAD_GATEWAY.into_response()
        }
    }
}
