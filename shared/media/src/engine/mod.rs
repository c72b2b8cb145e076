//! The media engine: look → plan → execute → verify.
//!
//! Invariant: a clip [start, end) has every frame of the source with start ≤ pts < end and no other, each at its
//! own tick, and its sound begins with the clip's zero to the sample. A clip that was not found to be so is never
//! handed out.
//!
//! There are two ways to execute a plan: the smart cut (`smart`), which copies what it can, and a full encode of the
//! span, which holds always. The first is tried first; its result goes through the same verification, and whatever
//! is in doubt is encoded.
//!
//! An encode that fails is made once more from the beginning of the file, without seeking; if that fails too, the job
//! fails. The job's `method` and the log say which way it went.
//!
//! Starting ffmpeg costs as much as decoding a dozen pictures. So one process encodes both ends of a smart cut, another
//! one verifies them, and both are started while the span is still coming from S3.

mod audio;
mod execute;
mod gif;
mod joined;
mod look;
mod picture;
mod plan;
mod poster;
mod silence;
mod sprite;
mod timeline;
mod verify;

use std::path::{Path, PathBuf};

use domain::{
    cut::Span,
    quality::{Format, Quality},
    time::MediaTime,
    tracks::AudioWish,
};

pub use audio::AudioPlan;
pub(crate) use audio::JOIN;
pub use execute::Progress;
pub use plan::{EncodePlan, Fit, VideoPlan};
pub use poster::poster;
pub use silence::is_silent;
pub use sprite::{Sprite, sprite};
pub use verify::{Verified, VerifyError};

pub(crate) use execute::{Input, encode_sound, silent};
pub(crate) use joined::{joined_plan, sound_plan};
pub(crate) use verify::{Clip, Codecs, Decode, Part, decodes, verify};

use crate::{
    ffmpeg::{ProbeError, Tools},
    mp4::{Index, LocalFile},
    process::ProcessError,
    smart,
};
pub(crate) use look::Looked;
pub use smart::Warm;
use timeline::{Reading, Timeline};

/// The method that holds always.
const ENCODE: &str = "encode";

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The source cannot give this clip. The text is for the person who asked.
    #[error("{0}")]
    Source(String),
    /// FFmpeg complained about the source while it decoded the span.
    #[error("The source is damaged within this span and cannot be decoded cleanly.")]
    Damaged(String),
    /// The clip was made, but is not what was planned.
    #[error("verification failed")]
    Verify(#[from] VerifyError),
    /// A program did not run as it should.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Something else that is not the source's fault; not for people.
    #[error("{0}")]
    Internal(String),
}

impl EngineError {
    fn source(text: &str) -> Self {
        Self::Source(text.to_owned())
    }

    fn no_frame(span: Span) -> Self {
        Self::Source(format!("The source shows no new picture between {} and {}.", span.start, span.end))
    }

    /// The text for the person who asked, when the source is the reason; `None` when we are.
    #[must_use]
    pub fn source_message(&self) -> Option<String> {
        matches!(self, Self::Source(_) | Self::Damaged(_)).then(|| self.to_string())
    }
}

impl From<ProbeError> for EngineError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::NotAVideo(text) => Self::Source(text),
            ProbeError::Process(error) => Self::Process(error),
            ProbeError::Answer(_) => Self::Internal(error.to_string()),
        }
    }
}

/// A clip to make.
#[derive(Clone, Copy, Debug)]
pub struct Cut<'a> {
    /// A local file: the whole source or a [`crate::mp4::SpanFile`].
    pub input: &'a Path,
    /// The source's time at the local file's zero: [`crate::mp4::SpanFile::origin`], or zero for a whole source.
    pub origin: MediaTime,
    /// What to cut out, on the source's timeline.
    pub span: Span,
    /// The container to make.
    pub format: Format,
    /// The largest picture to make.
    pub quality: Quality,
    /// The sound that was asked for, by its place among those of the local file; without meaning in a file with one.
    pub audio: Option<&'a AudioWish>,
    /// The most bytes that a GIF may have.
    pub bytes_max: Option<u64>,
    /// Whether the picture is encoded even where it could be copied: as a share of a clip
    /// ([`crate::fan_out`]) it has to be like the others.
    pub encode: bool,
    /// A directory for the results, which must exist.
    pub out_dir: &'a Path,
}

/// A clip that was made and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The clip, `clip.mp4` for example, in the given directory.
    pub media: PathBuf,
    /// How the clip was found to be.
    pub verified: Verified,
    /// How it was made: `copy` (no frame was encoded), `smart` (only the ends were), `encode`, or `fan_out` (encoded by
    /// several functions).
    pub method: &'static str,
}

