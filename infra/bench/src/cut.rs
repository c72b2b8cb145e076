//! The engine as one program: `bench cut URL START END OUT`. The same steps as the functions of a job take, in one
//! process and without the stack around them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use domain::cut::Span;
use domain::quality::{Format, Quality};
use domain::time::MediaTime;
use media::engine::{self, Cut, Warm};
use media::ffmpeg::Tools;
use media::mp4::{Index, IndexError, Part, Pieces, ReadAt, Remembering, SpanError, SpanFile, Wanted};
use serde_json::{Value as Json, json};
use sources::{Guard, Limits, RemoteFile, SourceClient, SourceError};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

/// What a job allows itself.
const LIMITS: Limits = Limits { silence: Duration::from_secs(20), bytes_max: 5_000_000_000 };

/// The clip to make.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) url: &'a str,
    pub(crate) start: &'a str,
    pub(crate) end: &'a str,
    pub(crate) out: &'a Path,
    /// Where what was read of the index is kept, as the stack keeps it in its bucket.
    pub(crate) index: Option<&'a Path>,
}

/// A remote file as the index reader sees it.
struct Remote<'a> {
    file: &'a RemoteFile,
    len: u64,
}

impl ReadAt for Remote<'_> {
    type Error = SourceError;

    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, SourceError> {
        self.file.read(offset..offset.saturating_add(len)).await
    }
}

/// Makes the clip; returns what was done.
pub(crate) async fn run(request: &Request<'_>) -> anyhow::Result<Json> {
    let span = span(request)?;
    // Beside the clip, so that it is renamed and not copied.
    let folder = request.out.with_extension("work");
    tokio::fs::create_dir_all(&folder).await?;
    let made = make(request, span, &folder).await;
    let removed = tokio::fs::remove_dir_all(&folder).await;
    let made = made?;
    removed?;
    Ok(made)
}

fn span(request: &Request<'_>) -> anyhow::Result<Span> {
    let time = |text: &str| -> anyhow::Result<MediaTime> {
        let seconds = text.parse().with_context(|| format!("{text:?} is no time in seconds"))?;
        Ok(MediaTime::from_seconds(seconds)?)
    };
    let span = Span { start: time(request.start)?, end: time(request.end)? };
    if span.start >= span.end {
        bail!("the clip must end behind its start");
    }
    Ok(span)
}

async fn make(request: &Request<'_>, span: Span, folder: &Path) -> anyhow::Result<Json> {
    let file = SourceClient::new(Guard::allowing_private(), LIMITS)?.open(request.url).await?;
    let input = folder.join("source");
    let tools = Tools::default();
    let (format, quality) = (Format::Mp4, Quality::K4);
    let whole = Cut {
        input: &input,
        origin: MediaTime::ZERO,
        span,
        pace: None,
        format,
        quality,
        audio: None,
        bytes_max: None,
        encode: false,
        out_dir: folder,
    };
    let output = match plan(&file, span, request.index).await? {
        Some(small) => {
            let cut = Cut { origin: small.origin, pace: small.pace, ..whole };
            let warm = fetch(&tools, &file, &small, &cut).await?;
            engine::cut_warm(&tools, &cut, warm, &|_| {}).await?
        }
        None => {
            let mut sink = File::create(&input).await?;
            file.copy_all(&mut sink).await?;
            sink.flush().await?;
            engine::cut(&tools, &whole, &|_| {}).await?
        }
    };
    tokio::fs::rename(&output.media, request.out).await?;
    Ok(json!({
        "method": output.method,
        "bytes_read": file.traffic().bytes(),
        "size_bytes": output.verified.size_bytes,
        "duration_s": output.verified.duration.seconds(),
    }))
}

/// Fetches the span, while what will cut it starts.
async fn fetch(
    tools: &Tools,
    file: &RemoteFile,
    small: &SpanFile,
    cut: &Cut<'_>,
) -> anyhow::Result<Option<Warm>> {
    let mut sink = File::create(cut.input).await?;
    sink.set_len(small.bytes_total).await?;
    sink.write_all(&small.header).await?;
    sink.flush().await?;
    let copy = async {
        for range in &small.ranges {
            file.copy(range.clone(), &mut sink).await?;
        }
        anyhow::Ok(sink.flush().await?)
    };
    let (copied, warm) = tokio::join!(copy, engine::warm(tools, cut));
    copied.map(|()| warm)
}

async fn plan(file: &RemoteFile, span: Span, kept: Option<&Path>) -> anyhow::Result<Option<SpanFile>> {
    let Some(len) = file.len().filter(|_| file.serves_ranges()) else { return Ok(None) };
    let object = kept.and_then(|path| std::fs::read(path).ok());
    let known = object.and_then(|object| Pieces::decode(&object.into(), len));
    let remote = Remote { file, len };
    let source = Remembering::new(&remote, known.unwrap_or_else(|| Pieces::new(len)));
    let index = match Index::read_part(&source, Part::Span(span)).await {
        Ok(index) => index,
        Err(IndexError::NotIsoBmff | IndexError::Unsupported(_)) => return Ok(None),
        Err(IndexError::Read(error)) => return Err(error.into()),
        Err(other) => bail!("{other}"),
    };
    if let Some((path, object)) = kept.zip(source.into_pieces().encode()) {
        std::fs::write(path, object)?;
    }
    match SpanFile::plan(&index, span, Wanted { video: true, audio: true }) {
        Ok(small) => Ok(Some(small)),
        Err(SpanError::Unsupported(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
