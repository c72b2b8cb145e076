//! Which of an MP4 file's sounds a job hears: the one that it asked for; else, if there is nothing to be heard in the
//! default one, another of the same language.

use std::path::Path;

use domain::{
    cut::Span,
    job::Job,
    limits::CLIP_DURATION_MAX,
    quality::Format,
    spec::Spec,
    time::MediaTime,
    tracks::{self, AudioWish},
};
use look::read_index_for;
use media::{
    engine::is_silent,
    ffmpeg::Tools,
    mp4::{Index, Part, SpanFile, Wanted},
};
use runtime::{App, StageError};
use sources::RemoteFile;
use tokio::{fs::File, io::AsyncWriteExt as _};
use tracing::info;

use crate::{
    job::{passing, scratch},
    work::told,
};

/// So much of the front of a whole video is listened to.
const FRONT: MediaTime = MediaTime(30_000_000);

/// The most tracks that are listened to.
const TRACKS_MAX: usize = 8;

/// The index of the job's file; `None` if the file has to be fetched whole to be understood.
///
/// # Errors
/// As [`runtime::read_index`].
pub(crate) async fn index(
    app: &App,
    job: &Job,
    file: &RemoteFile,
    part: Part,
) -> Result<Option<Index>, StageError> {
    let objects = Some(app.objects()?);
    let Some(index) = read_index_for(objects, file, part, job.spec.audio()).await? else { return Ok(None) };
    let Ok(Some(chosen)) = tracks::choose(&index.sounds, None) else { return Ok(Some(index)) };
    let is_told = job.spec.audio().is_some() || chosen.right.is_some() || job.spec.format() == Format::Gif;
    if is_told || index.sounds.len() < 2 {
        return Ok(Some(index));
    }
    let span = match &job.spec {
        Spec::Clip(clip) if clip.span.duration() <= CLIP_DURATION_MAX => clip.span,
        Spec::Clip(_) | Spec::Download(_) | Spec::Moments(_) => {
            Span { start: MediaTime::ZERO, end: FRONT.min(job.source.duration).max(MediaTime(1)) }
        }
    };
    let folder = scratch()?;
    if is_heard(&index, file, span, folder.path()).await? {
        return Ok(Some(index));
    }
    for other in tracks::stand_ins(&index.sounds, chosen.track).into_iter().take(TRACKS_MAX) {
        let Some(track) = index.sounds.get(other) else { continue };
        let wish = AudioWish::Number(track.number);
        let Some(another) = read_index_for(objects, file, part, Some(&wish)).await? else { continue };
        if is_heard(&another, file, span, folder.path()).await? {
            info!(track = track.number, "the default sound is silent");
            return Ok(Some(another));
        }
    }
    Ok(Some(index))
}

/// Whether there is anything to be heard in the index's sound. What cannot be taken out of the file is left alone.
async fn is_heard(index: &Index, file: &RemoteFile, span: Span, folder: &Path) -> Result<bool, StageError> {
    let Ok(small) = SpanFile::plan(index, span, Wanted { video: false, audio: true }) else {
        return Ok(true);
    };
    let path = folder.join("sound.mp4");
    let mut sink = File::create(&path).await.map_err(passing)?;
    sink.write_all(&small.header).await.map_err(passing)?;
    for range in &small.ranges {
        file.copy(range.clone(), &mut sink).await?;
    }
    sink.flush().await.map_err(passing)?;
    let local = Span { start: span.start.since(small.origin), end: span.end.since(small.origin) };
    let silent = is_silent(&Tools::default(), (&path, 0), local, folder).await.map_err(told)?;
    Ok(!silent)
}
