//! The client for HTTPS below the AWS SDK.
//!
//! The SDK's own makes two connectors for each service, one when the service's client is made and one for its first call,
//! and each takes in all certificates that the machine trusts: their base64 is most of what a function would do while it
//! starts. This one is made once, for all services, with one pool of connections, and trusts Mozilla's roots as they are
//! in the program ([`webpki_roots`]), which cost nothing to read. Certificates that an operator names win: `SSL_CERT_FILE`
//! and `SSL_CERT_DIR`, which OpenSSL knows too.

use std::{sync::Arc, time::Duration};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use reqwest::{Body, Client, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

/// Any problem while the client is made or asked.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// No connection to AWS takes longer to be made than this, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes the client. Like the SDK's own it goes through the proxy that the environment names (`HTTPS_PROXY`), if any.
///
/// # Errors
/// When TLS cannot be set up.
pub fn https() -> Result<SharedHttpClient, Error> {
    let client = Client::builder()
        // Where to go instead is for the SDK to say: the request must be signed anew.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT);
    let named = |name| std::env::var_os(name).is_some();
    let client = match named("SSL_CERT_FILE") || named("SSL_CERT_DIR") {
        true => client,
        false => client.tls_backend_preconfigured(built_in()?),
    };
    let connector = SharedHttpConnector::new(Https(client.build()?));
    Ok(http_client_fn(move |_settings, _components| connector.clone()))
}

/// TLS that trusts the roots in the program.
fn built_in() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

/// Carries the SDK's requests.
#[derive(Debug)]
struct Https(Client);

impl HttpConnector for Https {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let user = |problem: Error| ConnectorError::user(problem);
            let request = request.try_into_http1x().map_err(|problem| user(problem.into()))?;
            let request =
                request.map(Body::wrap).try_into().map_err(|problem: reqwest::Error| user(problem.into()))?;
            let answer = http::Response::<Body>::from(client.execute(request).await.map_err(failed)?);
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|problem| ConnectorError::other(problem.into(), None))
        })
    }
}

/// The problem as the SDK decides by: what comes of a connection is tried again, what is wrong with a request is not.
fn failed(problem: reqwest::Error) -> ConnectorError {
    if problem.is_timeout() {
        ConnectorError::timeout(problem.into())
    } else if problem.is_builder() {
        ConnectorError::user(problem.into())
    } else {
        ConnectorError::io(problem.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Gets `url` as the SDK does.
    async fn get(connector: &Https, url: &str) -> Result<(u16, Vec<u8>), ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::from("asked"));
        request.set_method("POST").unwrap();
        request.set_uri(url.to_owned()).unwrap();
        let mut answer = connector.call(request).await?;
        let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
        let body = aws_sdk_s3::primitives::ByteStream::new(body).collect().await.unwrap();
        Ok((answer.status().as_u16(), body.to_vec()))
    }

    /// Answers one request with `bytes`, and hangs up; the request comes back.
    fn server(bytes: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/path", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"asked") {
                let mut part = [0; 1024];
                let len = stream.read(&mut part).unwrap();
                request.extend_from_slice(&part[..len]);
            }
            stream.write_all(bytes.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        });
        (url, served)
    }

    fn connector() -> Https {
        Https(Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap())
    }

    #[tokio::test]
    async fn requests_and_answers_go_through_as_they_are() {
        let redirect = "HTTP/1.1 307 Elsewhere\r\nlocation: /other\r\ncontent-length: 5\r\n\r\nthere";
        let (url, served) = server(redirect);
        let (status, body) = get(&connector(), &url).await.unwrap();
        assert_eq!((status, body.as_slice()), (307, b"there".as_slice()));
        let request = served.join().unwrap().to_ascii_lowercase();
        assert!(request.starts_with("post /path http/1.1\r\n") && request.contains("content-length: 5\r\n"));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_connection_is_tried_again() {
        let (url, served) = server("");
        let problem = get(&connector(), &url).await.unwrap_err();
        served.join().unwrap();
        assert!(problem.is_io(), "{problem:?}");
        // Nobody listens there any more.
        let problem = get(&connector(), &url).await.unwrap_err();
        assert!(problem.is_io(), "{problem:?}");
        let problem = get(&connector(), "no-scheme").await.unwrap_err();
        assert!(problem.is_user(), "{problem:?}");
    }

    #[test]
    fn roots_are_built_in() {
        assert!(built_in().is_ok());
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 100);
    }
}
