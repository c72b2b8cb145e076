//! Probe: look at a source that is no plain MP4 file: another container, two files, a stream in segments, a web page.
//!
//! ffprobe gets a local file: a stream's first segment, or the beginning and the end of the source in their places, with a hole between them.
//! That is where containers keep what it wants to know, and nothing of a user's URL reaches ffprobe itself.

use std::{io::SeekFrom, path::Path, sync::Arc};

use bytes::Bytes;
use domain::{job::Failure, quality::Quality, source::SourceInfo};
use look::{ProbeAnswer, ProbeRequest, read_index, titled};
use media::{
    ffmpeg::{Probe, ProbeError, Tools},
    mp4::Part,
};
use runtime::{App, StageError, time_limits};
use serde_json::Value;
use sources::{Container, Limits, RemoteFile, SourceError, sniff, streams::Segment, ytdlp::is_page};
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt},
};

use crate::{
    job::{passing, scratch},
    opening::Opening,
    page,
    source::Source,
    stream::{Stream, Wish},
};

pub(crate) const LIMITS: Limits = Limits { silence: time_limits::SILENCE, bytes_max: 512 << 20 };
const HEAD_BYTES: u64 = 8 << 20;
const TAIL_BYTES: u64 = 4 << 20;

/// Looks at the source `{url}`. A source that is at fault is an answer, not an error.
///
/// # Errors
/// [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let request: ProbeRequest = serde_json::from_value(input).map_err(passing)?;
    let looked = tokio::time::timeout(request.time_limit(), look(&app, &request.url)).await;
    let answer = match looked.unwrap_or_else(|_| Err(SourceError::Stalled.into())) {
        Ok(info) => ProbeAnswer::Source(info),
        Err(StageError::Job(failure)) => ProbeAnswer::Failure(failure),
        Err(error) => return Err(error),
    };
    serde_json::to_value(answer).map_err(passing)
}

async fn look(app: &App, url: &str) -> Result<SourceInfo, StageError> {
    if is_page(url) {
        return page::describe(app, url, (time_limits::PAGE, LIMITS), look_at_source).await;
    }
    // The most that can be delivered.
    let wish = Wish { quality: Quality::K4, video: true, audio: true };
    match Source::open_url(app, url, LIMITS, wish).await? {
        Source::File(file) if sniff(file.head()) == Container::WebPage => {
            page::describe(app, url, (time_limits::PAGE, LIMITS), look_at_source).await
        }
        source => look_at_source(source).await,
    }
}

async fn look_at_source(source: Source) -> Result<SourceInfo, StageError> {
    let folder = scratch()?;
    match &source {
        Source::File(file) => Ok(titled(look_at(file, folder.path()).await?, file)),
        Source::Pair { video, audio } => {
            let (seen, heard) = (look_at(video, folder.path()).await?, look_at(audio, folder.path()).await?);
            let duration = seen.duration.max(heard.duration);
            Ok(titled(SourceInfo { duration, has_audio: true, plays: false, ..seen }, video))
        }
        Source::Stream(stream) => look_at_stream(stream, folder.path()).await,
    }
}

/// What one file is, but for its name.
pub(crate) async fn look_at(file: &RemoteFile, folder: &Path) -> Result<SourceInfo, StageError> {
    if file.serves_ranges()
        && let Some(index) = read_index(None, file, Part::Description).await?
    {
        return Ok(SourceInfo { plays: index.plays_in_browsers(), ..index.info() });
    }
    let path = folder.join("source");
    fetch_ends(file, &path).await?;
    let found = probe(&path).await?;
    Ok(SourceInfo { plays: found.plays_in_browsers(file.head()), ..found.info() })
}

/// Its playlist tells how long it is and often what; else its first segment does.
async fn look_at_stream(stream: &Stream, folder: &Path) -> Result<SourceInfo, StageError> {
    let duration = stream.duration();
    let (mut picture, mut has_audio) = (stream.picture, stream.has_audio);
    if picture.is_none() || has_audio.is_none() {
        let first = stream.lanes.first().and_then(|lane| lane.segments.first());
        let first = first.ok_or_else(|| passing("a rendition without segments"))?;
        let found = look_at_segment(stream, first, folder).await?;
        picture = found.picture;
        has_audio = Some(found.has_audio || stream.lanes.len() > 1);
    }
    let has_audio = has_audio.unwrap_or_default();
    Ok(SourceInfo { title: stream.name.clone(), duration, picture, has_audio, ..SourceInfo::default() })
}

/// What a segment has, told by its beginning; by all of it only if that is not enough.
async fn look_at_segment(
    stream: &Stream,
    segment: &Segment,
    folder: &Path,
) -> Result<SourceInfo, StageError> {
    let opening = Opening::look(stream, segment).await?;
    let path = folder.join("segment");
    let write = |bytes: Bytes| tokio::fs::write(&path, [&opening.init[..], &bytes].concat());
    write(opening.bytes.clone()).await.map_err(passing)?;
    match probe(&path).await.map(|found| found.info()) {
        Ok(info) if info.picture.is_some() == opening.begins.picture.is_some() => return Ok(info),
        Ok(_) | Err(StageError::Job(_)) => {}
        Err(error) => return Err(error),
    }
    write(stream.read(&segment.piece).await?).await.map_err(passing)?;
    Ok(probe(&path).await?.info())
}

async fn probe(path: &Path) -> Result<Probe, StageError> {
    let tools = Tools { time_limit: time_limits::FFPROBE, ..Tools::default() };
    match tools.probe(path).await {
        Ok(probe) => Ok(probe),
        Err(ProbeError::NotAVideo(message)) => {
            Err(StageError::Job(Failure { code: "source_unsupported".to_owned(), message }))
        }
        Err(error) => Err(passing(error)),
    }
}

async fn fetch_ends(file: &RemoteFile, path: &Path) -> Result<(), StageError> {
    let mut sink = File::create(path).await.map_err(passing)?;
    match file.len().filter(|&len| file.serves_ranges() && len > HEAD_BYTES + TAIL_BYTES) {
        // Fragments are spread over the whole file, and a hole among them would be taken for its end.
        Some(len) if sniff(file.head()) != Container::IsoBmff => {
            file.copy(0..HEAD_BYTES, &mut sink).await?;
            sink.seek(SeekFrom::Start(len - TAIL_BYTES)).await.map_err(passing)?;
            file.copy(len - TAIL_BYTES..len, &mut sink).await?;
        }
        _ => {
            file.copy_all(&mut sink).await?;
        }
    }
    sink.flush().await.map_err(passing)
}
