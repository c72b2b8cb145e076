//! Cookies (RFC 6265): to which requests each of them belongs.
//!
//! Invariant: a cookie keeps what it was given with (domain, path, expiry), and is asked for each request anew whether
//! it belongs to it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use url::{Host, Url};

/// How many cookies are kept for one fetch, and how long each may be, in bytes.
pub(crate) const COOKIES_MAX: usize = 64;
const COOKIE_BYTES_MAX: usize = 4 << 10;

/// A cookie, and which requests it is for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    name: String,
    value: String,
    /// In lower case, without a dot in front.
    domain: String,
    subdomains: bool,
    path: String,
    https_only: bool,
    expires: Option<SystemTime>,
}

/// Its value is a secret.
impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {}{}", self.name, self.domain, self.path)
    }
}

impl Cookie {
    /// Reads the cookies that yt-dlp tells for the address `given_for`, with their attributes, one behind the other:
    /// `a=1; Domain=.x.org; Path=/; Secure; Expires=1790000000; b=2`. Nobody but an https server of its own domain gets
    /// any. One that is not for that address in the first place is left out.
    pub(crate) fn told_by_ytdlp(text: &str, given_for: &Url, now: SystemTime) -> Vec<Self> {
        let mut cookies: Vec<Draft> = Vec::new();
        for part in text.split(';').map(str::trim) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (name.trim(), value.trim());
            if let Some(attribute) = Attribute::named(name) {
                if let Some(cookie) = cookies.last_mut() {
                    cookie.set(attribute, value, now);
                }
            } else if part.contains('=') && !name.is_empty() && cookies.len() < COOKIES_MAX {
                cookies.push(Draft::new(name, &unquoted(value)));
            }
        }
        let cookies = cookies.into_iter().filter_map(|draft| {
            let (domain, subdomains) = match &draft.domain {
                // A domain of one label is all of a country's, or of nobody's.
                Some(domain) => match domain.strip_prefix('.') {
                    Some(wide) => (wide.to_owned(), wide.contains('.')),
                    None => (domain.clone(), false),
                },
                None => (given_for.host_str()?.to_owned(), false),
            };
            Some(Self { https_only: true, ..draft.cookie(domain, subdomains, directory(given_for)) })
        });
        cookies.filter(|cookie| cookie.is_of(given_for)).collect()
    }

    /// Reads the `Set-Cookie` header of the server at `url`. Whatever domain it names, the cookie is for its host alone.
    pub(crate) fn set_by(url: &Url, header: &str, now: SystemTime) -> Option<Self> {
        let mut parts = header.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut draft = Draft::new(name.trim(), value.trim());
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if let Some(attribute) = Attribute::named(name.trim()) {
                draft.set(attribute, value.trim(), now);
            }
        }
        let cookie = draft.cookie(url.host_str()?.to_owned(), false, "/".to_owned());
        (!cookie.name.is_empty()).then_some(cookie)
    }

    /// Whether the host of `url` belongs to its domain.
    pub(crate) fn is_of(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let is_below = || {
            let is_name = matches!(url.host(), Some(Host::Domain(_)));
            let left = host.strip_suffix(&self.domain).filter(|_| is_name && self.subdomains);
            left.is_some_and(|left| left.ends_with('.'))
        };
        host == self.domain || is_below()
    }

    /// Whether it goes along with a request for `url`.
    pub(crate) fn goes_to(&self, url: &Url, now: SystemTime) -> bool {
        let is_inside = url
            .path()
            .strip_prefix(&self.path)
            .is_some_and(|left| left.is_empty() || left.starts_with('/') || self.path.ends_with('/'));
        let is_alive = self.expires.is_none_or(|expires| expires > now);
        self.is_of(url) && is_inside && is_alive && (!self.https_only || url.scheme() == "https")
    }

    /// Whether `other` takes its place.
    pub(crate) fn is_replaced_by(&self, other: &Self) -> bool {
        (&self.name, &self.domain, &self.path) == (&other.name, &other.domain, &other.path)
    }

    /// `name=value`, if it can stand in a header.
    pub(crate) fn pair(&self) -> Option<String> {
        let pair = format!("{}={}", self.name, self.value);
        let fits = pair.len() <= COOKIE_BYTES_MAX && !pair.contains(|c: char| c.is_control() || c == ';');
        fits.then_some(pair)
    }
}

