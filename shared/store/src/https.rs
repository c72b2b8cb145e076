//! The client for HTTPS below the AWS SDK.
//!
//! The SDK's own makes two connectors for each service, one when the service's client is made and one for its first call,
//! and each takes in all certificates that the machine trusts: their base64 is most of what a function would do while it
//! starts. This one is made once, for all services, with one pool of connections, and trusts Mozilla's roots as they are
//! in the program ([`webpki_roots`]), which cost nothing to read. Certificates that an operator names win: `SSL_CERT_FILE`
//! and `SSL_CERT_DIR`, which OpenSSL knows too. Behind a proxy that opens TLS they are needed.

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
    let connector = SharedHttpConnector::new(Https(https_client()?));
    Ok(http_client_fn(move |_settings, _components| connector.clone()))
}

/// The client itself, for another service that we call ourselves.
///
/// # Errors
/// When TLS cannot be set up.
pub fn https_client() -> Result<Client, Error> {
    let client = Client::builder()
        // Where to go instead is for the SDK to say: the request must be signed anew.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT);
    let named = |name| std::env::var_os(name).is_some();
    let client = match named("SSL_CERT_FILE") || named("SSL_CERT_DIR") {
        true => client,
        false => client.tls_backend_preconfigured(trusting(mozillas())?),
    };
    Ok(client.build()?)
}

/// The roots in the program.
fn mozillas() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// TLS that trusts these roots.
fn trusting(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
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
    use std::io::{self, Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    use aws_sdk_s3::primitives::ByteStream;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};

    use super::*;

    /// Posts to `url` as the SDK does.
    async fn post(connector: &Https, url: &str) -> Result<(u16, Vec<u8>), ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::from("asked"));
        request.set_method("POST").unwrap();
        request.set_uri(url.to_owned()).unwrap();
        let mut answer = connector.call(request).await?;
        let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
        let body = ByteStream::new(body).collect().await.unwrap();
        Ok((answer.status().as_u16(), body.to_vec()))
    }

    /// Answers one request with `bytes`, and hangs up.
    fn answer(mut stream: impl Read + Write, bytes: &str) -> io::Result<String> {
        let mut request = Vec::new();
        while !request.ends_with(b"asked") {
            let mut part = [0; 1024];
            let len = stream.read(&mut part)?;
            request.extend_from_slice(&part[..len]);
        }
        stream.write_all(bytes.as_bytes())?;
        Ok(String::from_utf8(request).unwrap())
    }

    /// A server for one request, which comes back from it.
    fn server(bytes: &'static str, tls: Option<ServerConfig>) -> (String, JoinHandle<io::Result<String>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}/path", listener.local_addr().unwrap().port());
        let served = std::thread::spawn(move || {
            let (stream, _) = listener.accept()?;
            match tls.map(|tls| ServerConnection::new(Arc::new(tls)).unwrap()) {
                Some(tls) => answer(StreamOwned::new(tls, stream), bytes),
                None => answer(stream, bytes),
            }
        });
        (url, served)
    }

    /// A self-signed certificate, and a root store that trusts it.
    fn certified() -> (ServerConfig, RootCertStore) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        (server.with_single_cert(vec![made.cert.der().clone()], key).unwrap(), roots)
    }

    fn connector(roots: RootCertStore) -> Https {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none());
        Https(client.tls_backend_preconfigured(trusting(roots).unwrap()).build().unwrap())
    }

    #[tokio::test]
    async fn requests_and_answers_go_through_as_they_are() {
        let redirect = "HTTP/1.1 307 Elsewhere\r\nlocation: /other\r\ncontent-length: 5\r\n\r\nthere";
        let (tls, roots) = certified();
        for (tls, roots) in [(None, mozillas()), (Some(tls), roots)] {
            let (url, served) = server(redirect, tls);
            let (status, body) = post(&connector(roots), &url).await.unwrap();
            assert_eq!((status, body.as_slice()), (307, b"there".as_slice()));
            let request = served.join().unwrap().unwrap().to_ascii_lowercase();
            assert!(
                request.starts_with("post /path http/1.1\r\n") && request.contains("content-length: 5\r\n")
            );
        }
    }

    /// <https://www.amazontrust.com/repository/>: what AWS's own certificates hang on.
    #[test]
    fn amazons_roots_are_among_mozillas() {
        for name in ["Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4"] {
            let is_named =
                |subject: &[u8]| subject.windows(name.len()).any(|window| window == name.as_bytes());
            assert!(mozillas().roots.iter().any(|root| is_named(&root.subject)), "{name}");
        }
    }

    #[tokio::test]
    async fn strangers_are_not_trusted() {
        let (tls, _) = certified();
        let (url, served) = server("", Some(tls));
        let problem = post(&connector(mozillas()), &url).await.unwrap_err();
        assert!(format!("{problem:?}").contains("UnknownIssuer"), "{problem:?}");
        assert!(served.join().unwrap().is_err(), "it was told nothing");
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_connection_is_tried_again() {
        let connector = connector(mozillas());
        let (url, served) = server("", None);
        let problem = post(&connector, &url).await.unwrap_err();
        served.join().unwrap().unwrap();
        assert!(problem.is_io(), "{problem:?}");
        // Nobody listens there any more.
        let problem = post(&connector, &url).await.unwrap_err();
        assert!(problem.is_io(), "{problem:?}");
        let problem = post(&connector, "no-scheme").await.unwrap_err();
        assert!(problem.is_user(), "{problem:?}");
    }
}
