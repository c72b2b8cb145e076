//! A web server that says exactly what a test makes it say, right or wrong. Each connection is one request.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Which request this is, from 0.
    pub(crate) n: usize,
    pub(crate) head: String,
}

impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The range that was asked for, within a file of `len` bytes.
    pub(crate) fn range(&self, len: usize) -> Option<Range<usize>> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        Some(first..len.min(last + 1))
    }
}

/// What a server does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// These bytes, then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is reset.
    Reset(Vec<u8>),
    /// These bytes, then one of the same kind every 50 ms.
    Dribble(Vec<u8>, u8),
    /// These bytes, then these again and again.
    Endless(Vec<u8>, Vec<u8>),
}

/// The server; it ends with the test.
pub(crate) struct RawServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: JoinHandle<()>,
}

impl RawServer {
    pub(crate) async fn start(say: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (log, say) = (Arc::clone(&asked), Arc::new(say));
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&say)));
            }
        });
        Self { address, asked, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/video.mp4", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Asked>>>, say: Arc<impl Fn(&Asked) -> Say>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let asked = {
        let mut log = log.lock().unwrap();
        let n = log.len();
        log.push(Asked { n, head });
        log.last().unwrap().clone()
    };
    // Whoever has enough closes the connection: no fault of this server.
    let _ = match say(&asked) {
        Say::Bytes(bytes) => stream.write_all(&bytes).await,
        Say::Reset(bytes) => {
            let sent = stream.write_all(&bytes).await;
            // What was sent must be read before the reset throws it away.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            stream.set_zero_linger().unwrap();
            sent
        }
        Say::Dribble(bytes, byte) => {
            let mut sent = stream.write_all(&bytes).await;
            while sent.is_ok() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                sent = stream.write_all(&[byte]).await;
            }
            sent
        }
        Say::Endless(bytes, again) => {
            let mut sent = stream.write_all(&bytes).await;
            while sent.is_ok() {
                sent = stream.write_all(&again).await;
            }
            sent
        }
    };
    let _ = stream.shutdown().await;
}

/// A whole answer: a status line, headers, and a body of the length that the headers tell.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    bare(status, &[headers, &[("Content-Length", &length)]].concat(), body)
}

/// An answer with just these headers.
pub(crate) fn bare(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

/// What a good server without validators answers.
pub(crate) fn good(asked: &Asked, file: &[u8], headers: &[(&str, &str)]) -> Vec<u8> {
    match asked.range(file.len()) {
        Some(part) => {
            let range = format!("bytes {}-{}/{}", part.start, part.end - 1, file.len());
            answer("206 Partial Content", &[headers, &[("Content-Range", &range)]].concat(), &file[part])
        }
        None => answer("200 OK", headers, file),
    }
}
