//! Requests to the servers of sources.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Client, Response, StatusCode,
    header::{self, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use url::Url;

use crate::{
    Container, Limits, Proxy, RemoteFile, SourceError, Traffic,
    answer::{Body, ContentRange, Version, failed, unusable},
    guard::Guard,
    remote::{Forward, Found},
    retry::{Fault, Patience, Pauses, RealPauses},
    sniff,
};

/// The first read: enough to tell the kind of file, and little enough to be read each time.
const HEAD_BYTES: u64 = 16 * 1024;
const REDIRECTS_MAX: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that nobody used for this long is not used again: Lambda may have slept while its server gave it up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Fetches sources through the egress guard.
#[derive(Clone, Debug)]
pub struct SourceClient {
    http: Client,
    guard: Guard,
    pub(crate) limits: Limits,
    pauses: Arc<dyn Pauses>,
    /// Sent with each request.
    headers: HeaderMap,
    /// The way out, which stays open as long as this does.
    _through: Option<Arc<Proxy>>,
}

impl SourceClient {
    /// A client with these rules. It takes no proxy from the environment: what it checks is what it connects to.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if TLS cannot be set up.
    pub fn new(guard: Guard, limits: Limits) -> Result<Self, SourceError> {
        Self::build(guard, limits, None)
    }

    /// A client with these rules whose requests go through a proxy of ours.
    ///
    /// # Errors
    /// As [`SourceClient::new`].
    pub fn through(proxy: Arc<Proxy>, guard: Guard, limits: Limits) -> Result<Self, SourceError> {
        Self::build(guard, limits, Some(proxy))
    }

    fn build(guard: Guard, limits: Limits, through: Option<Arc<Proxy>>) -> Result<Self, SourceError> {
        let failed = |error: reqwest::Error| SourceError::Unavailable(format!("TLS is not there: {error}"));
        let way =
            through.as_ref().map(|proxy| reqwest::Proxy::all(proxy.url())).transpose().map_err(failed)?;
        let rule = guard.clone();
        let redirects = redirect::Policy::custom(move |attempt| match rule.check_url(attempt.url()) {
            Err(refusal) => attempt.error(refusal),
            Ok(()) if attempt.previous().len() > REDIRECTS_MAX => attempt.error(TooManyRedirects),
            Ok(()) => attempt.follow(),
        });
        let builder = Client::builder().no_proxy();
        let builder = way.into_iter().fold(builder, reqwest::ClientBuilder::proxy);
        let http = builder
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirects)
            .referer(false) // the URL may be a secret between its server and the user
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(limits.silence)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("Clipwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failed)?;
        let pauses = Arc::new(RealPauses);
        Ok(Self { http, guard, limits, pauses, headers: HeaderMap::new(), _through: through })
    }

    /// The same client with other pauses between its tries.
    #[must_use]
    pub fn with_pauses(self, pauses: Arc<dyn Pauses>) -> Self {
        Self { pauses, ..self }
    }

    /// The same client for a server that wants to hear these headers; one that no header may be is left out. A redirect
    /// to another host takes no cookies along.
    #[must_use]
    pub fn with_headers(&self, headers: &[(String, String)]) -> Self {
        let pairs = headers.iter().filter_map(|(name, value)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        });
        let mut headers: HeaderMap = pairs.collect();
        headers.remove(header::HOST);
        Self { headers, ..self.clone() }
    }

    /// The client for what lies behind a redirect from `asked` to `answered`.
    fn behind(&self, asked: &Url, answered: &Url) -> Self {
        let mut client = self.clone();
        if asked.origin() != answered.origin() {
            for secret in [header::COOKIE, header::AUTHORIZATION] {
                client.headers.remove(secret);
            }
        }
        client
    }

    /// Opens the file at `url` by reading its first bytes. What fails for the moment is tried again a few times.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn open(&self, url: &str) -> Result<RemoteFile, SourceError> {
        let url = Url::parse(url).map_err(|_| SourceError::Unavailable("it is not a URL".to_owned()))?;
        self.guard.check_url(&url)?;
        let (traffic, mut patience) = (Traffic::default(), self.patience());
        loop {
            match self.open_once(&url, &traffic).await {
                Ok(file) => return Ok(file),
                Err(fault) => patience.wait(fault).await?,
            }
        }
    }

    /// Opens a file of our own by a link that is another one each time; `name` tells it from all other files.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn open_as(&self, link: &str, name: &str) -> Result<RemoteFile, SourceError> {
        let name = Url::parse(name).map_err(|_| SourceError::Unavailable("it is not a URL".to_owned()))?;
        Ok(self.open(link).await?.known_as(name))
    }

    async fn open_once(&self, url: &Url, traffic: &Traffic) -> Result<RemoteFile, Fault> {
        let answer = self.get(url, Some(&(0..HEAD_BYTES)), None).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => match ContentRange::of(answer.headers()) {
                Some(ContentRange { part, total: Some(total) }) if part.start == 0 => {
                    self.open_ranges(url, answer, total, traffic).await
                }
                // Ranges that cannot be relied on are not asked for.
                _ => self.open_whole(url, self.get(url, None, None).await?, traffic).await,
            },
            StatusCode::RANGE_NOT_SATISFIABLE => {
                self.open_whole(url, self.get(url, None, None).await?, traffic).await
            }
            _ => self.open_whole(url, answer, traffic).await,
        }
    }

    /// Opens a file whose server serves parts of it.
    async fn open_ranges(
        &self,
        asked: &Url,
        answer: Response,
        len: u64,
        traffic: &Traffic,
    ) -> Result<RemoteFile, Fault> {
        let (url, version) = (answer.url().clone(), Version::of(answer.headers()));
        let head_len = HEAD_BYTES.min(len);
        let mut head = self.head(&mut Body::of(answer, self.limits.silence), traffic).await?;
        if (head.len() as u64) < head_len {
            return Err(Fault::Passing(SourceError::Incomplete, None));
        }
        head.truncate(usize::try_from(head_len).unwrap_or(usize::MAX));
        must_be_plain(&version, &head)?;
        let client = self.behind(asked, &url);
        let found = Found { asked: asked.clone(), url, len: Some(len), head, version };
        Ok(RemoteFile::new(client, found, None, traffic.clone()))
    }

    /// Opens a file that comes from front to end only.
    async fn open_whole(
        &self,
        asked: &Url,
        answer: Response,
        traffic: &Traffic,
    ) -> Result<RemoteFile, Fault> {
        if answer.status() != StatusCode::OK {
            return Err(unusable(&answer));
        }
        let (url, version, len) =
            (answer.url().clone(), Version::of(answer.headers()), answer.content_length());
        let mut body = Body::of(answer, self.limits.silence);
        let head = self.head(&mut body, traffic).await?;
        must_be_plain(&version, &head)?;
        let forward = Forward { at: 0, rest: head.clone(), body, patience: self.patience() };
        let client = self.behind(asked, &url);
        let found = Found { asked: asked.clone(), url, len, head, version };
        Ok(RemoteFile::new(client, found, Some(forward), traffic.clone()))
    }

    /// The beginning of a body: 16 KiB, and the rest of what came with them.
    async fn head(&self, body: &mut Body, traffic: &Traffic) -> Result<Bytes, Fault> {
        let mut head = BytesMut::new();
        while (head.len() as u64) < HEAD_BYTES {
            let Some(chunk) = body.next().await? else { break };
            traffic.add(chunk.len());
            head.extend_from_slice(&chunk);
        }
        Ok(head.freeze())
    }

    /// Sends one request; the answer's status may be any.
    pub(crate) async fn get(
        &self,
        url: &Url,
        range: Option<&Range<u64>>,
        if_range: Option<&HeaderValue>,
    ) -> Result<Response, Fault> {
        let mut headers = self.headers.clone();
        // A body that was compressed on the way has other offsets.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in
            [(header::RANGE, range.and_then(range_value)), (header::IF_RANGE, if_range.cloned())]
        {
            headers.remove(&name);
            value.map(|value| headers.insert(name, value));
        }
        self.http.get(url.clone()).headers(headers).send().await.map_err(|error| failed(&error))
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience::new(Arc::clone(&self.pauses), self.limits.silence)
    }
}

fn range_value(range: &Range<u64>) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("bytes={}-{}", range.start, range.end.saturating_sub(1))).ok()
}

/// Refuses a body that its server compressed although it was asked not to: its bytes are not the file's. A header that
/// is wrong, on the bytes of an MP4 file, does no harm.
fn must_be_plain(version: &Version, head: &[u8]) -> Result<(), SourceError> {
    match version.encoding() {
        Some(encoding) if sniff(head) != Container::IsoBmff => {
            let encoding: String = encoding.chars().take(32).collect();
            let why = format!(
                "its server sends it compressed (Content-Encoding: {encoding}), which a video must not be"
            );
            Err(SourceError::NotMedia(why))
        }
        _ => Ok(()),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more than {REDIRECTS_MAX} redirects")]
pub(crate) struct TooManyRedirects;
