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
mod damage;
mod encode;
mod execute;
mod gif;
mod heard;
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
    cut::{Pace, Span},
    quality::{Format, Quality},
    time::MediaTime,
    tracks::AudioWish,
};

pub use audio::AudioPlan;
pub(crate) use audio::JOIN;
pub(crate) use damage::doubtful;
pub use encode::Damage;
pub use execute::Progress;
pub use heard::{HEARD_AT, HEARD_BYTES_A_SECOND, heard};
pub use plan::{EncodePlan, Fit, VideoPlan};
pub use poster::poster;
pub use silence::is_silent;
pub use sprite::{Sprite, sprite};
pub use verify::{Verified, VerifyError};

pub(crate) use execute::{Input, encode_sound, silent};
pub(crate) use joined::{joined_plan, sound_plan};
pub(crate) use verify::{Clip, Codecs, Decode, Part, decodes, verify};

use crate::{
    ffmpeg::{Probe, ProbeError, Tools},
    mp4::{Index, LocalFile},
    process::ProcessError,
    smart,
};
use encode::Encoding;
pub(crate) use look::Looked;
use plan::Request;
pub use smart::Warm;
use timeline::Timeline;

/// The method that holds always.
const ENCODE: &str = "encode";

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The source cannot give this clip. The text is for the person who asked.
    #[error("{0}")]
    Source(String),
    /// Too much of the source cannot be decoded within the span.
    #[error(
        "The source is damaged within this span: more than a tenth of it cannot be decoded. Choose another span, or use \
         another copy of the video."
    )]
    Damaged(String),
    /// The source is not what it says, so that no attempt made the clip that was planned.
    #[error(
        "The source cannot be cut here: what it says of its pictures, its sound or their times is not what is found when \
         they are decoded. Choose another span, or use another form of the video."
    )]
    Unfit(String),
    /// FFmpeg came to no good end.
    #[error("ffmpeg failed: {0}")]
    Failed(String),
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
        match self {
            Self::Source(_) | Self::Damaged(_) | Self::Unfit(_) => Some(self.to_string()),
            // It would be no faster another time.
            Self::Process(ProcessError::TimeLimit { .. } | ProcessError::TooMuchOutput { .. }) => {
                Some("Making this takes too long. Ask for a shorter span or another quality.".to_owned())
            }
            _ => None,
        }
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
    /// How the source's frames follow each other, if the local file has only some of them:
    /// [`crate::mp4::SpanFile::pace`].
    pub pace: Option<Pace>,
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
    /// Where the source is damaged.
    pub damage: Vec<Damage>,
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
    let mut looked = Looked::for_cut(tools, job).await?;
    if job.format.has_picture() {
        looked = looked.listed(tools, job.input).await?;
    }
    let media = job.out_dir.join("clip").with_extension(job.format.extension());
    if let Some((verified, method)) = copied(tools, job, &looked, (&media, warm), progress).await? {
        return Ok(Output { media, verified, damage: Vec::new(), method });
    }
    let looked = looked.probed(tools, job.input).await?;
    let encoding = Encoding { tools, job, looked: &looked, out: &media, progress };
    let (verified, damage) = encoding.run().await?;
    Ok(Output { media, verified, damage, method: ENCODE })
}

/// The clip with all copied that can be, and how it was made; `None` if it has to be encoded as a whole.
async fn copied(
    tools: &Tools,
    job: &Cut<'_>,
    looked: &Looked,
    (out, warm): (&Path, Option<Warm>),
    progress: Progress<'_>,
) -> Result<Option<(Verified, &'static str)>, EngineError> {
    // Only what has an index is copied.
    if job.encode || !matches!(job.format, Format::Mp4 | Format::M4a) || looked.index.is_none() {
        return Ok(None);
    }
    let frames = match &looked.frames {
        None if job.format.has_picture() => return Ok(None),
        frames => frames.as_deref().unwrap_or_default(),
    };
    let pts: Vec<i64> = frames.iter().map(|frame| frame.pts).collect();
    let request = job.request(&looked.probe, &pts);
    let plan = request.plan()?;
    let seek = Timeline::new(tools, job.input, looked).seek(frames, &plan, request.local_start());
    let input = Input { path: job.input, seek };
    match smart::cut(tools, &smart::Job { plan: &plan, source: looked, input, out }, warm, progress).await {
        Ok(made) => Ok(Some(made)),
        Err(reason) => {
            tracing::info!(method = ENCODE, %reason, "the whole span is encoded");
            Ok(None)
        }
    }
}

impl<'a> Cut<'a> {
    /// What the plan of this cut is made from.
    fn request(&self, probe: &'a Probe, pts: &'a [i64]) -> Request<'a> {
        let Self { origin, span, pace, format, quality, .. } = *self;
        Request { probe, pts, origin, span, pace, coded: None, double: &[], format, quality }
    }
}
