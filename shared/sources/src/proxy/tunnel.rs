//! `CONNECT host:port`: bytes pass in both directions, unread.

use std::sync::Arc;

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;
use url::Url;

use super::{Body, Shared};
use crate::SourceError;

/// Connects, then answers 200 and lets the bytes pass. `place` is kept as long as they do.
pub(super) async fn open(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    place: Arc<OwnedSemaphorePermit>,
) -> Result<Response<Body>, SourceError> {
    let mut server = shared.dial(&target(&request)?).await?;
    shared.spawn(async move {
        let passed = async {
            let mut client = TokioIo::new(hyper::upgrade::on(request).await.map_err(std::io::Error::other)?);
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        };
        if let Err(problem) = passed.await {
            debug!(%problem, "a tunnel broke");
        }
        drop(place);
    });
    Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync()))
}

/// The host and port of the request, as the URL that its owner wants to speak to.
fn target(request: &Request<Incoming>) -> Result<Url, SourceError> {
    let uri = request.uri();
    let url = uri.authority().filter(|_| uri.scheme().is_none() && uri.port().is_some());
    url.and_then(|authority| Url::parse(&format!("https://{authority}")).ok())
        .ok_or_else(|| SourceError::Forbidden("it is not a host and a port".to_owned()))
}
