//! The embedded S3: s3s-fs on a loopback port, with the template's buckets as folders.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::bend::Bucket;
use crate::lifecycle::{self, Lifecycle};
use crate::options::{ACCESS_KEY, ACCOUNT, SECRET_KEY};
use crate::strict::Strict;

/// A running object store; dropping it ends the server.
#[derive(Debug)]
pub(crate) struct S3 {
    pub(crate) url: String,
    pub(crate) lifecycle: Arc<Lifecycle>,
    server: JoinHandle<()>,
    rules: JoinHandle<()>,
}

impl S3 {
    /// Makes the missing buckets under `state` and serves them.
    pub(crate) async fn start(state: &Path, buckets: &[Bucket]) -> anyhow::Result<Self> {
        let root = state.join("s3");
        for bucket in buckets {
            std::fs::create_dir_all(root.join(&bucket.name))?;
        }
        std::fs::create_dir_all(&root)?;
        let lifecycle = Arc::new(Lifecycle::new(&root, buckets)?);
        let files = FileSystem::new(&root)
            .map_err(|error| anyhow!("{error:?}"))
            .with_context(|| format!("cannot serve {}", root.display()))?;
        let mut builder = S3ServiceBuilder::new(Strict::new(files, &root));
        builder.set_auth(credentials());
        let app = Router::new().fallback(answer).with_state(builder.build());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the embedded S3 stopped: {error}");
            }
        });
        let rules = tokio::spawn(keep_running(Arc::clone(&lifecycle)));
        Ok(Self { url, lifecycle, server, rules })
    }

    pub(crate) fn stop(&mut self) {
        self.server.abort();
        self.rules.abort();
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs the rules now and then, from the start on: time passes while the local cloud is off.
async fn keep_running(lifecycle: Arc<Lifecycle>) {
    let mut times = tokio::time::interval(lifecycle::EVERY);
    loop {
        times.tick().await;
        let lifecycle = Arc::clone(&lifecycle);
        match tokio::task::spawn_blocking(move || lifecycle.run(SystemTime::now())).await {
            Ok(Ok(_)) => {}
            Ok(Err(problem)) => tracing::warn!("the lifecycle rules stopped half-way: {problem}"),
            Err(problem) => tracing::warn!("the lifecycle rules broke off: {problem}"),
        }
    }
}

/// Callers from outside sign as [`ACCESS_KEY`]; ministack gives its functions the account number as key id.
fn credentials() -> SimpleAuth {
    let mut auth = SimpleAuth::new();
    auth.register(ACCESS_KEY.to_owned(), SECRET_KEY.into());
    auth.register(ACCOUNT.to_owned(), SECRET_KEY.into());
    auth
}

async fn answer(state: State<S3Service>, request: Request) -> Response {
    let from_a_page = request.headers().contains_key(ORIGIN);
    let mut response = match *request.method() {
        // s3s has no CORS: a browser asks before it sends anything.
        Method::OPTIONS if from_a_page => StatusCode::OK.into_response(),
        _ => answer_signed(state, request).await,
    };
    if from_a_page {
        // What the template's CORS rule says, for any origin.
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, PUT"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
            (ACCESS_CONTROL_EXPOSE_HEADERS, "etag"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

async fn answer_signed(State(service): State<S3Service>, request: Request) -> Response {
    let overrides = response_overrides(&request);
    let request = request.map(s3s::Body::http_body_unsync);
    let mut response = match service.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::error!("the embedded S3 could not answer: {error:?}");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    if response.status().is_success() {
        for (name, value) in overrides {
            response.headers_mut().insert(name, value);
        }
    }
    // How an upload was framed on the wire is no property of the object; S3 forgets it, s3s-fs hands it back.
    if response.headers().get(CONTENT_ENCODING).is_some_and(|value| value == "aws-chunked") {
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    response
}

/// The headers that a GET asks for in its query (`response-content-disposition` …). s3s-fs ignores them. They
/// are set only on success, so after s3s has checked the signature, which covers the query.
fn response_overrides(request: &Request) -> Vec<(HeaderName, HeaderValue)> {
    if request.method() != Method::GET {
        return Vec::new();
    }
    let query = request.uri().query().unwrap_or_default();
    url::form_urlencoded::parse(query.as_bytes())
        .filter_map(|(name, value)| {
            let header = match name.as_ref() {
                "response-content-disposition" => CONTENT_DISPOSITION,
                "response-content-type" => CONTENT_TYPE,
                _ => return None,
            };
            Some((header, HeaderValue::from_str(&value).ok()?))
        })
        .collect()
}
