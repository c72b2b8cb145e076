//! Probe: look at a source that is no plain MP4 file, with ffprobe, and at web pages, with yt-dlp.
//!
//! ffprobe gets a local file: the beginning and the end of the source in their places, with a hole between them.
//! That is where containers keep what it wants to know, and nothing of a user's URL reaches ffprobe itself.

use std::{io::SeekFrom, path::Path, sync::Arc, time::Duration};

use domain::{job::Failure, source::SourceInfo};
use media::{
    ffmpeg::{ProbeError, Tools},
    mp4::Part,
};
use runtime::{App, ProbeAnswer, ProbeRequest, StageError, read_index, titled};
use serde_json::Value;
use sources::{Container, Limits, RemoteFile, SourceError, sniff, ytdlp::is_page};
use tokio::{
    fs::File,
    io::{AsyncSeekExt, AsyncWriteExt},
};

use crate::{
    job::{passing, scratch},
    page,
    source::Source,
};

const LIMITS: Limits = Limits { silence: Duration::from_secs(8), bytes_max: 512 << 20 };
/// The caller has a client waiting: see `runtime`'s own limit.
const TIME_LIMIT: Duration = Duration::from_secs(20);
const HEAD_BYTES: u64 = 8 << 20;
const TAIL_BYTES: u64 = 4 << 20;

/// Looks at the source `{url}`. A source that is at fault is an answer, not an error.
///
/// # Errors
/// [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let request: ProbeRequest = serde_json::from_value(input).map_err(passing)?;
    let looked = tokio::time::timeout(TIME_LIMIT, look(&app, &request.url)).await;
    let answer = match looked.unwrap_or_else(|_| Err(SourceError::Stalled.into())) {
        Ok(info) => ProbeAnswer::Source(info),
        Err(StageError::Job(failure)) => ProbeAnswer::Failure(failure),
        Err(error) => return Err(error),
    };
    serde_json::to_value(answer).map_err(passing)
}

async fn look(app: &App, url: &str) -> Result<SourceInfo, StageError> {
    if !is_page(url) {
        let file = app.sources(LIMITS)?.open(url).await?;
        if sniff(file.head()) != Container::WebPage {
            return look_at_file(&file).await;
        }
    }
    page::describe(app, url, TIME_LIMIT, LIMITS, async |source| match source {
        Source::File(file) => look_at_file(&file).await,
        Source::Pair { video, audio } => {
            let (video, audio) = tokio::try_join!(look_at_file(&video), look_at_file(&audio))?;
            Ok(SourceInfo { duration: video.duration.max(audio.duration), has_audio: true, ..video })
        }
    })
    .await
}

/// Reads what it takes of a file to describe it.
async fn look_at_file(file: &RemoteFile) -> Result<SourceInfo, StageError> {
    if file.serves_ranges()
        && let Some(index) = read_index(None, file, Part::Description).await?
    {
        return Ok(titled(index.info(), file));
    }
    let folder = scratch()?;
    let path = folder.path().join("source");
    fetch_ends(file, &path).await?;
    let tools = Tools { time_limit: TIME_LIMIT, ..Tools::default() };
    match tools.probe(&path).await {
        Ok(probe) => Ok(titled(probe.info(), file)),
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
