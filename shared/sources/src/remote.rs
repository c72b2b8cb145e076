//! A file on a web server: its size, and reads of its parts.

use std::{io, ops::Range};

use bytes::Bytes;
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderValue},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Mutex,
};
use url::Url;

use crate::{
    SourceClient, SourceError, Traffic,
    answer::{Body, ContentRange, Version, unusable},
    retry::{Fault, Patience},
};

/// A transfer that got so far before it broke has not failed: what is left of it is a transfer of its own. Bytes are
/// bounded, so breaks of this kind are, too.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A server that begins in front of what it was asked for is read up to there, if it is no further than this.
const SKIP_BYTES_MAX: u64 = 16 << 20;

const OTHER_PARTS: &str = "the server sends other parts of it than it is asked for";
const NO_PARTS: &str = "the server does not serve parts of it any more; try again";

/// How many machines of one server are told from each other.
const NODES_MAX: usize = 64;

/// What else the machines of a server call the version that was opened.
#[derive(Default)]
struct Nodes(std::sync::Mutex<Vec<HeaderValue>>);

impl Nodes {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<HeaderValue>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn are_known(&self) -> bool {
        !self.list().is_empty()
    }

    fn knows(&self, version: &Version) -> bool {
        version.validator.as_ref().is_some_and(|validator| self.list().contains(validator))
    }

    fn know(&self, version: &Version) {
        let mut list = self.list();
        if let Some(validator) = &version.validator
            && list.len() < NODES_MAX
            && !list.contains(validator)
        {
            list.push(validator.clone());
        }
    }
}

/// What the first answer told.
pub(crate) struct Found {
    /// The URL that was asked for, or what stands for it ([`SourceClient::open_as`]).
    pub(crate) asked: Url,
    /// The URL that answered.
    pub(crate) url: Url,
    pub(crate) len: Option<u64>,
    pub(crate) head: Bytes,
    pub(crate) version: Version,
}

/// The body of a server that knows no ranges, read forwards only.
pub(crate) struct Forward {
    pub(crate) at: u64,
    pub(crate) rest: Bytes,
    pub(crate) body: Body,
    pub(crate) patience: Patience,
}

/// A file that was opened: the server answered, and its first bytes are here.
pub struct RemoteFile {
    client: SourceClient,
    found: Found,
    /// `None` where the server serves ranges.
    forward: Option<Mutex<Forward>>,
    nodes: Nodes,
    traffic: Traffic,
}

impl RemoteFile {
    pub(crate) fn new(
        client: SourceClient,
        found: Found,
        forward: Option<Forward>,
        traffic: Traffic,
    ) -> Self {
        Self { client, found, forward: forward.map(Mutex::new), nodes: Nodes::default(), traffic }
    }

    /// The same file, told from all others by another name.
    pub(crate) fn known_as(self, asked: Url) -> Self {
        Self { found: Found { asked, ..self.found }, ..self }
    }

