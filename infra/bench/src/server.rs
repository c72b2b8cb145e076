//! A web server with ranges that counts what it sends.
//!
//! It hands files to the network by `sendfile`, because its own work would otherwise slow down those that read much,
//! on a machine where they share the processor.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

/// How much is handed over between two looks at the counter.
const STEP: u64 = 256 << 10;
/// How much may be on its way, in bytes. What a reader did not wait for was sent all the same, but without a limit that
/// would be the megabytes that loopback holds.
const SEND_BUFFER: usize = 128 << 10;
/// The longest request that is read.
const REQUEST_MAX: u64 = 16 << 10;
/// A connection that says nothing for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Serves the files of one folder until the program ends.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    bytes: Arc<AtomicU64>,
}

impl Server {
    /// Serves `folder` on a free loopback port.
    pub(crate) fn start(folder: &Path) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = format!("http://{}", listener.local_addr()?);
        let bytes = Arc::new(AtomicU64::new(0));
        let (folder, counter) = (folder.to_owned(), bytes.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, counter) = (folder.clone(), counter.clone());
                // A reader that goes away is how some of them end.
                std::thread::spawn(move || connection(stream, &folder, &counter));
            }
        });
        Ok(Self { address, bytes })
    }

    /// Where the file `name` of the folder is.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Bytes of bodies handed to the network so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct Request {
    method: String,
    path: String,
    range: Option<String>,
    if_range: Option<String>,
}

fn connection(stream: TcpStream, folder: &Path, bytes: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER)?;
    stream.set_read_timeout(Some(IDLE_MAX))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = Request::read(&mut reader)? {
        answer(&stream, folder, &request, bytes)?;
    }
    Ok(())
}

impl Request {
    /// The next request; none when the connection is closed.
    fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Self>> {
        let mut request = Self::default();
        let mut lines = reader.take(REQUEST_MAX);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            let text = line.trim_end();
            if text.is_empty() {
                return Ok(Some(request));
            }
            if request.method.is_empty() {
                let mut words = text.split_whitespace();
                request.method = words.next().unwrap_or_default().to_owned();
                request.path = words.next().unwrap_or_default().to_owned();
            } else if let Some((name, value)) = text.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "range" => request.range = Some(value.trim().to_owned()),
                    "if-range" => request.if_range = Some(value.trim().to_owned()),
                    _ => {}
                }
            }
            line.clear();
        }
        Ok(None)
    }

    /// A file of the folder itself, by its plain name.
    fn file(&self, folder: &Path) -> Option<PathBuf> {
        let name = self.path.strip_prefix('/')?;
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        Some(folder.join(name)).filter(|path| plain && !name.starts_with('.') && path.is_file())
    }
}

fn answer(mut out: &TcpStream, folder: &Path, request: &Request, bytes: &AtomicU64) -> std::io::Result<()> {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return out
            .write_all(b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n\r\n");
    }
    let Some(path) = request.file(folder) else {
        return out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let etag = format!("\"{size:x}\"");
    let fresh = request.if_range.as_ref().is_none_or(|have| *have == etag);
    let range = request.range.as_deref().filter(|_| fresh).and_then(|range| span(range, size));
    let (status, from, length) = match range {
        None => ("200 OK".to_owned(), 0, size),
        Some(Some((first, last))) => (
            format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}"),
            first,
            last - first + 1,
        ),
        Some(None) => {
            let status = "416 Range Not Satisfiable";
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n");
            return out.write_all(head.as_bytes());
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: video/mp4\r\nAccept-Ranges: bytes\r\n\
         ETag: {etag}\r\n\r\n"
    );
    out.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    file.seek(SeekFrom::Start(from))?;
    let end = from + length;
    let mut at = from;
    while at < end {
        let sent = std::io::copy(&mut (&file).take(STEP.min(end - at)), &mut out);
        // Also of a step that broke off, the file's position tells what has gone.
        let now = file.stream_position()?;
        bytes.fetch_add(now - at, Ordering::Relaxed);
        at = now;
        if sent? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// First and last byte of a `Range` (RFC 9110, 14.1.2): `None` if it is to be ignored, `Some(None)` if it lies outside.
fn span(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.saturating_sub(1);
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Some(None),
        (Ok(first), Ok(last)) if first <= last => Some(Some((first, last.min(end)))),
        (Ok(first), Err(_)) if last.is_empty() => Some(Some((first, end))),
        (Err(_), Ok(suffix)) if first.is_empty() => {
            Some((suffix > 0 && size > 0).then(|| (size.saturating_sub(suffix), end)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &Server, request: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(server.address.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let at = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8(all[..at].to_vec()).unwrap(), all[at..].to_vec())
    }

    #[test]
    fn serves_ranges_and_counts_them() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..600_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        std::fs::write(folder.path().join("a.mp4"), &content).unwrap();
        let server = Server::start(folder.path()).unwrap();

        let (head, body) = ask(&server, "GET /a.mp4 HTTP/1.1\r\nrange: bytes=100000-499999\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
        assert!(head.contains("Content-Range: bytes 100000-499999/600000\r\n"), "{head}");
        assert!(body == content[100_000..500_000]);
        assert_eq!(server.bytes(), 400_000);

        let (head, body) = ask(&server, "GET /a.mp4 HTTP/1.1\r\nRange: bytes=-5\r\nIf-Range: \"x\"\r\n\r\n");
        assert!(
            head.starts_with("HTTP/1.1 200 ") && body == content,
            "another file's range is not this one's"
        );
        let (head, body) = ask(&server, "HEAD /a.mp4 HTTP/1.1\r\n\r\n");
        assert!(head.contains("Content-Length: 600000\r\n") && body.is_empty());
        assert!(ask(&server, "GET /../a.mp4 HTTP/1.1\r\n\r\n").0.starts_with("HTTP/1.1 404 "));
        assert!(ask(&server, "PUT /a.mp4 HTTP/1.1\r\n\r\n").0.starts_with("HTTP/1.1 405 "));
        assert_eq!(server.bytes(), 1_000_000);
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(span("bytes=0-3", 10), Some(Some((0, 3))));
        assert_eq!(span("bytes=4-", 10), Some(Some((4, 9))));
        assert_eq!(span("bytes=-3", 10), Some(Some((7, 9))));
        assert_eq!(span("bytes=8-99", 10), Some(Some((8, 9))));
        assert_eq!(span("bytes=10-", 10), Some(None));
        assert_eq!(span("bytes=-0", 10), Some(None));
        assert_eq!(span("bytes=0-1,4-5", 10), None);
        assert_eq!(span("lines=1-2", 10), None);
    }
}
