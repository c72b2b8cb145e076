//! The media engine: plan → execute → verify → poster.
//!
//! Invariant: a clip [start, end) has every frame of the source with start ≤ pts < end and no other, each at its
//! own tick, and its sound begins with the clip's zero to the sample. A clip that was not found to be so is never
//! handed out.
//!
//! There are two ways to execute a plan: the smart cut (`smart`), which copies what it can, and a full encode of the
//! span, which holds always. The first is tried first; its result goes through the same verification, and whatever
//! is in doubt is encoded.

mod audio;
mod execute;
mod gif;
mod picture;
mod plan;
mod sprite;
mod timeline;
mod verify;

use std::path::{Path, PathBuf};

use domain::{
    cut::Span,
    quality::{Format, PictureSize, Quality},
    time::MediaTime,
};

pub use audio::AudioPlan;
pub use execute::Progress;
pub use plan::{EncodePlan, Fit, VideoPlan};
pub use sprite::{Sprite, sprite};
pub use verify::{Verified, VerifyError};

pub(crate) use execute::{Input, encode_sound, silent};
pub(crate) use verify::verify;

use crate::{
    ffmpeg::{ProbeError, ProcessError, Tools},
    smart,
};
use timeline::{Reading, Timeline};

/// The longest side of a poster in pixels: what a share page shows.
const POSTER_SIDE_MAX: u32 = 1280;

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
    /// A directory for the results, which must exist.
    pub out_dir: &'a Path,
}

/// A clip that was made and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The clip, `clip.mp4` for example, in the given directory.
    pub media: PathBuf,
    /// The first picture as `poster.jpg`; `None` for sound alone.
    pub poster: Option<PathBuf>,
    /// How the clip was found to be.
    pub verified: Verified,
    /// How it was made: `copy` (no frame was encoded), `smart` (only the ends were) or `encode`.
    pub method: &'static str,
}

/// Makes the clip, verifies it and makes its poster. `progress` goes from 0 to 1.
///
/// # Errors
/// [`EngineError`]; [`EngineError::source_message`] tells whether the source is the reason.
pub async fn cut(tools: &Tools, job: &Cut<'_>, progress: Progress<'_>) -> Result<Output, EngineError> {
    let probe = tools.probe(job.input).await?;
    let media = job.out_dir.join("clip").with_extension(job.format.extension());
    let timeline = Timeline::new(tools, job.input, &probe);
    let first = attempt(tools, job, &timeline, Reading::Quick, &media, progress).await;
    let (verified, method) = match first {
        // A seek that landed badly, or a container whose packets are not its frames: once more the slow way.
        Err(error @ (EngineError::Damaged(_) | EngineError::Verify(_))) => {
            tracing::warn!(error = %error, detail = ?error, "cutting again from the beginning of the file");
            attempt(tools, job, &timeline, Reading::Thorough, &media, progress).await?
        }
        other => other?,
    };
    let poster = match verified.picture {
        Some(picture) => {
            let path = job.out_dir.join("poster.jpg");
            execute::poster(tools, &media, &verified.colour, (picture, poster_size(picture)), &path).await?;
            Some(path)
        }
        None => None,
    };
    Ok(Output { media, poster, verified, method })
}

/// The clip at `media` and how it was made.
async fn attempt(
    tools: &Tools,
    job: &Cut<'_>,
    timeline: &Timeline<'_>,
    reading: Reading,
    media: &Path,
    progress: Progress<'_>,
) -> Result<(Verified, &'static str), EngineError> {
    let frames = if job.format.has_picture() { timeline.frames(reading).await? } else { Vec::new() };
    let pts: Vec<i64> = frames.iter().map(|frame| frame.pts).collect();
    let request = plan::Request {
        probe: timeline.probe,
        pts: &pts,
        origin: job.origin,
        span: job.span,
        format: job.format,
        quality: job.quality,
    };
    let plan = request.plan()?;
    let start = request.local_start();
    let seek = if reading == Reading::Quick { timeline.seek(&frames, &plan, start) } else { None };
    let input = Input { path: job.input, seek };
    if reading == Reading::Quick && matches!(job.format, Format::Mp4 | Format::M4a) {
        let smart = smart::Job { plan: &plan, audio: timeline.probe.audio.as_ref(), input, out: media };
        match smart::cut(tools, &smart, progress).await {
            Ok(made) => return Ok(made),
            Err(reason) => tracing::info!(method = ENCODE, %reason, "the whole span is encoded"),
        }
    }
    tracing::debug!(?seek, duration_us = plan.duration.0, "encoding");
    execute::execute(tools, &plan, input, media, progress).await?;
    Ok((verify(tools, &plan, media).await?, ENCODE))
}

/// The largest size of the same shape within [`POSTER_SIDE_MAX`], never larger than the picture.
fn poster_size(picture: PictureSize) -> PictureSize {
    let long = picture.width.max(picture.height);
    if long <= POSTER_SIDE_MAX {
        return picture;
    }
    let side = |side: u32| (u64::from(side) * u64::from(POSTER_SIDE_MAX) / u64::from(long)).max(2);
    let even = |side: u64| u32::try_from(side / 2 * 2).unwrap_or(2);
    PictureSize { width: even(side(picture.width)), height: even(side(picture.height)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poster_keeps_the_shape() {
        let size = |width, height| PictureSize { width, height };
        assert_eq!(poster_size(size(1080, 1920)), size(720, 1280));
        assert_eq!(poster_size(size(320, 180)), size(320, 180));
        assert_eq!(poster_size(size(8000, 2)), size(1280, 2));
    }
}
