//! A file on a web server: its size, its kind, and reads of its parts.

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use reqwest::{
    Client, Response, StatusCode,
    header::{self, HeaderMap},
    redirect,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};
use url::Url;

use crate::{
    SourceError,
    guard::{Guard, Unresolved},
};

/// The first read: enough to tell the kind of file, and little enough to be read each time.
const HEAD_BYTES: u64 = 16 * 1024;
const REDIRECTS_MAX: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a transfer that broke is taken up again where it ended.
const RESUMES_MAX: u32 = 2;

/// Bounds of one client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest silence of a server.
    pub silence: Duration,
    /// Most bytes read from one source.
    pub bytes_max: u64,
}

/// Counts the bytes of bodies that were read, shared between the clones of a file.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<AtomicU64>);

impl Traffic {
    /// Bytes read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) -> u64 {
        let bytes = bytes as u64;
        self.0.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

/// Fetches sources through the egress guard.
#[derive(Clone, Debug)]
pub struct SourceClient {
    http: Client,
    guard: Guard,
    limits: Limits,
    /// Sent with each request.
    headers: HeaderMap,
}

/// The body of a server that knows no ranges, read forwards only.
struct Forward {
    at: u64,
    rest: Bytes,
    body: BoxStream<'static, reqwest::Result<Bytes>>,
}

/// A file that was opened: the server answered, and its first bytes are here.
pub struct RemoteFile {
    client: SourceClient,
    /// The URL that was asked for.
    asked: Url,
    /// The URL that answered.
    url: Url,
    len: Option<u64>,
    head: Bytes,
    validator: Option<header::HeaderValue>,
    /// `None` where the server serves ranges.
    forward: Option<Mutex<Forward>>,
    traffic: Traffic,
}

impl SourceClient {
    /// A client with these rules. It takes no proxy from the environment: what it checks is what it connects to.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if TLS cannot be set up.
    pub fn new(guard: Guard, limits: Limits) -> Result<Self, SourceError> {
        let rule = guard.clone();
        let redirects = redirect::Policy::custom(move |attempt| match rule.check_url(attempt.url()) {
            Err(refusal) => attempt.error(refusal),
            Ok(()) if attempt.previous().len() > REDIRECTS_MAX => attempt.error(TooManyRedirects),
            Ok(()) => attempt.follow(),
        });
        let http = Client::builder()
            .no_proxy()
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirects)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(limits.silence)
            .user_agent(concat!("Clipwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(&error))?;
        Ok(Self { http, guard, limits, headers: HeaderMap::new() })
    }

    /// The same client for a server that wants to hear these headers; one that no header may be is left out. A redirect
    /// to another host takes no cookies along.
    #[must_use]
    pub fn with_headers(&self, headers: &[(String, String)]) -> Self {
        let pairs = headers.iter().filter_map(|(name, value)| {
            Some((header::HeaderName::try_from(name).ok()?, header::HeaderValue::try_from(value).ok()?))
        });
        Self { headers: pairs.collect(), ..self.clone() }
    }

    /// Opens the file at `url` by reading its first bytes.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn open(&self, url: &str) -> Result<RemoteFile, SourceError> {
        let url = Url::parse(url).map_err(|_| SourceError::Unavailable("it is not a URL".to_owned()))?;
        self.guard.check_url(&url)?;
        let answer = self.get(&url, &(0..HEAD_BYTES), None).await?;
        let traffic = Traffic::default();
        let asked = url;
        let url = answer.url().clone();
        let validator = validator(answer.headers());
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {
                let len = content_range(answer.headers()).ok_or_else(|| {
                    SourceError::Unavailable("the server does not say how long it is".to_owned())
                })?;
                let head = collect(answer, HEAD_BYTES.min(len), &traffic).await?;
                Ok(RemoteFile {
                    client: self.clone(),
                    asked,
                    url,
                    len: Some(len),
                    head,
                    validator,
                    forward: None,
                    traffic,
                })
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let head = Bytes::new();
                Ok(RemoteFile {
                    client: self.clone(),
                    asked,
                    url,
                    len: Some(0),
                    head,
                    validator,
                    forward: None,
                    traffic,
                })
            }
            StatusCode::OK => self.open_forward(answer, (asked, url), validator, traffic).await,
            status => Err(SourceError::Unavailable(format!("the server answered {status}"))),
        }
    }

    async fn open_forward(
        &self,
        answer: Response,
        (asked, url): (Url, Url),
        validator: Option<header::HeaderValue>,
        traffic: Traffic,
    ) -> Result<RemoteFile, SourceError> {
        let len = answer.content_length();
        let mut body = answer.bytes_stream().boxed();
        let mut head = BytesMut::new();
        while (head.len() as u64) < HEAD_BYTES {
            let Some(chunk) = body.next().await else { break };
            let chunk = chunk.map_err(|error| failed(&error))?;
            traffic.add(chunk.len());
            head.extend_from_slice(&chunk);
        }
        let head = head.freeze();
        let forward = Forward { at: 0, rest: head.clone(), body };
        Ok(RemoteFile {
            client: self.clone(),
            asked,
            url,
            len,
            head,
            validator,
            forward: Some(Mutex::new(forward)),
            traffic,
        })
    }

