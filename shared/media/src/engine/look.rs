//! What is known of a local file before any of it is decoded.
//!
//! An MP4 file with plain H.264 or H.265 and AAC, which is what most clips are cut from, tells all of it in its index,
//! and no program has to be started. Everything else is looked at by `ffprobe`.

use std::path::Path;

use domain::{quality::Format, time::MediaTime, tracks::AudioWish};

use super::{Cut, EngineError, silence};
use crate::{
    ffmpeg::{AudioStream, Probe, TimeBase, Tools, VideoStream},
    mp4::{Aac, Index, LocalFile, Part, Sample, Track},
    smart,
};

/// A frame of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Presentation time in ticks of the video stream.
    pub(crate) pts: i64,
    /// Whether decoding can begin here.
    pub(crate) key: bool,
}

/// A local file that was looked at.
pub(crate) struct Looked {
    pub(crate) probe: Probe,
    /// The file's index, if it is an MP4 file that has one.
    pub(crate) index: Option<Index>,
    /// The shown frames as the index has them, or the container, in decoding order.
    pub(crate) frames: Option<Vec<Frame>>,
    /// The sound that was chosen, where it is not the default one.
    wish: Option<AudioWish>,
}

impl Looked {
    /// Looks with the sound that the cut wants: the one that was asked for; else, if the default one is silent within the
    /// span, another of the same language that is not.
    pub(crate) async fn for_cut(tools: &Tools, job: &Cut<'_>) -> Result<Self, EngineError> {
        let looked = Self::with(tools, job.input, job.audio).await?;
        if job.audio.is_some() || looked.probe.sounds.len() < 2 || job.format == Format::Gif {
            return Ok(looked);
        }
        match silence::stand_in(tools, job, &looked.probe).await? {
            Some(wish) => Self::with(tools, job.input, Some(&wish)).await,
            None => Ok(looked),
        }
    }

    /// Looks with the default sound.
    pub(crate) async fn at(tools: &Tools, path: &Path) -> Result<Self, EngineError> {
        Self::with(tools, path, None).await
    }

    async fn with(tools: &Tools, path: &Path, wish: Option<&AudioWish>) -> Result<Self, EngineError> {
        let file = LocalFile::open(path).map_err(|error| EngineError::Internal(error.to_string()))?;
        let index = Index::read_for(&file, Part::Whole, wish).await.ok();
        let wish = wish.cloned();
        let probe = match index.as_ref().and_then(probe) {
            Some(probe) => probe,
            None => {
                let probe = tools.probe_for(path, wish.as_ref()).await?;
                return Ok(Self { probe, index, frames: None, wish });
            }
        };
        let frames = index.as_ref().and_then(|index| index.video.as_ref()).and_then(frames);
        Ok(Self { probe, index, frames, wish })
    }

    /// The same file with the frames that its container lists, if that tells when they are shown.
    pub(crate) async fn listed(mut self, tools: &Tools, path: &Path) -> Result<Self, EngineError> {
        if let (None, Some(video)) = (&self.frames, &self.probe.video) {
            let packets = tools.packets(path, video.index).await?;
            let timed = !packets.is_empty() && packets.iter().all(|packet| packet.pts.is_some());
            let shown = packets.iter().filter(|packet| !packet.hidden);
            self.frames =
                timed.then(|| shown.filter_map(|p| p.pts.map(|pts| Frame { pts, key: p.key })).collect());
        }
        Ok(self)
    }

    /// The same file in the words of `ffprobe`, which knows more of colours and fields than is looked at here: enough to
    /// copy pictures, not to convert them.
    pub(crate) async fn probed(self, tools: &Tools, path: &Path) -> Result<Self, EngineError> {
        if self.index.as_ref().and_then(probe).is_none() {
            return Ok(self);
        }
        Ok(Self { probe: tools.probe_for(path, self.wish.as_ref()).await?, ..self })
    }
}

/// What `ffprobe` would say; `None` for whatever it may see otherwise.
fn probe(index: &Index) -> Option<Probe> {
    let video = match &index.video {
        Some(track) => Some(video(track)?),
        None => None,
    };
    let audio = match &index.audio {
        Some(track) => Some(audio(track)?),
        None => None,
    };
    let one = video.is_some() || audio.is_some();
    one.then(|| Probe {
        container: "mp4".to_owned(),
        duration: index.duration(),
        zero: MediaTime::ZERO,
        start: MediaTime::ZERO,
        video,
        audio,
        title: index.title.clone(),
        frame: index.video.as_ref().and_then(Track::frame),
        sounds: index.sounds.clone(),
    })
}

fn video(track: &Track) -> Option<VideoStream> {
    let smart::Coded { codec, picture, colour } = smart::coded_picture(track)?;
    let shown = track.square_picture(picture)?;
    let time_base = TimeBase { num: 1, den: track.timescale };
    Some(VideoStream {
        index: track.number,
        codec: codec.to_owned(),
        time_base,
        upright: shown,
        shown,
        turned: false,
        colour,
        may_interlace: false,
    })
}

fn audio(track: &Track) -> Option<AudioStream> {
    let Aac { rate, channels } = track.samples.as_ref().ok().and(Aac::read(&track.stsd))?;
    Some(AudioStream {
        index: track.number,
        codec: "aac".to_owned(),
        time_base: TimeBase { num: 1, den: track.timescale },
        sample_rate: rate,
        channels,
        right: None,
        bits: 0,
    })
}

fn frames(track: &Track) -> Option<Vec<Frame>> {
    let samples = track.samples.as_ref().ok()?;
    let key = |n: usize| {
        let number = u32::try_from(n);
        samples.sync.as_ref().is_none_or(|sync| number.is_ok_and(|n| sync.binary_search(&n).is_ok()))
    };
    let shown = samples.list.iter().map(Sample::pts).enumerate().filter(|(_, pts)| track.shown.contains(pts));
    Some(shown.map(|(n, pts)| Frame { pts, key: key(n) }).collect())
}
