//! Looking at a clip before anybody gets it.
//!
//! Invariant: what leaves here has the planned frames at the planned ticks, and everything in it that was not copied
//! bit for bit decodes without any message.
//!
//! Checked are the frame count, every frame's time, the streams, the duration, and that the decoder reports nothing. It
//! is given all that was encoded and, behind the first join, what was copied.

use std::path::Path;

use domain::{
    cut::Span,
    quality::{Format, PictureSize},
    time::MediaTime,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{
    EngineError,
    look::Looked,
    plan::{EncodePlan, VideoPlan},
};
use crate::{
    ffmpeg::{Args, Colour, Packet, Probe, ProbeError, TimeBase, Tools},
    process::Fed,
    smart,
};

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

/// How much of a clip is decoded to look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decode {
    /// All: every picture was encoded anew.
    Whole,
    /// These parts: what lies behind the places where shares meet. Each share was decoded when it was made. The first
    /// part begins with the clip.
    Parts(Vec<Part>),
    /// Nothing more: [`decodes`] was given all that was encoded, and the rest is the source's own, bit for bit.
    Done,
}

/// How many decoders run at once.
const DECODERS_MAX: usize = 2;

/// Consecutive pictures of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// When the first one is shown, which is a sync sample; `None` for the beginning of the clip.
    pub(crate) from: Option<MediaTime>,
    /// How many there are.
    pub(crate) frames: u64,
}

/// FFmpeg's names of a clip's codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codecs {
    pub(crate) video: &'static str,
    pub(crate) audio: &'static str,
}

impl Codecs {
    /// What a clip that is encoded as a whole is made of.
    pub(crate) fn encoded(plan: &EncodePlan) -> Self {
        let video = if plan.format == Format::Gif { "gif" } else { "h264" };
        Self { video, audio: plan.audio.map_or("", |audio| audio.codec(plan.format)) }
    }
}

/// A clip to look at.
#[derive(Clone, Copy)]
pub(crate) struct Clip<'a> {
    pub(crate) path: &'a Path,
    pub(crate) codecs: Codecs,
    pub(crate) decode: &'a Decode,
}

/// Compares a clip with its plan.
pub(crate) async fn verify(
    tools: &Tools,
    plan: &EncodePlan,
    clip: Clip<'_>,
) -> Result<Verified, EngineError> {
    Ok(look(tools, plan, clip).await?)
}

async fn look(tools: &Tools, plan: &EncodePlan, clip: Clip<'_>) -> Result<Verified, VerifyError> {
    let size_bytes = tokio::fs::metadata(clip.path).await?.len();
    let Looked { probe, frames: listed, .. } = Looked::at(tools, clip.path).await.map_err(told)?;
    streams(plan, clip.codecs, &probe)?;
    if probe.duration.0.abs_diff(plan.duration.0) > plan.tolerance.0.unsigned_abs() {
        return Err(VerifyError::Duration { planned: plan.duration, found: probe.duration });
    }
    let colour = probe.video.as_ref().map(|video| video.colour.clone()).unwrap_or_default();
    decode(tools, plan, clip).await?;
    if let (Some(planned), Some(stream)) = (&plan.video, &probe.video) {
        let shown = match listed {
            Some(listed) => listed.into_iter().map(|frame| frame.pts).collect(),
            None => shown(tools.packets(clip.path, stream.index).await?),
        };
        count(plan, shown.len() as u64, planned.frames_out)?;
        if plan.format == Format::Mp4 {
            timestamps(planned, shown, stream.time_base)?;
        }
    }
    let frames = plan.video.as_ref().map(|video| video.frames_out);
    let picture = probe.video.map(|video| video.shown);
    Ok(Verified { duration: probe.duration, span: plan.span, picture, colour, frames, size_bytes })
}

fn told(error: EngineError) -> VerifyError {
    VerifyError::Decode(format!("{error:?}"))
}

fn shown(packets: Vec<Packet>) -> Vec<i64> {
    packets.into_iter().filter(|packet| !packet.hidden).filter_map(|packet| packet.pts).collect()
}

/// A GIF may have a picture more or less: its clock counts in hundredths.
fn count(plan: &EncodePlan, found: u64, planned: u64) -> Result<(), VerifyError> {
    let slack = u64::from(plan.format == Format::Gif);
    if found.abs_diff(planned) <= slack { Ok(()) } else { Err(VerifyError::Frames { planned, found }) }
}