    async fn get(
        &self,
        url: &Url,
        range: &Range<u64>,
        if_range: Option<&header::HeaderValue>,
    ) -> Result<Response, SourceError> {
        let mut request = self
            .http
            .get(url.clone())
            .headers(self.headers.clone())
            // A body that was compressed on the way has other offsets.
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::RANGE, format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        if let Some(validator) = if_range {
            request = request.header(header::IF_RANGE, validator);
        }
        request.send().await.map_err(|error| failed(&error))
    }
}

impl RemoteFile {
    /// The file's first bytes, up to 16 KiB.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Length in bytes, where the server told it.
    #[must_use]
    pub const fn len(&self) -> Option<u64> {
        self.len
    }

    /// What tells this version of the file from another: its strong entity tag or its date, where the server sent one.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.validator.as_ref()?.to_str().ok()
    }

    /// Whether the file is known to be empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Whether the server serves parts of the file.
    #[must_use]
    pub const fn serves_ranges(&self) -> bool {
        self.forward.is_none()
    }

    /// Bytes read from the source so far.
    #[must_use]
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What tells this version of this file from all others: the URL that was asked for, the server's validator and the
    /// length. `None` if the server gives no validator.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let validator = self.validator.as_ref()?.to_str().ok()?;
        Some(format!("{}\n{validator}\n{}", self.asked, self.len?))
    }

    /// The last part of the URL's path, a title for files that have none.
    #[must_use]
    pub fn name(&self) -> String {
        let last = self.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let name = percent_encoding::percent_decode_str(last).decode_utf8_lossy();
        let name = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
        let shown: String = name.chars().filter(|c| !c.is_control()).take(200).collect();
        if shown.is_empty() { "Untitled".to_owned() } else { shown }
    }

    /// Reads `range`. Without ranges at the server, reads must go forwards, except within the first bytes.
    ///
    /// # Errors
    /// [`SourceError`]; a file shorter than the range is [`SourceError::Incomplete`].
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        let (from, to) = (usize::try_from(range.start), usize::try_from(range.end));
        let (Ok(from), Ok(to)) = (from, to) else { return Err(SourceError::Incomplete) };
        if let Some(bytes) = self.head.get(from..to) {
            return Ok(self.head.slice_ref(bytes));
        }
        if self.len.is_some_and(|len| range.end > len) {
            return Err(SourceError::Incomplete);
        }
        // What is here already is not asked for again.
        let here = if self.serves_ranges() { self.head.get(from..).unwrap_or_default() } else { &[] };
        let mut buffer = Vec::with_capacity(to.saturating_sub(from));
        buffer.extend_from_slice(here);
        self.copy(range.start + here.len() as u64..range.end, &mut buffer).await?;
        Ok(buffer.into())
    }

    /// Copies `range` to `sink`, streaming; a transfer that breaks is taken up again a few times.
    ///
    /// # Errors
    /// [`SourceError`]. A sink that fails is [`SourceError::Unavailable`].
    pub async fn copy(
        &self,
        range: Range<u64>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), SourceError> {
        if let Some(forward) = &self.forward {
            return self.copy_forward(&mut *forward.lock().await, range, sink).await;
        }
        let mut at = range.start;
        let mut resumes = 0;
        while at < range.end {
            let before = at;
            match self.copy_once(&mut at, range.end, sink).await {
                Ok(()) => {}
                Err(SourceError::Incomplete | SourceError::Unavailable(_))
                    if at > before && resumes < RESUMES_MAX =>
                {
                    resumes += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Copies the whole file to `sink`, whatever its server can do. Returns its length.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn copy_all(&self, sink: &mut (impl AsyncWrite + Unpin)) -> Result<u64, SourceError> {
        match (self.len, &self.forward) {
            (Some(len), _) => self.copy(0..len, sink).await.map(|()| len),
            (None, Some(forward)) => {
                let forward = &mut *forward.lock().await;
                while self.pull(forward).await? {
                    let chunk = std::mem::take(&mut forward.rest);
                    forward.at += chunk.len() as u64;
                    sink.write_all(&chunk).await.map_err(|error| sink_failed(&error))?;
                }
                Ok(forward.at)
            }
            (None, None) => {
                Err(SourceError::Unavailable("the server does not say how long it is".to_owned()))
            }
        }
    }

    async fn copy_once(
        &self,
        at: &mut u64,
        end: u64,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), SourceError> {
        let answer = self.client.get(&self.url, &(*at..end), self.validator.as_ref()).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {}
            // With If-Range, a whole file instead of a part means: it is another file now.
            StatusCode::OK | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(SourceError::Changed);
            }
            status => return Err(SourceError::Unavailable(format!("the server answered {status}"))),
        }
        if content_range(answer.headers()) != self.len || range_start(answer.headers()) != Some(*at) {
            return Err(SourceError::Changed);
        }
        let mut body = answer.bytes_stream();
        while *at < end {
            let chunk = next(&mut body).await?.ok_or(SourceError::Incomplete)?;
            self.count(chunk.len())?;
            let wanted = usize::try_from(end - *at).map_or(chunk.len(), |rest| rest.min(chunk.len()));
            sink.write_all(&chunk[..wanted]).await.map_err(|error| sink_failed(&error))?;
            *at += wanted as u64;
        }
        Ok(())
    }

    async fn copy_forward(
        &self,
        forward: &mut Forward,
        range: Range<u64>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), SourceError> {
        if range.start < forward.at {
            return Err(SourceError::Unavailable("the server serves no parts of it".to_owned()));
        }
        while forward.at < range.end {
            if !self.pull(forward).await? {
                return Err(SourceError::Incomplete);
            }
            let skip = usize::try_from(range.start.saturating_sub(forward.at)).unwrap_or(usize::MAX);
            let skipped = forward.rest.split_to(skip.min(forward.rest.len()));
            forward.at += skipped.len() as u64;
            let wanted = usize::try_from(range.end - forward.at).unwrap_or(usize::MAX);
            if forward.at < range.start {
                continue;
            }
            let part = forward.rest.split_to(wanted.min(forward.rest.len()));
            sink.write_all(&part).await.map_err(|error| sink_failed(&error))?;
            forward.at += part.len() as u64;
        }
        Ok(())
    }

    /// Makes sure that `forward.rest` is not empty; `false` at the end of the file.
    async fn pull(&self, forward: &mut Forward) -> Result<bool, SourceError> {
        while forward.rest.is_empty() {
            match next(&mut forward.body).await? {
                Some(chunk) => {
                    self.count(chunk.len())?;
                    forward.rest = chunk;
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn count(&self, bytes: usize) -> Result<(), SourceError> {
        let max = self.client.limits.bytes_max;
        if self.traffic.add(bytes) > max {
            return Err(SourceError::TooLarge(format!("more than {} MiB would have to be read", max >> 20)));
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more than {REDIRECTS_MAX} redirects")]
struct TooManyRedirects;

/// Reads a small body to its end, which must come at `expected` bytes.
async fn collect(answer: Response, expected: u64, traffic: &Traffic) -> Result<Bytes, SourceError> {
    let mut body = answer.bytes_stream();
    let mut bytes = BytesMut::new();
    while (bytes.len() as u64) < expected {
        let chunk = next(&mut body).await?.ok_or(SourceError::Incomplete)?;
        traffic.add(chunk.len());
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(usize::try_from(expected).unwrap_or(usize::MAX));
    Ok(bytes.freeze())
}

async fn next(
    body: &mut (impl Stream<Item = reqwest::Result<Bytes>> + Unpin),
) -> Result<Option<Bytes>, SourceError> {
    body.next().await.transpose().map_err(|error| failed(&error))
}

/// The total behind the slash of `Content-Range: bytes 0-99/1234` (RFC 9110, section 14.4).
fn content_range(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_RANGE)?.to_str().ok()?.rsplit_once('/')?.1.trim().parse().ok()
}

fn range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes")?.trim_start();
    value.split_once('-')?.0.trim().parse().ok()
}

/// A validator that is fit for `If-Range`: a strong ETag, else the date (RFC 9110, section 13.1.5).
fn validator(headers: &HeaderMap) -> Option<header::HeaderValue> {
    let strong = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    strong.or_else(|| headers.get(header::LAST_MODIFIED)).cloned()
}

fn sink_failed(error: &io::Error) -> SourceError {
    SourceError::Unavailable(format!("it could not be stored: {error}"))
}

/// Puts a transport error into words for the person who gave the URL, without addresses of ours.
fn failed(error: &reqwest::Error) -> SourceError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(this) = cause {
        if let Some(refusal) = this.downcast_ref::<SourceError>() {
            return refusal.clone();
        }
        match this.downcast_ref::<Unresolved>() {
            Some(refused @ Unresolved::NotPublic) => return SourceError::Forbidden(refused.to_string()),
            Some(unknown) => return SourceError::Unavailable(unknown.to_string()),
            None => {}
        }
        if this.is::<TooManyRedirects>() {
            return SourceError::Unavailable(TooManyRedirects.to_string());
        }
        cause = this.source();
    }
    if error.is_timeout() {
        SourceError::Stalled
    } else if error.is_connect() {
        SourceError::Unavailable("no connection to the server".to_owned())
    } else if error.is_body() || error.is_decode() {
        SourceError::Incomplete
    } else {
        SourceError::Unavailable("the server did not answer as a web server does".to_owned())
    }
}
