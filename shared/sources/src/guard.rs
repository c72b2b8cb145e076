//! The egress guard: which addresses a user's URL may lead to.
//!
//! Names are resolved here, and the connection goes to the very address that was checked, so a name that answers
//! differently the second time gains nothing. Literal addresses and every redirect pass the same check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::SourceError;

/// The rule for addresses.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    allow_private: bool,
}

impl Guard {
    /// Public addresses only.
    #[must_use]
    pub const fn public_only() -> Self {
        Self { allow_private: false }
    }

    /// Any address, for the local cloud and tests, whose sources live on loopback.
    #[must_use]
    pub const fn allowing_private() -> Self {
        Self { allow_private: true }
    }

    /// Checks a URL before it is requested. Names are checked later, when they are resolved.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`].
    pub fn check_url(self, url: &Url) -> Result<(), SourceError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SourceError::Forbidden(format!("the scheme {} is not fetched", url.scheme())));
        }
        let address = match url.host() {
            None => return Err(SourceError::Forbidden("there is no host".to_owned())),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        };
        if !self.allow_private {
            if !matches!(url.port_or_known_default(), Some(80 | 443)) {
                return Err(SourceError::Forbidden("only ports 80 and 443 are fetched from".to_owned()));
            }
            if address.is_some_and(|address| !is_public(address)) {
                return Err(SourceError::Forbidden("it is not a public address".to_owned()));
            }
        }
        Ok(())
    }

    fn allows(self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = *self;
        Box::pin(async move {
            // Port 0 is replaced by the URL's own.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| guard.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Box::new(NotPublic) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// A name all of whose addresses the guard refuses.
#[derive(Debug, thiserror::Error)]
#[error("the name has no public address")]
pub(crate) struct NotPublic;

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
        (0x2001, 0..=0x01ff) => false,                                    // Teredo, ORCHID and kin
        (0x2000..=0x3fff, _) => true,                                     // global unicast
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