    /// The file's first bytes: 16 KiB, or a little more.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.found.head
    }

    /// Length in bytes, where the server told it.
    #[must_use]
    pub const fn len(&self) -> Option<u64> {
        self.found.len
    }

    /// What tells this version of the file from another: its strong entity tag or its date, where the server sent one.
    #[must_use]
    pub fn validator(&self) -> Option<&str> {
        self.found.version.validator.as_ref()?.to_str().ok()
    }

    /// Whether the file is known to be empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.head.is_empty()
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
        Some(format!("{}\n{}\n{}", self.found.asked, self.validator()?, self.found.len?))
    }

    /// The URL that answered, behind all redirects: what stands in the file is relative to it.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.found.url
    }

    /// The last part of the URL's path, a title for files that have none.
    #[must_use]
    pub fn name(&self) -> String {
        let last = self.found.url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
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
        let head = &self.found.head;
        if let Some(bytes) = head.get(from..to) {
            return Ok(head.slice_ref(bytes));
        }
        if self.found.len.is_some_and(|len| range.end > len) {
            return Err(SourceError::Incomplete);
        }
        // What is here already is not asked for again.
        let here = if self.serves_ranges() { head.get(from..).unwrap_or_default() } else { &[] };
        let mut buffer = Vec::with_capacity(to.saturating_sub(from));
        buffer.extend_from_slice(here);
        self.copy(range.start + here.len() as u64..range.end, &mut buffer).await?;
        Ok(buffer.into())
    }

    /// Copies `range` to `sink`, streaming; a transfer that breaks is taken up again where it ended, a few times.
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
        let (mut at, mut patience) = (range.start, self.client.patience());
        while at < range.end {
            let before = at;
            let fault = match self.copy_once(&mut at, range.end, sink).await {
                Ok(()) if at == range.end => break,
                // A server may send less than it was asked for.
                Ok(()) => Fault::Passing(SourceError::Incomplete, None),
                Err(fault) => fault,
            };
            if at - before >= PROGRESS_BYTES {
                patience.renew();
            }
            patience.wait(fault).await?;
        }
        Ok(())
    }

    /// Copies the whole file to `sink`, whatever its server can do. Returns its length.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn copy_all(&self, sink: &mut (impl AsyncWrite + Unpin)) -> Result<u64, SourceError> {
        match (self.found.len, &self.forward) {
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

    /// Copies what one answer has of `*at..end`, and moves `at` along.
    async fn copy_once(
        &self,
        at: &mut u64,
        end: u64,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Fault> {
        let Found { url, version, len, head, .. } = &self.found;
        let if_range = version.validator.as_ref().filter(|_| !self.nodes.are_known());
        let answer = self.client.get(url, Some(&(*at..end)), if_range).await?;
        let headers = answer.headers().clone();
        let (part, is_whole) = match answer.status() {
            StatusCode::PARTIAL_CONTENT => (self.part_of(&headers).await?, false),
            // All of it in place of a part: it is another file now, or another machine calls it otherwise and will give a
            // part when it is not asked for one of our version.
            StatusCode::PRECONDITION_FAILED | StatusCode::OK
                if if_range.is_some() && (answer.status() != StatusCode::OK || !version.is_of(&headers)) =>
            {
                let is_same = self.is_same_elsewhere(&Version::of(&headers)).await?;
                return Err(if is_same {
                    Fault::Passing(SourceError::Changed, None)
                } else {
                    SourceError::Changed.into()
                });
            }
            // Its server does not serve parts any more.
            StatusCode::OK
                if answer.content_length().is_none_or(|told| Some(told) == *len)
                    && version.is_encoded_as(&headers) =>
            {
                (0..len.unwrap_or_default(), true)
            }
            StatusCode::OK | StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(SourceError::Changed.into());
            }
            _ => return Err(unusable(&answer)),
        };
        if !part.contains(at) {
            return Err(SourceError::Unavailable(OTHER_PARTS.to_owned()).into());
        }
        // What lies in front is read and left: a server that begins too early is waited for, but not for long.
        let mut skip = *at - part.start;
        if skip > SKIP_BYTES_MAX {
            let why = if is_whole { NO_PARTS } else { OTHER_PARTS };
            return Err(Fault::Passing(SourceError::Unavailable(why.to_owned()), None));
        }
        let (end, mut read) = (end.min(part.end), part.start);
        let mut body = Body::of(answer, self.client.limits.silence);
        while *at < end {
            let mut chunk = body.next().await?.ok_or(Fault::Passing(SourceError::Incomplete, None))?;
            self.count(chunk.len())?;
            // Another file begins with other bytes.
            let known = usize::try_from(read).ok().and_then(|read| head.get(read..)).unwrap_or_default();
            if known.iter().zip(&chunk).any(|(a, b)| a != b) {
                return Err(SourceError::Changed.into());
            }
            read += chunk.len() as u64;
            let skipped =
                chunk.split_to(usize::try_from(skip).map_or(chunk.len(), |skip| skip.min(chunk.len())));
            skip -= skipped.len() as u64;
            let wanted = usize::try_from(end - *at).map_or(chunk.len(), |rest| rest.min(chunk.len()));
            sink.write_all(&chunk[..wanted]).await.map_err(|error| sink_failed(&error))?;
            *at += wanted as u64;
        }
        Ok(())
    }

    /// Which part of the file an answer has. It must be of the file that was opened.
    async fn part_of(&self, headers: &HeaderMap) -> Result<Range<u64>, Fault> {
        let (Found { version, len, .. }, told) = (&self.found, Version::of(headers));
        let Some(ContentRange { part, total }) = ContentRange::of(headers) else {
            return Err(SourceError::Unavailable(OTHER_PARTS.to_owned()).into());
        };
        let is_as_long = total.is_none() || total == *len;
        if !is_as_long || !version.is_encoded_as(headers) {
            return Err(SourceError::Changed.into());
        }
        let is_known = version.is_of(headers) || self.nodes.knows(&told);
        if is_known || self.is_same_elsewhere(&told).await? {
            Ok(part)
        } else {
            Err(SourceError::Changed.into())
        }
    }

    /// Whether the file is the same one although an answer has `told` otherwise: servers with several machines often tell
    /// another entity tag or date from each. It is, if it is as long and begins with the same bytes; then neither is
    /// relied on any more.
    async fn is_same_elsewhere(&self, told: &Version) -> Result<bool, Fault> {
        let Found { url, len, head, .. } = &self.found;
        let probe = self.client.get(url, Some(&(0..head.len() as u64)), None).await?;
        let is_as_long = match (probe.status(), ContentRange::of(probe.headers())) {
            (StatusCode::PARTIAL_CONTENT, Some(ContentRange { part, total })) => {
                part.start == 0 && total == *len
            }
            (StatusCode::OK, _) => probe.content_length() == *len,
            _ => return Err(unusable(&probe)),
        };
        let of_probe = Version::of(probe.headers());
        let (mut body, mut same) = (Body::of(probe, self.client.limits.silence), 0);
        while is_as_long && same < head.len() {
            let Some(chunk) = body.next().await? else { return Ok(false) };
            self.count(chunk.len())?;
            let wanted = &head[same..(same + chunk.len()).min(head.len())];
            if !chunk.starts_with(wanted) {
                return Ok(false);
            }
            same += wanted.len();
        }
        if is_as_long {
            self.nodes.know(&of_probe);
            self.nodes.know(told);
        }
        Ok(is_as_long)
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
            match forward.body.next().await {
                Ok(Some(chunk)) => {
                    self.count(chunk.len())?;
                    forward.rest = chunk;
                }
                Ok(None) => return Ok(false),
                Err(fault) => self.restart(forward, fault).await?,
            }
        }
        Ok(true)
    }

    /// Takes up a body that broke. Without ranges that means to read once more what came before.
    async fn restart(&self, forward: &mut Forward, fault: Fault) -> Result<(), SourceError> {
        let mut fault = fault;
        loop {
            forward.patience.wait(fault).await?;
            match self.reopened(forward.at).await {
                Ok((body, rest)) => {
                    (forward.body, forward.rest) = (body, rest);
                    return Ok(());
                }
                Err(again) => fault = again,
            }
        }
    }

    /// The body anew, read up to `at`, and what came beyond that.
    async fn reopened(&self, at: u64) -> Result<(Body, Bytes), Fault> {
        let Found { url, version, len, head, .. } = &self.found;
        let answer = self.client.get(url, None, None).await?;
        if answer.status() != StatusCode::OK {
            return Err(unusable(&answer));
        }
        // Its first bytes tell, whatever another machine of its server calls it.
        if !version.is_encoded_as(answer.headers()) || answer.content_length() != *len {
            return Err(SourceError::Changed.into());
        }
        let mut body = Body::of(answer, self.client.limits.silence);
        let mut read = 0;
        loop {
            let chunk = body.next().await?.ok_or(Fault::Passing(SourceError::Incomplete, None))?;
            self.count(chunk.len())?;
            // Its server may not tell, but another file begins with other bytes.
            let known = usize::try_from(read).ok().and_then(|read| head.get(read..)).unwrap_or_default();
            if known.iter().zip(&chunk).any(|(a, b)| a != b) {
                return Err(SourceError::Changed.into());
            }
            let beyond = usize::try_from(at - read).ok().filter(|&skip| skip <= chunk.len());
            if let Some(skip) = beyond {
                return Ok((body, chunk.slice(skip..)));
            }
            read += chunk.len() as u64;
        }
    }

    fn count(&self, bytes: usize) -> Result<(), SourceError> {
        let max = self.client.limits.bytes_max;
        if self.traffic.add(bytes) > max {
            return Err(SourceError::TooLarge(format!("more than {} MiB would have to be read", max >> 20)));
        }
        Ok(())
    }
}

fn sink_failed(error: &io::Error) -> SourceError {
    SourceError::Unavailable(format!("it could not be stored: {error}"))
}
