//! The egress guard: which addresses a user's URL may lead to.
//!
//! Names are resolved here, and the connection goes to the very address that was checked, so a name that answers
//! differently the second time gains nothing. Literal addresses and every redirect pass the same check. All of it is
//! decided on the URL as the `url` crate reads it (WHATWG), which has one form for each host: decimal, octal, short and
//! percent-encoded addresses and full-width digits are ordinary addresses by then.
//!
//! Our own client dials by this rule, and so does the forward proxy on loopback ([`Proxy`](crate::Proxy)), which is
//! yt-dlp's only way out. ffmpeg and ffprobe get local files and no way out at all.
//!
//! Private addresses are for the local cloud: with `AllowPrivateSources` a function starts only where
//! `AWS_ENDPOINT_URL` leads to loopback.

use std::{
    fmt::Debug,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::SourceError;

/// Tells the addresses of a name.
pub trait Names: Debug + Send + Sync {
    /// All addresses of `host`.
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// What the operating system says.
#[derive(Debug)]
struct SystemNames;

impl Names for SystemNames {
    fn lookup(&self, host: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
        })
    }
}

/// Which addresses the rule lets pass.
#[derive(Clone, Copy, Debug)]
enum Reach {
    /// Public ones, on ports 80 and 443.
    Public,
    /// Public ones and this one, on all ports.
    PublicAnd(IpAddr),
    /// All.
    Any,
}

/// The rule for addresses.
#[derive(Clone, Debug)]
pub struct Guard {
    reach: Reach,
    names: Arc<dyn Names>,
}

impl Guard {
    fn new(reach: Reach) -> Self {
        Self { reach, names: Arc::new(SystemNames) }
    }

    /// Public addresses only, on ports 80 and 443.
    #[must_use]
    pub fn public_only() -> Self {
        Self::new(Reach::Public)
    }

    /// Public addresses and `also`, on any port: for tests of the rule, which need a server that may be reached beside
    /// those that may not.
    #[must_use]
    pub fn public_and(also: IpAddr) -> Self {
        Self::new(Reach::PublicAnd(also))
    }

    /// Any address, for the local cloud and tests, whose sources live on loopback.
    #[must_use]
    pub fn allowing_private() -> Self {
        Self::new(Reach::Any)
    }

    /// The same rule for other answers to names.
    #[must_use]
    pub fn with_names(self, names: Arc<dyn Names>) -> Self {
        Self { names, ..self }
    }

    /// Checks a URL before it is requested. Names are checked later, when they are resolved.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`].
    pub fn check_url(&self, url: &Url) -> Result<(), SourceError> {
        let forbidden = |why: &str| Err(SourceError::Forbidden(why.to_owned()));
        if !matches!(url.scheme(), "http" | "https") {
            return forbidden(&format!("the scheme {} is not fetched", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return forbidden("it carries a user name or password");
        }
        if matches!(self.reach, Reach::Public) && !matches!(url.port_or_known_default(), Some(80 | 443)) {
            return forbidden("only ports 80 and 443 are fetched from");
        }
        match literal(url) {
            Some(address) if !self.allows(address) => forbidden("it is not a public address"),
            None if url.host_str().is_none_or(str::is_empty) => forbidden("there is no host"),
            _ => Ok(()),
        }
    }

    /// Where a connection for `url` may go: its literal address, or those of its name that the rule allows. Whoever
    /// dials must dial one of these.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`], [`SourceError::Unavailable`] for a name without any address.
    pub async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, SourceError> {
        self.check_url(url)?;
        let port = url.port_or_known_default().unwrap_or_default();
        let found = match literal(url) {
            Some(address) => vec![address],
            None => {
                let name = url.host_str().unwrap_or_default().to_owned();
                self.resolve_name(name).await.map_err(|error| match error {
                    Unresolved::NotPublic => SourceError::Forbidden(error.to_string()),
                    Unresolved::Unknown(_) => SourceError::Unavailable(error.to_string()),
                })?
            }
        };
        Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn resolve_name(&self, name: String) -> Result<Vec<IpAddr>, Unresolved> {
        let mut found = self.names.lookup(name).await.map_err(Unresolved::Unknown)?;
        found.retain(|&address| self.allows(address));
        if found.is_empty() { Err(Unresolved::NotPublic) } else { Ok(found) }
    }

    fn allows(&self, address: IpAddr) -> bool {
        match self.reach {
            Reach::Public => is_public(address),
            Reach::PublicAnd(also) => address == also || is_public(address),
            Reach::Any => true,
        }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, name) = (self.clone(), name.as_str().to_owned());
        Box::pin(async move {
            let found = guard.resolve_name(name).await?;
            // Port 0 is replaced by the URL's own.
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// The address that a URL names without a name.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unresolved {
    /// The guard refuses all of its addresses.
    #[error("the name has no public address")]
    NotPublic,
    /// It has none.
    #[error("there is no server of this name")]
    Unknown(#[source] io::Error),
}

/// Whether an address is reachable on the public internet (IANA's special-purpose registries, RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127 | 224..=255, _, _) => true, // this network, private, loopback, multicast and reserved
        (100, 64..=127, _) => true,               // carrier-grade NAT
        (169, 254, _) => true,                    // link local, where clouds serve credentials
        (172, 16..=31, _) => true,
        (192, 0, 0 | 2) | (192, 168, _) => true,
        (192, 88, 99) => true,                                      // 6to4 relays
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true, // benchmarks, documentation
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Forms that carry an IPv4 address are judged by it.
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let [w, x] = high.to_be_bytes();
        let [y, z] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        (0x2002, _) => embedded(b, c),                                    // 6to4
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && embedded(g, h), // NAT64
        (0x2001, 0x0db8) => false,                                        // documentation
        (0x2001, 0..=0x01ff) | (0x3fff, 0..=0x0fff) => false, // Teredo, ORCHID and kin; documentation
        (0x2000..=0x3fff, _) => true,                         // global unicast
        _ => false, // loopback, unspecified, compatible, ULA, link local, site local, multicast
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str) -> Result<(), SourceError> {
        Guard::public_only().check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn refuses_every_spelling_of_a_private_address() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest/meta-data/",
            "http://100.64.0.1/",
            "http://100.127.255.255/",
            "http://192.0.0.1/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[::127.0.0.1]/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "http://[fd12:3456::1]/",
            "http://[ff02::1]/",
            "http://[2002:7f00:1::]/",
            "http://[2002:a00:1::]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b:1::1]/",
            "http://[2001:db8::1]/",
            "http://[2001::1]/",
            "http://example.com:22/",
            "https://example.com:8443/",
            "ftp://example.com/",
            "file:///etc/passwd",
        ] {
            assert!(check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn lets_public_addresses_and_names_pass() {
        for url in [
            "http://93.184.215.14/v.mp4",
            "https://[2606:2800:220:1::1]/",
            "https://example.com/v.mp4",
            "http://172.32.0.1/",
            "http://100.128.0.1/",
            "http://[64:ff9b::5db8:d70e]/",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        assert_eq!(
            Guard::allowing_private().check_url(&Url::parse("http://127.0.0.1:8000/").unwrap()),
            Ok(())
        );
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused() {
        let resolve = |guard: Guard| guard.resolve("localhost".parse().unwrap());
        assert!(resolve(Guard::public_only()).await.is_err());
        assert!(resolve(Guard::allowing_private()).await.is_ok());
    }
}
