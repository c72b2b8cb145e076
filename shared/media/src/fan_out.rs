//! A long encode by several functions: each encodes a share of the span, and the shares are joined by our own muxer.
//!
//! Invariant: the joined clip has the frames that one encode would have, each at the same tick. All shares are encoded
//! with the same settings and the same parameter sets, each begins with an IDR picture, and the sound is made once,
//! for the whole clip.

use std::path::{Path, PathBuf};

use domain::{
    cut::{FrameRange, Pace, Span, ticks_ceil},
    fan_out::{Encode, share_out},
    quality::{PictureSize, Quality},
    time::MediaTime,
};
use serde::{Deserialize, Serialize};

use crate::{
    engine::{EngineError, Output},
    ffmpeg::Tools,
    mp4::{Index, Sample},
    smart,
};

/// How a clip is shared out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOut {
    /// Ticks a second of the source's picture.
    pub timescale: u32,
    /// The clip's zero on the source's timeline.
    pub zero: MediaTime,
    /// When each frame is shown on the clip's own timeline, in ticks, rising.
    pub frames: Vec<i64>,
    /// How long the last frame is shown, in ticks.
    pub tail: i64,
    /// The delivered picture.
    pub picture: PictureSize,
    /// How the source's frames follow each other, by which each share decides what the whole did.
    #[serde(default)]
    pub pace: Option<Pace>,
    /// In order; together they are the span.
    pub shares: Vec<Share>,
}

/// What one function encodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// On the source's timeline.
    pub span: Span,
    /// How many frames are in it.
    pub frames: u64,
}

impl FanOut {
    /// Shares out the encode of `span`; `None` if the picture can be copied, if one function is enough, or if there is
    /// nowhere to part it.
    #[must_use]
    pub fn plan(index: &Index, span: Span, quality: Quality) -> Option<Self> {
        let track = index.video.as_ref()?;
        let source = track.picture()?;
        let delivered = source.delivered(quality);
        if delivered == source && smart::may_copy(track) {
            return None;
        }
        let frames = track.samples.as_ref().ok()?.list.iter().filter(|sample| {
            track.shown.contains(&sample.pts())
                && span.contains(MediaTime::from_ticks(sample.pts(), track.timescale))
        });
        let work = Encode { source, delivered, frames: frames.count() as u64 };
        Self::among(index, span, quality, work.shares())
    }

    /// Shares out the encode of `span` among so many functions, or fewer; `None` if it cannot be parted.
    #[must_use]
    pub fn among(index: &Index, span: Span, quality: Quality, shares: usize) -> Option<Self> {
        let track = index.video.as_ref()?;
        let (picture, samples) = (track.picture()?.delivered(quality), track.samples.as_ref().ok()?);
        let time = |pts: i64| MediaTime::from_ticks(pts, track.timescale);
        let pace = index.pace();
        let mut pts: Vec<i64> = samples.list.iter().map(Sample::pts).collect();
        pts.retain(|pts| track.shown.contains(pts));
        let range = FrameRange::select(span, pts.iter().copied(), track.timescale, pace)?;
        let origin = range.origin(span, track.timescale);
        pts.retain(|pts| (range.first..=range.last).contains(pts));
        // A held picture is shown when the span starts.
        pts.iter_mut().for_each(|pts| *pts = (*pts).max(origin));
        pts.sort_unstable();
        let mut borders: Vec<MediaTime> = match &samples.sync {
            Some(sync) => {
                let samples = sync.iter().filter_map(|n| samples.list.get(*n as usize));
                samples.map(|sample| time(sample.pts())).collect()
            }
            None => pts.iter().map(|pts| time(*pts)).collect(),
        };
        borders.sort_unstable();
        let share = |span: Span| {
            let frames = pts.iter().filter(|pts| span.contains(time(**pts))).count() as u64;
            (frames > 0).then_some(Share { span, frames })
        };
        let shares = share_out(span, shares, &borders).into_iter().map(share).collect::<Option<Vec<_>>>()?;
        (shares.len() > 1).then(|| Self {
            timescale: track.timescale,
            zero: time(origin),
            tail: (ticks_ceil(span.end, track.timescale) - range.last.max(origin)).max(1),
            frames: pts.iter().map(|pts| pts - origin).collect(),
            picture,
            pace: Some(pace),
            shares,
        })
    }
}

/// The encoded shares of a clip.
#[derive(Clone, Copy, Debug)]
pub struct Joining<'a> {
    /// How they were shared out.
    pub fan_out: &'a FanOut,
    /// The shares as MP4 files, in order.
    pub shares: &'a [PathBuf],
    /// The source's sound, or a span file of it, and the source's time at its zero.
    pub sound: Option<(&'a Path, MediaTime)>,
    /// The end of the clip on the source's timeline.
    pub end: MediaTime,
    /// A directory for the results, which must exist.
    pub out_dir: &'a Path,
}

/// Joins the shares to `clip.mp4` and verifies it.
///
/// # Errors
/// [`EngineError`].
pub async fn join(tools: &Tools, joining: &Joining<'_>) -> Result<Output, EngineError> {
    let media = joining.out_dir.join("clip.mp4");
    let verified = smart::join(tools, joining, &media).await?;
    Ok(Output { media, verified, damage: Vec::new(), method: "fan_out" })
}
