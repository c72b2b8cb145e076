//! Looking at a clip before anybody gets it.
//!
//! Invariant: what leaves here decodes from end to end without a word and has the planned frames at the planned
//! ticks.

use std::path::Path;

use domain::{
    cut::Span,
    quality::{Format, PictureSize},
    time::MediaTime,
};

use super::{
    EngineError,
    plan::{EncodePlan, VideoPlan},
};
use crate::ffmpeg::{Args, Colour, Packet, Probe, ProbeError, TimeBase, Tools};

/// A clip as it was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Length in time.
    pub duration: MediaTime,
    /// What it shows of the source: from its own zero to its end.
    pub span: Span,
    /// The picture; `None` for sound alone.
    pub picture: Option<PictureSize>,
    /// What the numbers of the picture mean.
    pub colour: Colour,
    /// How many pictures there are; `None` for sound alone.
    pub frames: Option<u64>,
    /// Length in bytes.
    pub size_bytes: u64,
}

/// How a clip differs from its plan.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It has another length.
    #[error("the clip is {found} long instead of {planned}")]
    Duration {
        /// What was planned.
        planned: MediaTime,
        /// What is there.
        found: MediaTime,
    },
    /// It has other streams, codecs or another picture size.
    #[error("the clip has other streams than planned: {0}")]
    Streams(String),
    /// It has more or fewer frames.
    #[error("the clip has {found} frames instead of {planned}")]
    Frames {
        /// What was planned.
        planned: u64,
        /// What is there.
        found: u64,
    },
    /// A frame is shown at another time.
    #[error("frame {0} of the clip is shown at a wrong time")]
    Timestamps(usize),
    /// It does not decode without complaint.
    #[error("the clip does not decode: {0}")]
    Decode(String),
    /// It cannot be read.
    #[error("the clip cannot be probed")]
    Probe(#[from] ProbeError),
    /// Its length in bytes is not known.
    #[error("the clip cannot be read")]
    Io(#[from] std::io::Error),
}

/// Compares the clip at `path` with its plan.
pub(crate) async fn verify(tools: &Tools, plan: &EncodePlan, path: &Path) -> Result<Verified, EngineError> {
    Ok(look(tools, plan, path).await?)
}

async fn look(tools: &Tools, plan: &EncodePlan, path: &Path) -> Result<Verified, VerifyError> {
    let size_bytes = tokio::fs::metadata(path).await?.len();
    let probe = tools.probe(path).await?;
    streams(plan, &probe)?;
    if probe.duration.0.abs_diff(plan.duration.0) > plan.tolerance.0.unsigned_abs() {
        return Err(VerifyError::Duration { planned: plan.duration, found: probe.duration });
    }
    let decoded = decode(tools, path).await?;
    let mut frames = None;
    if let (Some(planned), Some(stream)) = (&plan.video, &probe.video) {
        let packets = tools.packets(path, stream).await?;
        let slack = u64::from(plan.format == Format::Gif);
        for found in [packets.len() as u64, decoded] {
            if found.abs_diff(planned.frames_out) > slack {
                return Err(VerifyError::Frames { planned: planned.frames_out, found });
            }
        }
        if plan.format == Format::Mp4 {
            timestamps(planned, &packets, stream.time_base)?;
        }
        frames = Some(decoded);
    }
    let (picture, colour) = probe.video.map(|video| (video.shown, video.colour)).unzip();
    let (duration, colour) = (probe.duration, colour.unwrap_or_default());
    Ok(Verified { duration, span: plan.span, picture, colour, frames, size_bytes })
}

fn streams(plan: &EncodePlan, probe: &Probe) -> Result<(), VerifyError> {
    let video_codec = if plan.format == Format::Gif { "gif" } else { "h264" };
    let video = match (&plan.video, &probe.video) {
        (None, None) => true,
        (Some(planned), Some(found)) => found.codec == video_codec && found.shown == planned.picture,
        _ => false,
    };
    let audio = match (&plan.audio, &probe.audio) {
        (None, None) => true,
        (Some(planned), Some(found)) => {
            found.codec == planned.codec(plan.format)
                && found.sample_rate == planned.rate
                && found.channels == planned.channels
        }
        _ => false,
    };
    if video && audio {
        Ok(())
    } else {
        Err(VerifyError::Streams(format!("{:?} {:?}", probe.video, probe.audio)))
    }
}

/// Every frame is shown at its planned tick, compared as fractions without rounding.
fn timestamps(planned: &VideoPlan, packets: &[Packet], found_base: TimeBase) -> Result<(), VerifyError> {
    let mut found: Vec<i64> = packets.iter().filter(|packet| !packet.hidden).filter_map(|p| p.pts).collect();
    found.sort_unstable();
    if found.len() != planned.frames.len() {
        return Err(VerifyError::Frames { planned: planned.frames_out, found: found.len() as u64 });
    }
    let instant = |ticks: i64, this: TimeBase, other: TimeBase| {
        i128::from(ticks) * i128::from(this.num) * i128::from(other.den)
    };
    let same = |(planned_at, found_at): (&i64, &i64)| {
        instant(*planned_at, planned.time_base, found_base)
            == instant(*found_at, found_base, planned.time_base)
    };
    match planned.frames.iter().zip(&found).position(|pair| !same(pair)) {
        None => Ok(()),
        Some(frame) => Err(VerifyError::Timestamps(frame)),
    }
}

/// Decodes everything and counts the pictures.
async fn decode(tools: &Tools, path: &Path) -> Result<u64, VerifyError> {
    let mut frames = 0;
    let mut on_line = |line: &str| {
        if let Some(count) = line.strip_prefix("frame=").and_then(|count| count.trim().parse().ok()) {
            frames = count;
        }
    };
    let args = Args::default()
        .words("-progress pipe:1 -xerror -err_detect explode")
        .input(path)
        .words("-map 0 -fps_mode passthrough -f null -");
    let finished = tools.ffmpeg(args, &mut on_line).await.map_err(ProbeError::from)?;
    if finished.success && finished.stderr.is_empty() {
        Ok(frames)
    } else {
        Err(VerifyError::Decode(finished.stderr))
    }
}
