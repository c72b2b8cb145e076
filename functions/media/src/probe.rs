//! Probe: look at a source that is no plain MP4 file: another container, two files, a stream in segments, a web page.
//!
//! ffprobe gets a local file: a stream's first segment, or the beginning and the end of the source in their places, with a hole between them.
//! That is where containers keep what it wants to know, and nothing of a user's URL reaches ffprobe itself.

use std::{io::SeekFrom, ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use domain::{job::Failure, quality::Quality, source::SourceInfo, time::MediaTime, tracks::AudioTrack};
use look::{ProbeAnswer, ProbeRequest, protected, read_index, titled};
use media::{
    ffmpeg::{Probe, ProbeError, Tools},
    measure::{self, Measured},
    mp4::{Index, LocalFile, Part},
};
use runtime::{App, StageError, time_limits};
use serde_json::Value;
use sources::{Container, Limits, RemoteFile, SourceError, sniff, streams::Segment, ytdlp::is_page};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt, AsyncWriteExt},
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
    let wish = Wish { quality: Quality::K4, video: true, audio: true, sound: None };
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
    let ends = fetch_ends(file, &path).await?;
    // ffprobe does not tell, and a server without ranges was not asked for the index.
    if sniff(file.head()) == Container::IsoBmff
        && Index::read(&LocalFile::open(&path).map_err(passing)?)
            .await
            .is_ok_and(|index| index.is_protected())
    {
        return Err(protected().into());
    }
    let found = probe(&path).await?;
    let info = SourceInfo { plays: found.plays_in_browsers(file.head()), ..found.info() };
    let measured = match ends {
        Some(ends) => match measure_ends(&path, &found, ends).await? {
            Some(measured) => Some(measured),
            None => {
                fetch_all(file, &path).await?;
                measure(&path, &found).await?
            }
        },
        None => measure(&path, &found).await?,
    };
    match measured {
        Some(Measured { end, frame, .. }) => {
            Ok(SourceInfo { duration: end, frame: frame.or(info.frame), ..info })
        }
        None => Err(StageError::Job(Failure {
            code: "source_unsupported".to_owned(),
            message: "The source has no picture and no sound that can be read.".to_owned(),
        })),
    }
}

/// How long a source is of which `path` has all.
async fn measure(path: &Path, found: &Probe) -> Result<Option<Measured>, StageError> {
    tools().measure(path, found).await.map_err(passing)
}

/// How long a source is of which `path` has the ends in their places. `None` if only all of it can tell: its clock begins
/// anew, or its packets do not tell when they are.
async fn measure_ends(
    path: &Path,
    found: &Probe,
    (head, tail): Ends,
) -> Result<Option<Measured>, StageError> {
    let measured = match measure::ends(&found.container) {
        measure::Ends::InPlace => {
            let bytes = (tail.end - tail.start, tail.end);
            tools().measure_end(path, found, bytes).await.map_err(passing)?
        }
        measure::Ends::Joined => {
            let joined = path.with_file_name("ends");
            join(path, (head, tail), &joined).await.map_err(passing)?;
            measure(&joined, found).await?
        }
        measure::Ends::Nothing if found.container == "flv" => {
            let bytes = read(path, tail).await.map_err(passing)?;
            let frame = found.frame.unwrap_or_default();
            measure::flv_end(&bytes).map(|last| Measured {
                end: MediaTime(last.0.saturating_add(frame.0)).since(found.zero),
                frame: found.frame,
                restarts: false,
            })
        }
        measure::Ends::Nothing => None,
    };
    Ok(measured.filter(|measured| !measured.restarts))
}

/// Writes the ends of `path` one behind the other.
async fn join(path: &Path, (head, tail): Ends, out: &Path) -> std::io::Result<()> {
    let bytes = [read(path, head).await?, read(path, tail).await?].concat();
    tokio::fs::write(out, bytes).await
}

/// Some bytes of a local file.
async fn read(path: &Path, range: Range<u64>) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path).await?;
    file.seek(SeekFrom::Start(range.start)).await?;
    let mut bytes = Vec::new();
    file.take(range.end - range.start).read_to_end(&mut bytes).await?;
    Ok(bytes)
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
    let (title, has_audio) = (stream.name.clone(), has_audio.unwrap_or_default());
    // One sound alone, or one among others within the segments: there is nothing to choose by.
    let tracks =
        if stream.tracks.is_empty() && has_audio { vec![AudioTrack::only()] } else { stream.tracks.clone() };
    Ok(SourceInfo { title, duration, picture, has_audio, tracks, ..SourceInfo::default() })
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

fn tools() -> Tools {
    Tools { time_limit: time_limits::FFPROBE, ..Tools::default() }
}

async fn probe(path: &Path) -> Result<Probe, StageError> {
    match tools().probe(path).await {
        Ok(probe) => Ok(probe),
        Err(ProbeError::NotAVideo(message)) => {
            Err(StageError::Job(Failure { code: "source_unsupported".to_owned(), message }))
        }
        Err(error) => Err(passing(error)),
    }
}

/// The beginning and the end of a file that are at hand.
type Ends = (Range<u64>, Range<u64>);

/// Fetches all of a file to `path`.
async fn fetch_all(file: &RemoteFile, path: &Path) -> Result<(), StageError> {
    let mut sink = File::create(path).await.map_err(passing)?;
    file.copy_all(&mut sink).await?;
    sink.flush().await.map_err(passing)
}

/// Fetches the ends of a large file to their places; `None` if all of it was fetched.
async fn fetch_ends(file: &RemoteFile, path: &Path) -> Result<Option<Ends>, StageError> {
    let mut ends = None;
    let mut sink = File::create(path).await.map_err(passing)?;
    match file.len().filter(|&len| file.serves_ranges() && len > HEAD_BYTES + TAIL_BYTES) {
        // Fragments are spread over the whole file, and a hole among them would be taken for its end.
        Some(len) if sniff(file.head()) != Container::IsoBmff => {
            file.copy(0..HEAD_BYTES, &mut sink).await?;
            sink.seek(SeekFrom::Start(len - TAIL_BYTES)).await.map_err(passing)?;
            file.copy(len - TAIL_BYTES..len, &mut sink).await?;
            ends = Some((0..HEAD_BYTES, len - TAIL_BYTES..len));
        }
        _ => {
            file.copy_all(&mut sink).await?;
        }
    }
    sink.flush().await.map_err(passing)?;
    Ok(ends)
}
