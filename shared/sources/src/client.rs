//! Requests to the servers of sources.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, percent_encode};
use reqwest::{
    Certificate, Client, Response, StatusCode,
    header::{self, HeaderValue},
    redirect,
};
use url::Url;

use crate::{
    Container, Extras, Limits, Proxy, RemoteFile, SourceError, Traffic,
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
    /// What goes along with requests.
    extras: Extras,
    /// The way out, which stays open as long as this does.
    _through: Option<Arc<Proxy>>,
}

impl SourceClient {
    /// A client with these rules. It takes no proxy from the environment: what it checks is what it connects to.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if TLS cannot be set up.
    pub fn new(guard: Guard, limits: Limits) -> Result<Self, SourceError> {
        Self::build(guard, limits, None, Vec::new())
    }

    /// As [`SourceClient::new`], for servers whose certificates come from the `roots` in this PEM file and from nobody
    /// else: tests have servers with certificates of their own.
    ///
    /// # Errors
    /// As [`SourceClient::new`].
    pub fn trusting(guard: Guard, limits: Limits, roots: &[u8]) -> Result<Self, SourceError> {
        let roots = Certificate::from_pem_bundle(roots).map_err(|error| no_tls(&error))?;
        Self::build(guard, limits, None, roots)
    }

    /// A client with these rules whose requests go through a proxy of ours.
    ///
    /// # Errors
    /// As [`SourceClient::new`].
    pub fn through(proxy: Arc<Proxy>, guard: Guard, limits: Limits) -> Result<Self, SourceError> {
        Self::build(guard, limits, Some(proxy), Vec::new())
    }

    fn build(
        guard: Guard,
        limits: Limits,
        through: Option<Arc<Proxy>>,
        roots: Vec<Certificate>,
    ) -> Result<Self, SourceError> {
        let way = through.as_ref().map(|proxy| reqwest::Proxy::all(proxy.url())).transpose();
        let way = way.map_err(|error| no_tls(&error))?;
        let builder = Client::builder().no_proxy();
        let builder = way.into_iter().fold(builder, reqwest::ClientBuilder::proxy);
        let builder = if roots.is_empty() { builder } else { builder.tls_certs_only(roots) };
        let http = builder
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirect::Policy::none()) // followed here, because each is checked and has its own headers
            .referer(false) // the URL may be a secret between its server and the user
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(limits.silence)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("Clipwright/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| no_tls(&error))?;
        let pauses = Arc::new(RealPauses);
        Ok(Self { http, guard, limits, pauses, extras: Extras::default(), _through: through })
    }

    /// The same client with other pauses between its tries.
    #[must_use]
    pub fn with_pauses(self, pauses: Arc<dyn Pauses>) -> Self {
        Self { pauses, ..self }
    }

    /// The same client for files of which no more than so many bytes are read.
    #[must_use]
    pub fn reading_at_most(&self, bytes_max: u64) -> Self {
        let limits = Limits { bytes_max: self.limits.bytes_max.min(bytes_max), ..self.limits };
        Self { limits, ..self.clone() }
    }

    /// The same client for an address that wants these headers and cookies, and for what it leads to.
    #[must_use]
    pub fn with(&self, extras: Extras) -> Self {
        Self { extras, ..self.clone() }
    }

    /// The client for addresses that stand in a text of `url`'s server: that of another site than the one that the
    /// headers and cookies are for gets no use out of them by naming its addresses.
    #[must_use]
    pub fn behind(&self, url: &Url) -> Self {
        let mut client = self.clone();
        client.extras.behind(url);
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
            match self.open_once(&url, &traffic, patience.is_last()).await {
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

    /// One try. The last one asks for no range: some servers fail at them with whatever status comes to their mind.
    async fn open_once(&self, url: &Url, traffic: &Traffic, is_last: bool) -> Result<RemoteFile, Fault> {
        if is_last {
            return self.open_whole(url, self.follow(url, None, None).await?, traffic).await;
        }
        let answer = self.follow(url, Some(&(0..HEAD_BYTES)), None).await?;
        match answer.0.status() {
            StatusCode::PARTIAL_CONTENT => match ContentRange::of(answer.0.headers()) {
                Some(ContentRange { part, total: Some(total) }) if part.start == 0 => {
                    self.open_ranges(url, answer, total, traffic).await
                }
                // Ranges that cannot be relied on are not asked for.
                _ => self.open_whole(url, self.follow(url, None, None).await?, traffic).await,
            },
            status if refuses_ranges(status) => {
                self.open_whole(url, self.follow(url, None, None).await?, traffic).await
            }
            _ => self.open_whole(url, answer, traffic).await,
        }
    }

    /// Opens a file whose server serves parts of it.
    async fn open_ranges(
        &self,
        asked: &Url,
        (answer, extras): (Response, Extras),
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
        let client = self.with(extras);
        let found = Found { asked: asked.clone(), url, len: Some(len), head, version };
        Ok(RemoteFile::new(client, found, None, traffic.clone()))
    }

    /// Opens a file that comes from front to end only.
    async fn open_whole(
        &self,
        asked: &Url,
        (answer, extras): (Response, Extras),
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
        let client = self.with(extras);
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

    /// Sends one request, and more where it is redirected; the answer's status may be any.
    pub(crate) async fn get(
        &self,
        url: &Url,
        range: Option<&Range<u64>>,
        if_range: Option<&HeaderValue>,
    ) -> Result<Response, Fault> {
        Ok(self.follow(url, range, if_range).await?.0)
    }

    /// As [`SourceClient::get`], and what goes along with further requests to where it ended.
    async fn follow(
        &self,
        url: &Url,
        range: Option<&Range<u64>>,
        if_range: Option<&HeaderValue>,
    ) -> Result<(Response, Extras), Fault> {
        let (mut url, mut extras) = (url.clone(), self.extras.clone());
        for _ in 0..=REDIRECTS_MAX {
            self.guard.check_url(&url)?;
            let mut headers = extras.headers(&url);
            // A body that was compressed on the way has other offsets.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            for (name, value) in
                [(header::RANGE, range.and_then(range_value)), (header::IF_RANGE, if_range.cloned())]
            {
                value.map(|value| headers.insert(name, value));
            }
            let answer = self.http.get(url.clone()).headers(headers).send().await;
            let answer = answer.map_err(|error| failed(&error))?;
            extras.behind(&url);
            extras.hear(&url, answer.headers());
            match location(&url, &answer) {
                Some(next) => url = next,
                None => return Ok((answer, extras)),
            }
        }
        Err(SourceError::Unavailable(format!("more than {REDIRECTS_MAX} redirects")).into())
    }

    pub(crate) fn patience(&self) -> Patience {
        Patience::new(Arc::clone(&self.pauses), self.limits.silence)
    }
}

/// Whether a server may answer so because it was asked for a part, and would not if it was asked for all of it.
fn refuses_ranges(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 403 | 405 | 406 | 409 | 412 | 416 | 417 | 431 | 501)
}

fn no_tls(error: &reqwest::Error) -> SourceError {
    SourceError::Unavailable(format!("TLS is not there: {error}"))
}

/// Where an answer to a request for `url` leads, if it is a redirect (RFC 9110, section 15.4).
fn location(url: &Url, answer: &Response) -> Option<Url> {
    /// No character but those beyond ASCII.
    const NONE: &AsciiSet = &AsciiSet::EMPTY;
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    // Servers write names in whatever character set their disk has: each byte is asked for as it stands there.
    let location = percent_encode(answer.headers().get(header::LOCATION)?.as_bytes(), NONE).to_string();
    url.join(&location).ok()
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
