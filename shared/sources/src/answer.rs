//! What a server's answer says: which part of which version of the file it is, and what went wrong.

use std::{
    ops::Range,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};

use crate::{SourceError, guard::Unresolved, limits::Pace, retry::Fault};

/// `Content-Range: bytes 0-99/1234` (RFC 9110, section 14.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) part: Range<u64>,
    /// `None` where the server does not tell the length.
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.trim();
        let unit = value.get(..5).filter(|unit| unit.eq_ignore_ascii_case("bytes"))?;
        let (part, total) = value[unit.len()..].trim().split_once('/')?;
        let (first, last) = part.trim().split_once('-')?;
        let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let total = match total.trim() {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        let part = first..last.checked_add(1)?;
        (first <= last && total.is_none_or(|total| part.end <= total)).then_some(Self { part, total })
    }
}

/// What tells this version of a file from another, as far as its server does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Version {
    /// Fit for `If-Range`: a strong ETag, else the date (RFC 9110, section 13.1.5).
    pub(crate) validator: Option<HeaderValue>,
    named: Option<HeaderName>,
    encoding: Option<HeaderValue>,
}

impl Version {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_strong = |tag: &&HeaderValue| !tag.as_bytes().starts_with(b"W/");
        let tag = headers.get(header::ETAG).filter(is_strong).map(|tag| (header::ETAG, tag));
        let date = || headers.get(header::LAST_MODIFIED).map(|date| (header::LAST_MODIFIED, date));
        let (named, validator) = tag.or_else(date).map(|(name, value)| (name, value.clone())).unzip();
        Self { validator, named, encoding: encoding(headers) }
    }

    /// Whether an answer may be of this version. Servers that say nothing are believed.
    pub(crate) fn is_of(&self, headers: &HeaderMap) -> bool {
        let given = self.named.as_ref().and_then(|name| headers.get(name));
        given.is_none_or(|given| Some(given) == self.validator.as_ref()) && self.is_encoded_as(headers)
    }

    /// Whether an answer's bytes are coded as this version's.
    pub(crate) fn is_encoded_as(&self, headers: &HeaderMap) -> bool {
        encoding(headers) == self.encoding
    }

    /// What the server says it did to the file's bytes, although it was asked not to.
    pub(crate) fn encoding(&self) -> Option<&str> {
        self.encoding.as_ref().map(|value| value.to_str().unwrap_or("unknown"))
    }
}

/// The content coding, without the words that mean none. Objects that were uploaded to S3 in signed chunks are often
/// stored with `aws-chunked`, but served without the chunks.
fn encoding(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(header::CONTENT_ENCODING)?;
    let is_none = ["", "identity", "none", "binary", "aws-chunked"]
        .iter()
        .any(|none| value.as_bytes().trim_ascii().eq_ignore_ascii_case(none.as_bytes()));
    (!is_none).then(|| value.clone())
}

/// A body as it comes.
pub(crate) struct Body {
    bytes: BoxStream<'static, reqwest::Result<Bytes>>,
    pace: Pace,
}

impl Body {
    pub(crate) fn of(answer: Response, window: Duration) -> Self {
        Self { bytes: answer.bytes_stream().boxed(), pace: Pace::new(window) }
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let begun = Instant::now();
        let Some(chunk) = self.bytes.next().await.transpose().map_err(|error| failed(&error))? else {
            return Ok(None);
        };
        self.pace.heard(begun.elapsed(), chunk.len())?;
        Ok(Some(chunk))
    }
}

/// The fault of an answer whose status is none that a read can use.
pub(crate) fn unusable(answer: &Response) -> Fault {
    let status = answer.status();
    let passing = matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504);
    let said = |more: &str| SourceError::Unavailable(format!("the server answered {status}{more}"));
    if !passing {
        return Fault::Final(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => said("; the file must be open to anyone"),
            // One that can be followed was.
            _ if status.is_redirection() => said(" but leads to no address that can be fetched"),
            _ => said(""),
        });
    }
    match retry_after(answer.headers(), SystemTime::now()) {
        Some(pause) => {
            let more = format!(" and asks to wait {} s; try again then", pause.as_secs().max(1));
            Fault::Passing(said(&more), Some(pause))
        }
        None => Fault::Passing(said("; try again later"), None),
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Puts a transport error into words for the person who gave the URL, without addresses of ours.
pub(crate) fn failed(error: &reqwest::Error) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut is_malformed = false;
    while let Some(this) = cause {
        if let Some(refusal) = this.downcast_ref::<SourceError>() {
            return Fault::Final(refusal.clone());
        }
        match this.downcast_ref::<Unresolved>() {
            Some(refused @ Unresolved::NotPublic) => {
                return Fault::Final(SourceError::Forbidden(refused.to_string()));
            }
            Some(unknown) => return Fault::Final(SourceError::Unavailable(unknown.to_string())),
            None => {}
        }
        is_malformed |= this.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        cause = this.source();
    }
    let unavailable = |why: &str| SourceError::Unavailable(why.to_owned());
    if error.is_timeout() {
        Fault::Final(SourceError::Stalled)
    } else if error.is_connect() {
        Fault::Passing(unavailable("no connection to the server"), None)
    } else if error.is_body() || error.is_decode() {
        Fault::Passing(SourceError::Incomplete, None)
    } else if is_malformed || error.is_redirect() || error.is_builder() {
        Fault::Final(unavailable("the server did not answer as a web server does"))
    } else {
        Fault::Passing(unavailable("the server closed the connection without an answer"), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn parts_are_read_as_the_standard_says() {
        let read = |value| ContentRange::of(&headers(header::CONTENT_RANGE, value));
        let part = |part, total| Some(ContentRange { part, total });
        assert_eq!(read("bytes 0-99/1234"), part(0..100, Some(1234)));
        assert_eq!(read("Bytes 5-5/*"), part(5..6, None));
        for odd in [
            "bytes */10",
            "bytes 5-4/10",
            "bytes 0-10/10",
            "lines 0-1/2",
            "bytes 0-1",
            "0-1/2",
            "bytes -1-2/9",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
        assert_eq!(read("bytes 0-18446744073709551615/*"), None);
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read =
            |value| retry_after(&headers(header::RETRY_AFTER, value), now).map(|pause| pause.as_secs());
        assert_eq!(read("120"), Some(120));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
    }

    #[test]
    fn a_version_is_told_by_what_the_server_says() {
        let strong = Version::of(&headers(header::ETAG, "\"a\""));
        assert!(strong.is_of(&headers(header::ETAG, "\"a\"")) && strong.is_of(&HeaderMap::new()));
        assert!(!strong.is_of(&headers(header::ETAG, "\"b\"")));
        assert!(Version::of(&headers(header::ETAG, "W/\"a\"")).validator.is_none());
        let plain = Version::of(&HeaderMap::new());
        assert!(!plain.is_of(&headers(header::CONTENT_ENCODING, "gzip")));
        assert_eq!(Version::of(&headers(header::CONTENT_ENCODING, "aws-chunked")).encoding(), None);
    }
}