fn streams(plan: &EncodePlan, codecs: Codecs, probe: &Probe) -> Result<(), VerifyError> {
    let video = match (&plan.video, &probe.video) {
        (None, None) => true,
        (Some(planned), Some(found)) => found.codec == codecs.video && found.shown == planned.picture,
        _ => false,
    };
    let audio = match (&plan.audio, &probe.audio) {
        (None, None) => true,
        (Some(planned), Some(found)) => {
            found.codec == codecs.audio
                && found.sample_rate == planned.rate
                && (found.channels == planned.channels || smart::SURROUND.contains(&codecs.audio))
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
fn timestamps(planned: &VideoPlan, mut found: Vec<i64>, found_base: TimeBase) -> Result<(), VerifyError> {
    found.sort_unstable();
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

/// Decodes what is to be decoded, all parts at once.
async fn decode(tools: &Tools, plan: &EncodePlan, clip: Clip<'_>) -> Result<(), VerifyError> {
    let planned = plan.video.as_ref().map_or(0, |video| video.frames_out);
    let parts: Vec<(Args, u64)> = match clip.decode {
        Decode::Whole => vec![(decoder(None, clip.path).words("-map 0"), planned)],
        Decode::Parts(parts) => {
            let part = |part: &Part| {
                let sound = sound_frames(plan, part.frames);
                let words = format!("-map 0:v:0 -frames:v {} -map 0:a? -frames:a {sound}", part.frames);
                (decoder(part.from, clip.path).words(&words), part.frames)
            };
            parts.iter().map(part).collect()
        }
        Decode::Done => Vec::new(),
    };
    let runs = parts.into_iter().map(|(args, frames)| async move {
        let decoded = pictures(tools, args, None).await?;
        if plan.video.is_some() { count(plan, decoded, frames) } else { Ok(()) }
    });
    futures_util::stream::iter(runs).buffer_unordered(DECODERS_MAX).try_collect().await
}

/// Decodes a file that is yet to come, which must not make the decoder say a word. Returns how many pictures it shows.
pub(crate) async fn decodes(tools: &Tools, input: Fed) -> Result<u64, VerifyError> {
    // What is decoded is not looked at: without the filter that smooths it the same is read of the stream.
    let args = Args::default().words(STRICTLY).words("-skip_loop_filter all").piped().words("-map 0");
    pictures(tools, args, Some(input)).await
}

/// Tell the progress, and fail at the first thing that is wrong.
const STRICTLY: &str = "-progress pipe:1 -xerror -err_detect explode";

fn decoder(from: Option<MediaTime>, path: &Path) -> Args {
    let args = Args::default().words(STRICTLY);
    let args = match from {
        // A little later, so that rounding does not lead to the group before.
        Some(at) => args.words(&format!("-ss {:.6} -noaccurate_seek", at.seconds() + 0.000_5)),
        None => args,
    };
    args.input(path)
}

/// How many packets of sound go along with so many pictures: about as long as these, never longer than the clip.
fn sound_frames(plan: &EncodePlan, pictures: u64) -> u64 {
    let all = plan.audio.map_or(0, |audio| (audio.to - audio.from) / 1152).unsigned_abs();
    let frames = plan.video.as_ref().map_or(1, |video| video.frames_out.max(1));
    (all.saturating_mul(pictures) / frames).max(1)
}

/// Runs a decoder and counts its pictures. It must not say a word.
async fn pictures(tools: &Tools, args: Args, input: Option<Fed>) -> Result<u64, VerifyError> {
    let mut frames = 0;
    let mut on_line = |line: &str| {
        if let Some(count) = line.strip_prefix("frame=").and_then(|count| count.trim().parse().ok()) {
            frames = count;
        }
    };
    // On the clip's own clock: on one that counts in frames, frames that are not evenly apart would meet.
    let args = args.words("-fps_mode passthrough -enc_time_base:v -1 -f null -");
    let finished = tools.ffmpeg_fed(args, input, &mut on_line).await.map_err(ProbeError::from)?;
    if finished.success && finished.stderr.is_empty() {
        Ok(frames)
    } else {
        Err(VerifyError::Decode(finished.stderr))
    }
}
