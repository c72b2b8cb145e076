//! What goes along with requests besides the request itself: headers that a page's media want, and cookies. Much of it
//! is a secret between one site and us.
//!
//! Invariants: a header goes to the host that it was given for and to no other, but for those few that only describe a
//! client; a cookie goes to https servers of its own domain; and once a chain of redirects or playlists has left that
//! host or domain, nothing of it goes to anybody any more, wherever the chain leads from there.

use std::{fmt, time::SystemTime};

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::cookies::{COOKIES_MAX, Cookie};

/// How many headers an address may want, and how long each may be, in bytes.
const HEADERS_MAX: usize = 16;
const HEADER_BYTES_MAX: usize = 8 << 10;

/// What a program says of itself, to whomever it talks to.
const OF_A_CLIENT: [HeaderName; 3] = [header::USER_AGENT, header::ACCEPT, header::ACCEPT_LANGUAGE];

/// What says how a request is sent, which is our own affair, and secrets that have a way of their own.
const OURS: [HeaderName; 17] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::HOST,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::SET_COOKIE,
];

/// Headers and cookies for the requests that an address leads to.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// The address that they were given for.
    home: Option<Url>,
    /// For everybody.
    common: HeaderMap,
    /// For the host of `home`.
    own: HeaderMap,
    /// For the servers of their domains, on `home`'s port.
    given: Vec<Cookie>,
    /// What servers have set on the way, each for the one at this address.
    set: Vec<(Url, Cookie)>,
}

/// Values are secrets.
impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.common.keys().chain(self.own.keys()).collect();
        f.debug_struct("Extras")
            .field("headers", &names)
            .field("cookies", &self.given)
            .finish_non_exhaustive()
    }
}

impl Extras {
    /// Headers for requests for `home`, and cookies as yt-dlp tells them. What cannot be a header, or is none that an
    /// address may want, is left out.
    #[must_use]
    pub fn given_for<'a>(
        home: &Url,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        cookies: &str,
    ) -> Self {
        let mut extras = Self { home: Some(home.clone()), ..Self::default() };
        let pairs = headers.into_iter().filter_map(|(name, value)| {
            let value = (value.len() <= HEADER_BYTES_MAX).then_some(value)?;
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        });
        for (name, value) in pairs.filter(|(name, _)| !OURS.contains(name)).take(HEADERS_MAX) {
            let whose = if OF_A_CLIENT.contains(&name) { &mut extras.common } else { &mut extras.own };
            whose.insert(name, value);
        }
        extras.given = Cookie::told_by_ytdlp(cookies, home, SystemTime::now());
        extras
    }

    /// What is left of it for requests that come of an answer of `url`'s server.
    pub(crate) fn behind(&mut self, url: &Url) {
        let Some(home) = &self.home else { return };
        if !is_same_server(home, url) {
            self.own.clear();
        }
        // What listens on another port is another server, though cookies know no ports.
        let port = https_port(home);
        self.given.retain(|cookie| cookie.is_of(url) && (url.scheme() == "http" || https_port(url) == port));
    }

    /// Remembers the cookies of an answer of `url`'s server, for further requests to it.
    pub(crate) fn hear(&mut self, url: &Url, answer: &HeaderMap) {
        let values = answer.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        for cookie in values.filter_map(|value| Cookie::set_by(url, value, SystemTime::now())) {
            self.set.retain(|(_, known)| !known.is_replaced_by(&cookie));
            if self.set.len() < COOKIES_MAX {
                self.set.push((url.clone(), cookie));
            }
        }
    }

    /// The headers for one request. It is the first one of its chain, or [`Extras::behind`] was told of all before it.
    pub(crate) fn headers(&self, url: &Url) -> HeaderMap {
        let mut headers = self.common.clone();
        if self.home.as_ref().is_some_and(|home| is_same_server(home, url)) {
            headers.extend(self.own.clone());
        }
        let (now, mut here) = (SystemTime::now(), self.clone());
        here.behind(url);
        let set = here.set.iter().filter(|(by, _)| is_same_server(by, url)).map(|(_, cookie)| cookie);
        let cookies = here.given.iter().chain(set).filter(|cookie| cookie.goes_to(url, now));
        let cookies = cookies.filter_map(Cookie::pair).collect::<Vec<_>>().join("; ");
        if let Ok(value) = HeaderValue::try_from(cookies)
            && !value.is_empty()
            && value.len() <= HEADER_BYTES_MAX
        {
            headers.insert(header::COOKIE, value);
        }
        headers
    }
}

