//! Joining the shares of a clip that several functions encoded.

use std::path::Path;

use domain::{cut::Span, time::MediaTime};

use super::{
    Reason, blocking,
    mux::{self, From, Shown, Times},
    sound::Sound,
    source::Media,
};
use crate::{
    engine::{
        AudioPlan, Clip, Codecs, Decode, EncodePlan, EngineError, Input, Looked, Part, Verified, VideoPlan,
        joined_plan, sound_plan, verify,
    },
    fan_out::{FanOut, Joining, Share},
    ffmpeg::Tools,
    mp4::{Index, LocalFile, Sample, Track},
};

/// How many pictures are decoded behind each join.
const BEHIND_JOIN: u64 = 4;

/// The pictures of one share.
struct Encoded {
    media: Media,
    track: Track,
    sync: Option<Vec<u32>>,
}

/// Writes the joined clip to `out` and verifies it.
pub(crate) async fn join(tools: &Tools, joining: &Joining<'_>, out: &Path) -> Result<Verified, EngineError> {
    let (plan, codecs) = make(tools, joining, out).await.map_err(|reason| match reason {
        Reason::Verify(error) => EngineError::Verify(error),
        // The decoder's words about the source's sound.
        Reason::Encoder(words) => EngineError::Damaged(words),
        // The source's picture changes between two shares.
        other @ Reason::EndSets => EngineError::Unfit(other.to_string()),
        other => EngineError::Internal(format!("the shares cannot be joined: {other}")),
    })?;
    let decode = decode(joining.fan_out);
    verify(tools, &plan, Clip { path: out, codecs, decode: &decode }).await
}

async fn make(tools: &Tools, joining: &Joining<'_>, out: &Path) -> Result<(EncodePlan, Codecs), Reason> {
    let FanOut { shares, .. } = joining.fan_out;
    if shares.len() != joining.shares.len() {
        return Err(Reason::Samples("a share is missing"));
    }
    let mut encoded = Vec::new();
    for (share, path) in shares.iter().zip(joining.shares) {
        encoded.push(open(share, path).await?);
    }
    let scratch = out.with_extension("parts");
    tokio::fs::create_dir_all(&scratch).await?;
    let heard = sound_of(tools, joining, &scratch).await;
    let made = match heard {
        Ok((audio, sound)) => {
            let plan = joined_plan(joining.fan_out, joining.end, audio);
            let (video, out) = (plan.video.clone().ok_or(Reason::Format)?, out.to_owned());
            let codecs = Codecs { video: "h264", audio: sound.as_ref().map_or("", |sound| sound.codec) };
            blocking(move || write(&encoded, &video, sound.as_ref(), &out)).await.map(|()| (plan, codecs))
        }
        Err(reason) => Err(reason),
    };
    tokio::fs::remove_dir_all(&scratch).await?;
    made
}

async fn open(share: &Share, path: &Path) -> Result<Encoded, Reason> {
    let index = Index::read(&LocalFile::open(path)?).await.map_err(|_| Reason::Index)?;
    let mut track = index.video.ok_or(Reason::Format)?;
    let samples = std::mem::replace(&mut track.samples, Err("moved")).map_err(Reason::Samples)?;
    if samples.list.len() as u64 != share.frames {
        let planned = usize::try_from(share.frames).unwrap_or(usize::MAX);
        return Err(Reason::EndFrames { planned, found: samples.list.len() });
    }
    Ok(Encoded { media: Media::open(path, samples.list)?, track, sync: samples.sync })
}

/// The sound of the whole clip, and its plan.
async fn sound_of(
    tools: &Tools,
    joining: &Joining<'_>,
    scratch: &Path,
) -> Result<(Option<AudioPlan>, Option<Sound>), Reason> {
    let Some((path, origin)) = joining.sound else { return Ok((None, None)) };
    let looked = Looked::at(tools, path).await.map_err(super::told)?;
    let plan = sound_plan(&looked.probe, origin, Span { start: joining.fan_out.zero, end: joining.end });
    let input = Input { path, seek: None };
    Ok((plan, super::sound(tools, plan, &looked, input, scratch).await?))
}

/// Writes the shares one behind the other. They must have one description: the encoder was told to make sets that do
/// not depend on the pictures.
fn write(shares: &[Encoded], plan: &VideoPlan, sound: Option<&Sound>, out: &Path) -> Result<(), Reason> {
    let first = &shares.first().ok_or(Reason::Format)?.track;
    let alike = |share: &Encoded| share.track.stsd == first.stsd && share.track.timescale == first.timescale;
    if !shares.iter().all(alike) {
        return Err(Reason::EndSets);
    }
    let factor = i64::from(first.timescale / plan.time_base.den.max(1));
    if factor * i64::from(plan.time_base.den) != i64::from(first.timescale) {
        return Err(Reason::Timeline);
    }
    let (mut frames, mut done): (Vec<Shown<'_>>, usize) = (Vec::new(), 0);
    for share in shares {
        let list = &share.media.samples;
        let own = list.iter().map(Sample::pts).min().ok_or(Reason::Timeline)?;
        let at = plan.frames.get(done).ok_or(Reason::Timeline)? * factor;
        done += list.len();
        let is_sync = |n: usize| {
            let number = u32::try_from(n).unwrap_or(u32::MAX);
            share.sync.as_ref().is_none_or(|sync| sync.binary_search(&number).is_ok())
        };
        let shown = |(n, sample): (usize, &Sample)| {
            (From::Media(&share.media, n), sample.pts() - own + at, is_sync(n))
        };
        frames.extend(list.iter().enumerate().map(shown));
    }
    let ticks = |at: i64| at * factor;
    let own = VideoPlan {
        first: ticks(plan.first),
        last: ticks(plan.last),
        tail: ticks(plan.tail),
        ..plan.clone()
    };
    let mut lanes = vec![mux::picture_lane(first, first.stsd.clone(), frames, Times::of(&own))?];
    lanes.extend(sound.map(mux::sound_lane));
    mux::write(&mut lanes, out)
}

/// Where the shares meet: each begins with an IDR picture, so that decoding can begin there.
fn decode(fan_out: &FanOut) -> Decode {
    let starts = fan_out.shares.iter().scan(0, |done, share| {
        let start = *done;
        *done += usize::try_from(share.frames).unwrap_or(0);
        fan_out.frames.get(start).map(|pts| (start, *pts, share.frames))
    });
    let part = |(start, pts, frames): (usize, i64, u64)| {
        let from = (start > 0).then(|| MediaTime::from_ticks(pts, fan_out.timescale));
        Part { from, frames: frames.min(BEHIND_JOIN) }
    };
    Decode::Parts(starts.map(part).collect())
}
