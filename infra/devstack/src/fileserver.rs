//! Offers one local file as a video URL (a playlist with the files around it): `cargo xtask clip FILE` needs one, and tests use it as a source whose
//! traffic they can count and whose faults they can choose.

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

/// How the server behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As a good server: ranges, HEAD, validators.
    #[default]
    Ranges,
    /// Ignores `Range` and says so.
    NoRanges,
    /// Breaks the connection after this many bytes of each answer.
    Truncated(u64),
    /// Stops sending after this many bytes of each answer, and leaves the connection open.
    Stalled(u64),
    /// Has another file under the same address once this many bytes were served.
    Changes(u64),
}

/// A file being served; dropping it ends the server.
#[derive(Debug)]
pub struct FileServer {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    /// The folder that is offered too, where the file is a playlist.
    folder: Option<PathBuf>,
    /// The only path that answers: what is offered on loopback is not for every program on the machine.
    path: String,
    behaviour: Behaviour,
    bytes: AtomicU64,
    requests: AtomicU64,
    /// What was asked for, one range for each answer with a body.
    ranges: Mutex<Vec<Range<u64>>>,
    /// How many bytes were asked for of each file, by its path below the folder.
    files: Mutex<BTreeMap<String, u64>>,
}

impl FileServer {
    /// Serves `file` on a free loopback port.
    pub async fn start(file: &Path, behaviour: Behaviour) -> anyhow::Result<Self> {
        let file = file.canonicalize().with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("file");
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let path = format!("/{}/{}", token()?, name.replace('+', "%20"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}{path}", listener.local_addr()?);
        let is_playlist = matches!(file.extension().and_then(|kind| kind.to_str()), Some("m3u8" | "mpd"));
        let folder = file.parent().filter(|_| is_playlist).map(Path::to_owned);
        let shared = Arc::new(Shared {
            file,
            folder,
            path,
            behaviour,
            bytes: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            ranges: Mutex::default(),
            files: Mutex::default(),
        });
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the file server stopped: {error}");
            }
        });
        Ok(Self { url, shared, server })
    }

    /// Where the file is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes of the file handed to the network so far, all requests together.
    #[must_use]
    pub fn bytes_served(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// The parts of the file that were asked for since this was last asked, in order.
    #[must_use]
    pub fn take_ranges(&self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.shared.ranges.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many bytes were asked for of each file since this was last asked, by its path below the playlist's folder.
    #[must_use]
    pub fn take_files(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.shared.files.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Requests for the file so far, HEAD included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn token() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(file) = shared.file(request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    shared.requests.fetch_add(1, Ordering::Relaxed);
    match serve(&shared, &file, request.method(), request.headers()).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!("cannot serve {}: {error}", shared.file.display());
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Shared {
    /// The file at `path`, if there is one to be had.
    fn file(&self, path: &str) -> Option<PathBuf> {
        if path == self.path {
            return Some(self.file.clone());
        }
        let (root, _) = self.path.rsplit_once('/')?;
        let name = path.strip_prefix(root)?.strip_prefix('/')?;
        let plain = name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
        let file = self.folder.as_ref().filter(|_| plain)?.join(name);
        file.is_file().then_some(file)
    }
}

async fn serve(
    shared: &Arc<Shared>,
    path: &Path,
    method: &Method,
    asked: &HeaderMap,
) -> std::io::Result<Response> {
    let mut file = File::open(path).await?;
    let metadata = file.metadata().await?;
    let size = metadata.len();
    let modified = metadata.modified()?;
    let is_another = matches!(
        shared.behaviour, Behaviour::Changes(after) if shared.bytes.load(Ordering::Relaxed) >= after
    );
    let etag = if is_another { "\"another\"".to_owned() } else { etag(size, modified) };
    let last_modified = http_date(modified);
    let ranges = shared.behaviour != Behaviour::NoRanges;
    let fresh = asked.get(header::IF_RANGE).is_none_or(|have| *have == *etag || *have == *last_modified);
    let range = asked.get(header::RANGE).and_then(|range| range.to_str().ok()).filter(|_| ranges && fresh);

    let mut headers: Vec<(HeaderName, String)> = vec![
        (header::ACCEPT_RANGES, if ranges { "bytes" } else { "none" }.to_owned()),
        (header::ETAG, etag),
        (header::LAST_MODIFIED, last_modified),
        (header::CONTENT_TYPE, content_type(path).to_owned()),
    ];
    let (status, start, length) = match range.map(|range| parse_range(range, size)) {
        Some(Wanted::Span(first, last)) => {
            headers.push((header::CONTENT_RANGE, format!("bytes {first}-{last}/{size}")));
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Some(Wanted::Nothing) => {
            let unsatisfied = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, unsatisfied).into_response());
        }
        Some(Wanted::All) | None => (StatusCode::OK, 0, size),
    };
    headers.push((header::CONTENT_LENGTH, length.to_string()));
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        file.seek(SeekFrom::Start(start)).await?;
        let name = shared.folder.as_ref().and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
        let mut files = shared.files.lock().unwrap_or_else(PoisonError::into_inner);
        *files.entry(name.to_string_lossy().into_owned()).or_default() += length;
        drop(files);
        shared.ranges.lock().unwrap_or_else(PoisonError::into_inner).push(start..start + length);
        let bytes = counted(shared.clone(), file, length);
        // Another file has other bytes: with the same ones it would be the same file, by another name.
        Body::from_stream(bytes.map(move |chunk| if is_another { chunk.map(inverted) } else { chunk }))
    };
    Ok((status, axum::response::AppendHeaders(headers), body).into_response())
}

fn inverted(chunk: Bytes) -> Bytes {
    chunk.iter().map(|byte| !byte).collect()
}

/// `length` bytes of the file from where it stands, counted as they leave, with the chosen fault.
fn counted(
    shared: Arc<Shared>,
    file: File,
    length: u64,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    let sent_max = match shared.behaviour {
        Behaviour::Truncated(bytes) | Behaviour::Stalled(bytes) => bytes.min(length),
        Behaviour::Ranges | Behaviour::NoRanges | Behaviour::Changes(_) => length,
    };
    let ending = match shared.behaviour {
        Behaviour::Stalled(_) if sent_max < length => stream::pending().boxed(),
        Behaviour::Truncated(_) if sent_max < length => stream::once(async {
            // At once, the bytes would be thrown away with the connection instead of being sent.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("the connection breaks here, as asked"))
        })
        .boxed(),
        _ => stream::empty().boxed(),
    };
    ReaderStream::with_capacity(file.take(sent_max), 64 * 1024)
        .inspect(move |chunk| {
            if let Ok(bytes) = chunk {
                shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
        })
        .chain(ending)
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// First and last byte, both included.
    Span(u64, u64),
    /// What cannot be understood is ignored, as the standard says.
    All,
    /// Understood, but outside the file.
    Nothing,
}

fn parse_range(range: &str, size: u64) -> Wanted {
    // Several ranges would need a multipart answer; a server may send the whole instead.
    let Some((first, last)) =
        range.strip_prefix("bytes=").filter(|spec| !spec.contains(',')).and_then(|spec| spec.split_once('-'))
    else {
        return Wanted::All;
    };
    let end = size.saturating_sub(1);
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), _) if first >= size => Wanted::Nothing,
        (Ok(first), Ok(last)) if first <= last => Wanted::Span(first, last.min(end)),
        (Ok(first), Err(_)) if last.trim().is_empty() => Wanted::Span(first, end),
        (Err(_), Ok(suffix)) if first.trim().is_empty() => match suffix {
            0 => Wanted::Nothing,
            _ if size == 0 => Wanted::Nothing,
            _ => Wanted::Span(size.saturating_sub(suffix), end),
        },
        _ => Wanted::All,
    }
}

fn etag(size: u64, modified: SystemTime) -> String {
    let nanos = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("\"{size:x}-{nanos:x}\"")
}

fn http_date(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).unwrap_or_default().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "mp4" | "m4v" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mkv" => "video/x-matroska",
        "mp3" => "audio/mpeg",
        "html" => "text/html",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(parse_range("bytes=0-3", 10), Wanted::Span(0, 3));
        assert_eq!(parse_range("bytes=4-", 10), Wanted::Span(4, 9));
        assert_eq!(parse_range("bytes=-3", 10), Wanted::Span(7, 9));
        assert_eq!(parse_range("bytes=-30", 10), Wanted::Span(0, 9));
        assert_eq!(parse_range("bytes=8-99", 10), Wanted::Span(8, 9));
        assert_eq!(parse_range("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=-0", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=5-2", 10), Wanted::All);
        assert_eq!(parse_range("bytes=0-1,4-5", 10), Wanted::All);
        assert_eq!(parse_range("lines=1-2", 10), Wanted::All);
    }
}
