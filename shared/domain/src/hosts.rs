//! Which hosts the operator lets sources come from.
//!
//! The parameter `Sources` names them. It is checked whenever a user's URL is looked at; where these hosts then
//! redirect to is their own business, within the egress guard's rule.

use std::fmt;

use url::{Host, Url};

use crate::clip::Refusal;

/// YouTube's hosts; the word `youtube` in a list stands for them.
pub const YOUTUBE: [&str; 3] = ["youtube.com", "youtu.be", "youtube-nocookie.com"];

/// How many hosts a message names.
const NAMED_MAX: usize = 20;

/// The operator's list. A host covers its subdomains. It is for what a user asks for: where a server on the list then
/// redirects to is its own business, within the guard's rule for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHosts(Option<Vec<Host<String>>>);

/// An entry of the list that is no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host: give names like example.com, separated by commas, or * alone for all")]
pub struct MalformedHost(String);

impl AllowedHosts {
    /// Reads `*`, or hosts separated by commas.
    ///
    /// # Errors
    /// [`MalformedHost`], for a list without any host, too.
    pub fn parse(list: &str) -> Result<Self, MalformedHost> {
        if list.trim() == "*" {
            return Ok(Self(None));
        }
        let mut hosts = Vec::new();
        for entry in list.split(',').map(str::trim) {
            let names = if entry.eq_ignore_ascii_case("youtube") { &YOUTUBE[..] } else { &[entry] };
            for name in names {
                // A label alone is the name of no public server.
                let is_name = |host: &Host<String>| match host {
                    Host::Domain(name) => name.contains('.') && !name.contains('*') && !name.starts_with('.'),
                    Host::Ipv4(_) | Host::Ipv6(_) => true,
                };
                let host = Host::parse(name.trim_end_matches('.')).ok().filter(is_name);
                hosts.push(host.ok_or_else(|| MalformedHost(entry.to_owned()))?);
            }
        }
        Ok(Self(Some(hosts)))
    }

    /// Checks the address of a source.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], which names what is allowed.
    pub fn check(&self, url: &str) -> Result<(), Refusal> {
        let Some(allowed) = &self.0 else { return Ok(()) };
        let url = Url::parse(url).ok();
        let host = url.as_ref().and_then(Url::host).map(|host| host.to_owned());
        if host.as_ref().is_some_and(|host| allowed.iter().any(|allowed| covers(allowed, host))) {
            return Ok(());
        }
        let host = host.map_or_else(|| "this address".to_owned(), |host| host.to_string());
        Err(Refusal::Forbidden(format!(
            "videos from {host} are not allowed here; the allowed hosts are {self}"
        )))
    }
}

fn covers(allowed: &Host<String>, host: &Host<String>) -> bool {
    match (allowed, host) {
        (Host::Domain(allowed), Host::Domain(host)) => {
            let left = host.trim_end_matches('.').strip_suffix(allowed.as_str());
            left.is_some_and(|left| left.is_empty() || left.ends_with('.'))
        }
        _ => allowed == host,
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(hosts) = &self.0 else { return f.write_str("all hosts") };
        for (n, host) in hosts.iter().take(NAMED_MAX).enumerate() {
            write!(f, "{}{host}", if n == 0 { "" } else { ", " })?;
        }
        match hosts.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(list: &str, url: &str) -> bool {
        AllowedHosts::parse(list).unwrap().check(url).is_ok()
    }

    #[test]
    fn a_host_covers_its_subdomains_and_nothing_else() {
        let list = " YouTube.com, youtu.be ,bücher.example,192.0.2.7,[2001:db8::1]";
        for url in [
            "https://youtube.com/watch?v=1",
            "https://www.youtube.com/watch?v=1",
            "https://M.YOUTUBE.COM./watch?v=1",
            "http://youtu.be:8080/1",
            "https://xn--bcher-kva.example/",
            "https://a.bücher.example/",
            "http://192.0.2.7/v.mp4",
            "http://0xc0.0.2.7/v.mp4",
            "http://[2001:DB8:0::1]/v.mp4",
        ] {
            assert!(is_allowed(list, url), "{url}");
        }
        for url in [
            "https://notyoutube.com/",
            "https://youtube.com.evil.example/",
            "https://evil.example/youtube.com",
            "https://evil.example/?youtube.com",
            "https://youtube.com@evil.example/",
            "https://evil.example#@youtube.com",
            "https://com/",
            "http://192.0.2.8/",
            "http://1.192.0.2.7.example/",
            "nonsense",
        ] {
            assert!(!is_allowed(list, url), "{url}");
        }
        assert!(is_allowed("*", "https://anything.example/"));
    }

    #[test]
    fn youtube_is_a_word_for_three() {
        let list = AllowedHosts::parse("youtube,example.org").unwrap();
        for host in YOUTUBE {
            assert_eq!(list.check(&format!("https://www.{host}/x")), Ok(()));
        }
        let refusal = list.check("https://vimeo.com/1").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "videos from vimeo.com are not allowed here; the allowed hosts are youtube.com, youtu.be, \
             youtube-nocookie.com, example.org"
        );
        let many: Vec<String> = (0..25).map(|n| format!("h{n}.example")).collect();
        let refusal =
            AllowedHosts::parse(&many.join(",")).unwrap().check("https://a.b/").unwrap_err().to_string();
        assert!(refusal.ends_with("h19.example and 5 more"), "{refusal}");
    }

    #[test]
    fn refuses_lists_that_say_something_else() {
        for list in [
            "",
            " ",
            ",",
            "a.example,",
            "*.example.com",
            "*,a.example",
            "https://a.example",
            "a.example/x",
            "a.example:80",
            "localhost",
            "a b.example",
            ".example.com",
        ] {
            assert!(AllowedHosts::parse(list).is_err(), "{list:?}");
        }
    }
}
