//! Sources that count what is read of them, and the pictures of a span.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use domain::cut::Span;
use media::mp4::{Index, LocalFile, ReadAt, SpanFile};

use super::{BOTH, fetch, run};

/// Bytes in memory.
pub struct Memory(pub Vec<u8>);

impl ReadAt for Memory {
    type Error = &'static str;

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, &'static str> {
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap();
        self.0.get(range).map(Bytes::copy_from_slice).ok_or("beyond the end")
    }
}

/// Counts what is read.
pub struct Counting {
    file: LocalFile,
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Counting {
    pub fn open(path: &Path) -> Self {
        let file = LocalFile::open(path).unwrap();
        Self { file, reads: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    pub fn read(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl ReadAt for Counting {
    type Error = std::io::Error;

    fn len(&self) -> u64 {
        self.file.len()
    }

    async fn read_at(&self, offset: u64, len: u64) -> std::io::Result<Bytes> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(len, Ordering::Relaxed);
        self.file.read_at(offset, len).await
    }
}

/// Presentation time in ticks and digest of each decoded picture.
fn digests(path: &Path, scale: i64) -> BTreeMap<i64, String> {
    let name = path.to_str().unwrap();
    // The pictures are compared, whatever the decoder says of those before them in an open group.
    let base = format!("1:{scale}");
    let args = ["-v", "fatal", "-copyts", "-i", name, "-map", "0:v:0", "-fps_mode", "passthrough"];
    let args = [&args[..], &["-enc_time_base", &base, "-f", "framemd5", "-"]].concat();
    let text = String::from_utf8(run("ffmpeg", &args)).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        (fields[2].parse().unwrap(), fields[5].to_owned())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// The digests of the span's frames from the whole file and from the span's bytes are the same, at the same ticks.
pub async fn same_pictures(path: &Path, span: Span) -> SpanFile {
    let (local, plan) = fetch(path, span, BOTH).await;
    let frames = plan.frames.unwrap();
    let index = Index::read(&LocalFile::open(path).unwrap()).await.unwrap();
    let scale = i64::from(index.video.unwrap().timescale);
    let moved = plan.origin.0 / 1_000_000 * scale;
    let wanted: Vec<(i64, String)> =
        digests(path, scale).range(frames.first..=frames.last).map(own).collect();
    let range = frames.first - moved..=frames.last - moved;
    let found: Vec<(i64, String)> =
        digests(&local, scale).range(range).map(own).map(|(at, d)| (at + moved, d)).collect();
    assert_eq!(wanted.len() as u64, frames.count);
    assert_eq!(found, wanted);
    plan
}

fn own((at, digest): (&i64, &String)) -> (i64, String) {
    (*at, digest.clone())
}