/// What is said of a cookie, other than its name and value.
#[derive(Clone, Copy)]
enum Attribute {
    Domain,
    Path,
    Expires,
    MaxAge,
    Secure,
    /// One that says nothing here.
    Other,
}

impl Attribute {
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "domain" => Self::Domain,
            "path" => Self::Path,
            "expires" => Self::Expires,
            "max-age" => Self::MaxAge,
            "secure" => Self::Secure,
            "httponly" | "samesite" | "version" | "partitioned" | "priority" => Self::Other,
            _ => return None,
        })
    }
}

/// A cookie whose attributes are being read. The first one of a kind counts: yt-dlp may tell of a cookie whose own name
/// is that of an attribute, and it must not widen the one before it.
struct Draft {
    name: String,
    value: String,
    domain: Option<String>,
    path: Option<String>,
    expires: Option<SystemTime>,
    age: Option<SystemTime>,
    secure: bool,
}

impl Draft {
    fn new(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self { name, value, domain: None, path: None, expires: None, age: None, secure: false }
    }

    fn set(&mut self, attribute: Attribute, value: &str, now: SystemTime) {
        match attribute {
            Attribute::Domain => {
                self.domain.get_or_insert_with(|| value.to_ascii_lowercase());
            }
            Attribute::Path if value.starts_with('/') => {
                self.path.get_or_insert_with(|| value.to_owned());
            }
            Attribute::Expires => self.expires = self.expires.or_else(|| time(value)),
            Attribute::MaxAge => self.age = self.age.or_else(|| age(value, now)),
            Attribute::Secure => self.secure = true,
            Attribute::Path | Attribute::Other => {}
        }
    }

    fn cookie(self, domain: String, subdomains: bool, path: String) -> Cookie {
        Cookie {
            name: self.name,
            value: self.value,
            domain,
            subdomains,
            path: self.path.unwrap_or(path),
            https_only: self.secure,
            expires: self.age.or(self.expires),
        }
    }
}

/// A time as yt-dlp tells it (seconds since 1970) or as servers do (a date, with hyphens or without).
fn time(value: &str) -> Option<SystemTime> {
    let value = value.trim_matches('"');
    match value.parse::<i64>() {
        Ok(seconds) => after(SystemTime::UNIX_EPOCH, seconds),
        Err(_) => httpdate::parse_http_date(&value.replace('-', " ")).ok(),
    }
}

fn age(value: &str, now: SystemTime) -> Option<SystemTime> {
    after(now, value.parse().ok()?)
}

fn after(start: SystemTime, seconds: i64) -> Option<SystemTime> {
    match u64::try_from(seconds) {
        Ok(seconds) => start.checked_add(Duration::from_secs(seconds)),
        // In the past: no longer there.
        Err(_) => Some(SystemTime::UNIX_EPOCH),
    }
}

/// A cookie's path where none is told (RFC 6265, section 5.1.4).
fn directory(url: &Url) -> String {
    match url.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => url.path()[..end].to_owned(),
    }
}

