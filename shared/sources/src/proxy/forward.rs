//! GET, HEAD and POST with an absolute http URL. Each has a connection of its own to the server.

use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::{
    Request, Response, Uri,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use url::{Position, Url};

use super::{Body, HEADER_BYTES_MAX, Shared};
use crate::SourceError;

/// Headers that speak of one connection and go no further (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(super) async fn forward(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, SourceError> {
    let url = target(request.uri())?;
    let server = shared.dial(&url).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .handshake(TokioIo::new(server))
        .await
        .map_err(|error| broken(&error))?;
    shared.spawn(async move {
        // What breaks here breaks the body, where it is told.
        let _ = connection.await;
    });
    let request = outgoing(request, &url)?;
    let answer = timeout(shared.limits.silence, sender.send_request(request));
    let mut answer = answer.await.map_err(|_| SourceError::Stalled)?.map_err(|error| broken(&error))?;
    end_to_end(answer.headers_mut());
    Ok(answer.map(BodyExt::boxed_unsync))
}

fn target(uri: &Uri) -> Result<Url, SourceError> {
    let forbidden = |why: &str| SourceError::Forbidden(why.to_owned());
    let url = Url::parse(&uri.to_string()).map_err(|_| forbidden("it is not an absolute URL"))?;
    if url.scheme() != "http" {
        return Err(forbidden("only http passes here; https goes through CONNECT"));
    }
    Ok(url)
}

/// The request as the server gets it: everything is told from the URL that was checked.
fn outgoing(request: Request<Incoming>, url: &Url) -> Result<Request<Incoming>, SourceError> {
    let odd = || SourceError::Forbidden("its address has a form that cannot be sent".to_owned());
    let mut request = request;
    *request.uri_mut() = url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| odd())?;
    let host = HeaderValue::from_str(&url[Position::BeforeHost..Position::AfterPort]).map_err(|_| odd())?;
    let headers = request.headers_mut();
    end_to_end(headers);
    headers.remove(header::EXPECT); // answered here already
    headers.insert(header::HOST, host);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(request)
}

/// Takes away what speaks of one connection, and what `Connection` names.
fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

fn broken(error: &hyper::Error) -> SourceError {
    if error.is_parse() {
        SourceError::Unavailable("the server did not answer as a web server does".to_owned())
    } else {
        SourceError::Unavailable("the connection to the server broke".to_owned())
    }
}