/// Makes the clip and verifies it. `progress` goes from 0 to 1.
///
/// # Errors
/// [`EngineError`]; [`EngineError::source_message`] tells whether the source is the reason.
pub async fn cut(tools: &Tools, job: &Cut<'_>, progress: Progress<'_>) -> Result<Output, EngineError> {
    cut_warm(tools, job, None, progress).await
}

/// Starts the programs that [`cut_warm`] will need for this clip, as far as that can be told from the front of the local
/// file, whose length has to be final already. `None` if nothing is to be started, or nothing can be told.
pub async fn warm(tools: &Tools, job: &Cut<'_>) -> Option<Warm> {
    if job.encode || job.format != Format::Mp4 {
        return None;
    }
    let file = LocalFile::open(job.input).ok()?;
    let track = Index::read(&file).await.ok()?.video?;
    track.picture().filter(|picture| picture.fits(job.quality))?;
    Warm::start(tools, &track, job.out_dir).ok()
}

/// As [`cut`], with programs that were started while the local file was still being written.
///
/// # Errors
/// As [`cut`].
pub async fn cut_warm(
    tools: &Tools,
    job: &Cut<'_>,
    warm: Option<Warm>,
    progress: Progress<'_>,
) -> Result<Output, EngineError> {
    let looked = Looked::for_cut(tools, job).await?;
    let media = job.out_dir.join("clip").with_extension(job.format.extension());
    let (verified, method) = match copied(tools, job, &looked, (&media, warm), progress).await? {
        Some(made) => made,
        None => (encoded(tools, job, looked, &media, progress).await?, ENCODE),
    };
    Ok(Output { media, verified, method })
}

/// The clip with all copied that can be, and how it was made; `None` if it has to be encoded as a whole.
async fn copied(
    tools: &Tools,
    job: &Cut<'_>,
    looked: &Looked,
    (out, warm): (&Path, Option<Warm>),
    progress: Progress<'_>,
) -> Result<Option<(Verified, &'static str)>, EngineError> {
    if job.encode || !matches!(job.format, Format::Mp4 | Format::M4a) {
        return Ok(None);
    }
    let (plan, seek) = planned(job, &Timeline::new(tools, job.input, looked), Reading::Quick).await?;
    let input = Input { path: job.input, seek };
    match smart::cut(tools, &smart::Job { plan: &plan, source: looked, input, out }, warm, progress).await {
        Ok(made) => Ok(Some(made)),
        Err(reason) => {
            tracing::info!(method = ENCODE, %reason, "the whole span is encoded");
            Ok(None)
        }
    }
}

/// The clip, encoded as a whole.
async fn encoded(
    tools: &Tools,
    job: &Cut<'_>,
    looked: Looked,
    out: &Path,
    progress: Progress<'_>,
) -> Result<Verified, EngineError> {
    let looked = looked.probed(tools, job.input).await?;
    let timeline = Timeline::new(tools, job.input, &looked);
    match encoded_by(tools, job, &timeline, Reading::Quick, out, progress).await {
        // A seek that landed badly, or a container whose packets are not its frames: once more the slow way.
        Err(error @ (EngineError::Damaged(_) | EngineError::Verify(_))) => {
            tracing::warn!(error = %error, detail = ?error, "cutting again from the beginning of the file");
            encoded_by(tools, job, &timeline, Reading::Thorough, out, progress).await
        }
        other => other,
    }
}

async fn encoded_by(
    tools: &Tools,
    job: &Cut<'_>,
    timeline: &Timeline<'_>,
    reading: Reading,
    out: &Path,
    progress: Progress<'_>,
) -> Result<Verified, EngineError> {
    let (plan, seek) = planned(job, timeline, reading).await?;
    tracing::debug!(?seek, duration_us = plan.duration.0, "encoding");
    let input = Input { path: job.input, seek };
    let plan = match plan.format {
        Format::Gif => gif::gif(tools, &plan, (input, job.bytes_max), out, progress).await?,
        _ => {
            execute::execute(tools, &plan, input, out, progress).await?;
            plan
        }
    };
    let codecs = Codecs::encoded(&plan);
    verify(tools, &plan, Clip { path: out, codecs, decode: &Decode::Whole }).await
}

/// The plan, and where to begin reading.
async fn planned(
    job: &Cut<'_>,
    timeline: &Timeline<'_>,
    reading: Reading,
) -> Result<(EncodePlan, Option<MediaTime>), EngineError> {
    let frames = if job.format.has_picture() { timeline.frames(reading).await? } else { Vec::new() };
    let pts: Vec<i64> = frames.iter().map(|frame| frame.pts).collect();
    let request = plan::Request {
        probe: &timeline.looked.probe,
        pts: &pts,
        origin: job.origin,
        span: job.span,
        format: job.format,
        quality: job.quality,
    };
    let plan = request.plan()?;
    let start = request.local_start();
    let seek = if reading == Reading::Quick { timeline.seek(&frames, &plan, start) } else { None };
    Ok((plan, seek))
}