/// A value without the quotation marks that Python puts around special characters: `"a\073b\"c"` is `a;b"c`.
fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let Some(inner) = inner else { return value.to_owned() };
    let (mut plain, mut rest) = (String::new(), inner);
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        rest = escaped;
        let code = escaped.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let (c, len) = match (code, escaped.chars().next()) {
            (Some(code), _) => (char::from(code), 3),
            (None, Some(c)) => (c, c.len_utf8()),
            (None, None) => break,
        };
        plain.push(c);
        rest = &escaped[len..];
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Url {
        Url::parse(url).unwrap()
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    }

    fn told(text: &str, given_for: &str) -> Vec<Cookie> {
        Cookie::told_by_ytdlp(text, &url(given_for), now())
    }

    fn sent(cookies: &[Cookie], to: &str) -> String {
        let sent = cookies.iter().filter(|cookie| cookie.goes_to(&url(to), now()));
        sent.filter_map(Cookie::pair).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn each_cookie_keeps_its_domain_path_and_end() {
        let cookies = told(
            "wide=1; Domain=.x.org; Path=/; Secure; Expires=1790000001; host=2; Domain=www.x.org; Path=/; \
             deep=3; Domain=.x.org; Path=/video; old=4; Domain=.x.org; Path=/; Expires=1789999999; plain=5",
            "https://www.x.org/video/a.m3u8",
        );
        assert_eq!(cookies.len(), 5);
        for (to, expected) in [
            ("https://www.x.org/video/b.ts", "wide=1; host=2; deep=3; plain=5"),
            ("https://www.x.org/video", "wide=1; host=2; deep=3; plain=5"),
            ("https://www.x.org/videos", "wide=1; host=2"),
            ("https://www.x.org/", "wide=1; host=2"),
            ("https://cdn.x.org/", "wide=1"),
            ("https://x.org/video/", "wide=1; deep=3"),
            ("http://www.x.org/video/b.ts", ""),
            ("https://evilx.org/", ""),
            ("https://x.org.evil.org/", ""),
            ("https://www.x.org.evil.org/", ""),
            ("https://a.www.x.org/", "wide=1"),
        ] {
            assert_eq!(sent(&cookies, to), expected, "{to}");
        }
    }

    #[test]
    fn cookies_of_other_domains_than_the_addresss_own_are_left_out() {
        for (text, given_for) in [
            ("a=1; Domain=.x.org; Path=/", "https://evil.org/"),
            ("a=1; Domain=.org; Path=/", "https://x.org/"),
            ("a=1; Domain=www.x.org; Path=/", "https://x.org/"),
            ("a=1; Domain=.0.0.1; Path=/", "https://127.0.0.1/"),
            ("a=1; Domain=; Path=/", "https://x.org/"),
            ("Domain=.x.org; Path=/", "https://x.org/"),
            ("=1; ; ;;a", "https://x.org/"),
        ] {
            assert_eq!(told(text, given_for), [], "{text}");
        }
        let named = told("a=1; Domain=.x.org; Path=/; domain=.evil.org; Path=/x", "https://x.org/");
        assert_eq!(sent(&named, "https://x.org/y"), "a=1");
        assert_eq!(sent(&named, "https://evil.org/"), "");
    }

    #[test]
    fn values_are_sent_as_they_were_set() {
        let value = |text: &str| sent(&told(&format!("a={text}"), "https://x.org/"), "https://x.org/");
        assert_eq!(value("b=c=="), "a=b=c==");
        assert_eq!(value(r#""say \"hi\"\054 you""#), r#"a=say "hi", you"#);
        assert_eq!(value(r#""a\073b""#), "", "what would be read as two cookies");
        assert_eq!(value(r#""a\012b""#), "");
        assert_eq!(value(r#""a\""#), r"a=a");
        assert_eq!(value(&"x".repeat(COOKIE_BYTES_MAX)), "");
        let many = format!("a=1; Path=/; {}", "b=2; Path=/; ".repeat(10_000));
        assert_eq!(told(&many, "https://x.org/").len(), COOKIES_MAX);
    }

    #[test]
    fn what_a_server_sets_is_for_its_host_alone() {
        let set = |header: &str| Cookie::set_by(&url("http://a.x.org/one/two"), header, now());
        let goes = |header: &str, to: &str| set(header).is_some_and(|cookie| cookie.goes_to(&url(to), now()));
        for header in [
            "s=1",
            "s=1; Domain=x.org",
            "s=1; Path=relative",
            "s=1; Max-Age=9; Expires=Thu, 01-Jan-1970 00:00:01 GMT",
        ] {
            assert!(goes(header, "http://a.x.org/"), "{header}");
            assert!(goes(header, "https://a.x.org/three"), "{header}");
            assert!(!goes(header, "http://x.org/") && !goes(header, "http://b.a.x.org/"), "{header}");
        }
        assert!(!goes("s=1; Secure", "http://a.x.org/") && goes("s=1; Secure", "https://a.x.org/"));
        assert!(!goes("s=1; Path=/one", "http://a.x.org/") && goes("s=1; Path=/one", "http://a.x.org/one/x"));
        for over in [
            "s=; Max-Age=0",
            "s=1; Max-Age=-5",
            "s=1; Expires=Thu, 01-Jan-1970 00:00:01 GMT",
            "s=1; Expires=Thu, 01 Jan 1970 00:00:01 GMT",
        ] {
            assert!(!goes(over, "http://a.x.org/"), "{over}");
        }
        assert!(set("nonsense").is_none() && set("=1").is_none() && set("").is_none());
    }
}