/// Whether two addresses are those of one server: of the same host and port, or of its https beside its http. Never the
/// other way round: what was given for https is not said in clear.
fn is_same_server(home: &Url, url: &Url) -> bool {
    let is_upgrade =
        home.scheme() == "http" && url.scheme() == "https" && https_port(home) == https_port(url);
    let is_same =
        home.scheme() == url.scheme() && home.port_or_known_default() == url.port_or_known_default();
    home.host() == url.host() && (is_same || is_upgrade)
}

/// The port on which the https server of an address listens.
fn https_port(url: &Url) -> u16 {
    match (url.scheme(), url.port()) {
        ("https", Some(port)) => port,
        _ => 443,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Url {
        Url::parse(url).unwrap()
    }

    fn extras(home: &str) -> Extras {
        let headers = [
            ("User-Agent", "Mozilla/5.0"),
            ("Referer", "https://x.org/watch"),
            ("Authorization", "Bearer t0ken"),
            ("Cookie", "h=1"),
            ("Proxy-Authorization", "Basic p"),
            ("Range", "bytes=7-8"),
            ("Bad\r\n", "x"),
            ("X-Bad", "a\r\nb"),
        ];
        Extras::given_for(&url(home), headers, "s=1; Domain=.x.org; Path=/; Secure")
    }

    fn said(extras: &Extras, to: &str) -> Vec<String> {
        let mut names: Vec<_> = extras.headers(&url(to)).keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    const ALL: [&str; 4] = ["authorization", "cookie", "referer", "user-agent"];

    #[test]
    fn a_header_is_for_the_host_that_it_was_given_for() {
        let home = extras("https://x.org/v.m3u8");
        assert_eq!(said(&home, "https://x.org/v.m3u8"), ALL);
        assert_eq!(said(&home, "https://x.org/other"), ALL);
        assert_eq!(said(&home, "https://cdn.x.org/v.ts"), ["cookie", "user-agent"]);
        for elsewhere in
            ["http://x.org/v.m3u8", "https://x.org:8443/", "https://evil.org/", "https://x.org.evil.org/"]
        {
            assert_eq!(said(&home, elsewhere), ["user-agent"], "{elsewhere}");
        }
        let plain = extras("http://x.org/v.m3u8");
        assert_eq!(said(&plain, "http://x.org/v.m3u8"), ["authorization", "referer", "user-agent"]);
        assert_eq!(said(&plain, "https://x.org/v.m3u8"), ALL, "where http leads to https");
        assert!(!format!("{home:?}").contains("t0ken"));
    }

    #[test]
    fn what_has_left_its_host_does_not_come_back() {
        let mut chain = extras("https://x.org/v.m3u8");
        chain.behind(&url("https://www.x.org/"));
        assert_eq!(said(&chain, "https://x.org/"), ["cookie", "user-agent"]);
        chain.behind(&url("https://evil.org/"));
        assert_eq!(said(&chain, "https://x.org/"), ["user-agent"]);
        let mut port = extras("https://x.org:7000/v.m3u8");
        port.behind(&url("https://x.org:7001/"));
        assert_eq!(said(&port, "https://x.org:7000/v.m3u8"), ["user-agent"]);
    }

    #[test]
    fn servers_hear_their_own_cookies_again() {
        let mut chain = Extras::default();
        let answer = |value: &'static str| {
            HeaderMap::from_iter([(header::SET_COOKIE, HeaderValue::from_static(value))])
        };
        chain.hear(&url("http://a.org/"), &answer("one=1"));
        chain.hear(&url("http://b.org/"), &answer("two=2; Domain=a.org"));
        chain.hear(&url("http://a.org/"), &answer("one=3"));
        let cookie = |to: &str| chain.headers(&url(to)).get(header::COOKIE).cloned();
        assert_eq!(cookie("http://a.org/x").unwrap(), "one=3");
        assert_eq!(cookie("http://b.org/x").unwrap(), "two=2");
        assert_eq!(cookie("http://c.org/"), None);
    }
}
