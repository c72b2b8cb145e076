//! When the frames of a local file are shown, and where to begin reading it.

use std::path::Path;

use domain::time::MediaTime;

use super::{
    EngineError,
    look::{Frame, Looked},
    plan::EncodePlan,
};
use crate::ffmpeg::Tools;

/// How far before the clip reading begins at least, so that sound which lies later in the file than the picture of
/// the same instant is there too.
const SEEK_MARGIN: MediaTime = MediaTime(5_000_000);

/// Below this, reading from the beginning costs less than a seek that lands badly.
const SEEK_MIN: MediaTime = MediaTime(20_000_000);

/// A local file and its frames.
pub(crate) struct Timeline<'a> {
    tools: &'a Tools,
    path: &'a Path,
    pub(crate) looked: &'a Looked,
}

impl<'a> Timeline<'a> {
    pub(crate) const fn new(tools: &'a Tools, path: &'a Path, looked: &'a Looked) -> Self {
        Self { tools, path, looked }
    }

    /// The shown frames in the file's own order, as its container lists them; none without video.
    pub(crate) async fn frames(&self) -> Result<Vec<Frame>, EngineError> {
        let Some(video) = &self.looked.probe.video else { return Ok(Vec::new()) };
        if let Some(frames) = &self.looked.frames {
            return Ok(frames.clone());
        }
        // AVI and elementary streams leave presentation times to the decoder.
        let frames = self.tools.frames(self.path, video).await?;
        Ok(frames.into_iter().map(|pts| Frame { pts, key: false }).collect())
    }

    /// Where to begin reading, on the file's own clock; `None` for the beginning. `start` is where the clip starts.
    pub(crate) fn seek(&self, frames: &[Frame], plan: &EncodePlan, start: MediaTime) -> Option<MediaTime> {
        let latest = MediaTime(start.0.saturating_sub(SEEK_MARGIN.0));
        if latest.since(self.looked.probe.zero) < SEEK_MIN {
            return None;
        }
        let (Some(stream), Some(_)) = (&self.looked.probe.video, &plan.video) else {
            return Some(latest); // sound alone can be decoded from anywhere
        };
        let time = |pts: i64| {
            MediaTime::from_ticks(pts.saturating_mul(stream.time_base.num.into()), stream.time_base.den)
        };
        frames.iter().filter(|frame| frame.key).map(|frame| time(frame.pts)).filter(|at| *at <= latest).max()
    }
}
