//! The operator's own way out: a proxy that stands between ours and the servers, such as one at an address that sites
//! do not block. What it is asked to connect to is the address that the guard has checked.

use std::{fmt, io, net::SocketAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use domain::hosts::AllowedHosts;
use percent_encoding::percent_decode_str;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::Url;

/// The longest header of its answer, in bytes.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// An HTTP proxy that knows `CONNECT` (RFC 9110, section 9.3.6).
#[derive(Clone)]
pub struct Upstream {
    host: String,
    port: u16,
    credential: Option<String>,
    hosts: AllowedHosts,
}

/// Its user and password are secrets.
impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upstream(..)")
    }
}

impl Upstream {
    /// Reads `http://user:password@host:port`; `None` for anything else. It is used for `hosts` alone: others are gone to
    /// without it, so that they neither learn of it nor cost what it costs.
    #[must_use]
    pub fn parse(url: &str, hosts: AllowedHosts) -> Option<Self> {
        let url = Url::parse(url).ok().filter(|url| url.scheme() == "http")?;
        let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credential = (!url.username().is_empty()).then(|| {
            let pair = format!("{}:{}", plain(url.username()), plain(url.password().unwrap_or_default()));
            BASE64_STANDARD.encode(pair)
        });
        Some(Self { host, port, credential, hosts })
    }

    /// Whether it is used for the host of `url`.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        self.hosts.check(url.as_str()).is_ok()
    }

    /// A connection to `address` through this proxy.
    pub(super) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let host = self.host.trim_matches(['[', ']']);
        let mut stream = TcpStream::connect((host, self.port)).await?;
        let mut request = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n");
        if let Some(credential) = &self.credential {
            request.push_str(&format!("Proxy-Authorization: Basic {credential}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        // Byte by byte: what follows the header belongs to the server behind.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() >= ANSWER_BYTES_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            answer.push(stream.read_u8().await?);
        }
        let is_open = answer.starts_with(b"HTTP/1.") && answer.get(9..12).is_some_and(|code| code[0] == b'2');
        if is_open { Ok(stream) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies() {
        let parse = |url: &str| Upstream::parse(url, AllowedHosts::parse("example.org").unwrap());
        let upstream = parse("http://us%40er:p%3Aw@proxy.example:8080").unwrap();
        assert_eq!((upstream.host.as_str(), upstream.port), ("proxy.example", 8080));
        assert_eq!(upstream.credential.as_deref(), Some(BASE64_STANDARD.encode("us@er:p:w").as_str()));
        assert_eq!(format!("{upstream:?}"), "Upstream(..)");
        assert!(parse("http://proxy.example").unwrap().credential.is_none());
        let is_for = |url: &str| upstream.is_for(&Url::parse(url).unwrap());
        assert!(is_for("https://www.example.org/") && !is_for("https://example.com/"));
        for url in ["", "proxy:80", "socks5://proxy:80", "https://proxy"] {
            assert!(parse(url).is_none(), "{url}");
        }
    }
}
