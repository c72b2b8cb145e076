//! The plan of a clip that is joined from shares.

use domain::{
    cut::Span,
    quality::{Format, Quality},
    time::MediaTime,
};

use super::audio::AudioPlan;
use super::plan::{EncodePlan, Fit, MP4_TOLERANCE, Request, VideoPlan};
use crate::{
    fan_out::FanOut,
    ffmpeg::{Colour, Probe, TimeBase},
};

/// The sound of `span` in a file whose zero is the source's `origin`; `None` if it has none.
pub(crate) fn sound_plan(probe: &Probe, origin: MediaTime, span: Span) -> Option<AudioPlan> {
    let (format, quality) = (Format::Mp4, Quality::P720);
    let request =
        Request { probe, pts: &[], origin, span, pace: None, coded: None, double: &[], format, quality };
    probe.audio.as_ref().map(|audio| request.audio(audio, request.local(span.start)))
}

/// What the joined clip has to be. Its times are on its own timeline.
pub(crate) fn joined_plan(fan_out: &FanOut, end: MediaTime, audio: Option<AudioPlan>) -> EncodePlan {
    let (first, last) = (fan_out.frames.first().copied(), fan_out.frames.last().copied());
    let (first, last) = (first.unwrap_or(0), last.unwrap_or(0));
    let picture = MediaTime::from_ticks(last + fan_out.tail, fan_out.timescale);
    let sound = audio.map_or(MediaTime::ZERO, |audio| audio.length());
    let video = VideoPlan {
        stream: 0,
        time_base: TimeBase { num: 1, den: fan_out.timescale },
        first,
        last,
        zero: 0,
        frames: fan_out.frames.clone(),
        tail: fan_out.tail,
        double: Vec::new(),
        fit: Fit::Scale,
        source: fan_out.picture,
        colour: Colour::default(),
        may_interlace: false,
        picture: fan_out.picture,
        frames_out: fan_out.frames.len() as u64,
    };
    let duration = picture.max(sound);
    let span = Span { start: fan_out.zero, end };
    EncodePlan { format: Format::Mp4, span, video: Some(video), audio, duration, tolerance: MP4_TOLERANCE }
}
