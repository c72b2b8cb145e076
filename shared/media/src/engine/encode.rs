//! Encoding the whole span, whatever the source is like.
//!
//! Invariant: what was promised before anything was decoded (the frames that the container lists) is what every attempt is
//! compared with. A frame of it that is missing is damage, which is told, and of which there may be little.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use domain::{cut::Span, quality::Format, time::MediaTime};

use super::{
    Cut, EngineError,
    damage::Judged,
    execute::{Input, Progress, execute},
    gif::gif,
    look::{Frame, Looked},
    plan::{Double, EncodePlan, Request},
    timeline::Timeline,
    verify::{Clip, Codecs, Decode, Verified, verify},
};
use crate::ffmpeg::{Survey, TimeBase, Tools, VideoStream};

/// So far behind the span is still read, for pictures that are decoded later than they are shown.
const MARGIN: MediaTime = MediaTime(2_000_000);

/// So many frames of times that were there already are left out; a source with more is not what it says.
const DOUBLES_MAX: usize = 64;

/// A part of a clip in which the source is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// On the source's timeline.
    pub span: Span,
    /// Whether it is the sound that is damaged, not the picture.
    pub is_sound: bool,
    /// How many frames of the picture, or packets of the sound, are missing.
    pub missing: u64,
}

/// What came of an attempt.
enum Attempt {
    /// The clip is as it was planned. `is_quiet`: FFmpeg did not say a word about the source.
    Made { verified: Verified, is_quiet: bool },
    /// It is not. The text is for the log.
    Wrong(String),
}

/// A clip to encode.
#[derive(Clone, Copy)]
pub(super) struct Encoding<'a> {
    pub(super) tools: &'a Tools,
    pub(super) job: &'a Cut<'a>,
    pub(super) looked: &'a Looked,
    pub(super) out: &'a Path,
    pub(super) progress: Progress<'a>,
}

impl EngineError {
    /// Whether another attempt may do better: not where a program did not run as it should.
    fn attempted(self) -> Result<Attempt, Self> {
        match self {
            Self::Damaged(_) | Self::Verify(_) | Self::Failed(_) => Ok(Attempt::Wrong(format!("{self:?}"))),
            other => Err(other),
        }
    }
}

impl Encoding<'_> {
    pub(super) async fn run(&self) -> Result<(Verified, Vec<Damage>), EngineError> {
        let timeline = Timeline::new(self.tools, self.job.input, self.looked);
        let frames = if self.job.format.has_picture() { timeline.frames().await? } else { Vec::new() };
        let pts = times(&frames);
        let request = self.job.request(&self.looked.probe, &pts);
        let promised = request.plan()?;
        let seek = timeline.seek(&frames, &promised, request.local_start());
        let (mut made, mut problem) = match self.attempt(&promised, seek).await? {
            Attempt::Made { verified, is_quiet: true } => return Ok((verified, Vec::new())),
            Attempt::Made { verified, .. } => (Some(verified), String::new()),
            Attempt::Wrong(problem) => (None, problem),
        };
        // A seek may land badly: then once more from the beginning.
        for from in [seek, None].into_iter().skip(usize::from(seek.is_none())) {
            let found = self.survey(&request, &promised, from).await?;
            if from.is_some() && !found.begins_before(&promised) {
                continue;
            }
            let damage = found.damage(&request)?;
            if let Some(verified) = made.take()
                && found.is_all()
            {
                return Ok((verified, damage));
            }
            tracing::warn!(problem, ?damage, coded = ?found.coded, "cutting again what can be shown");
            let shown = found.shown(&pts);
            let pace = Some(request.pace());
            let again = Request { pts: &shown, coded: found.coded, double: &found.double, pace, ..request };
            match self.attempt_again(&again, from).await? {
                Attempt::Made { verified, .. } => return Ok((verified, damage)),
                Attempt::Wrong(why) => problem = why,
            }
        }
        Err(EngineError::Unfit(problem))
    }

    /// Encodes what was found that can be shown.
    async fn attempt_again(
        &self,
        request: &Request<'_>,
        seek: Option<MediaTime>,
    ) -> Result<Attempt, EngineError> {
        if request.format != Format::Gif || request.coded.is_none() {
            return self.attempt(&request.plan()?, seek).await;
        }
        // A filter that counts frames would begin anew with each size: the pictures are made alike before.
        let alike: PathBuf = self.out.with_extension("alike.mp4");
        let first = Encoding { out: &alike, ..*self };
        let made = match first.attempt(&Request { format: Format::Mp4, ..*request }.plan()?, seek).await? {
            Attempt::Made { verified, .. } => verified,
            wrong @ Attempt::Wrong(_) => return Ok(wrong),
        };
        let span = Span { start: made.span.start, end: self.job.span.end };
        let job = Cut { input: &alike, origin: span.start, span, ..*self.job };
        let looked = Looked::at(self.tools, &alike).await?.probed(self.tools, &alike).await?;
        let second = Encoding { job: &job, looked: &looked, ..*self };
        let frames = Timeline::new(self.tools, &alike, &looked).frames().await?;
        let plan = job.request(&looked.probe, &times(&frames)).plan()?;
        let made = second.attempt(&plan, None).await;
        let removed = tokio::fs::remove_file(&alike).await;
        removed.map_err(|error| EngineError::Internal(format!("{}: {error}", alike.display())))?;
        made
    }

    /// Encodes and looks at what came of it.
    async fn attempt(&self, plan: &EncodePlan, seek: Option<MediaTime>) -> Result<Attempt, EngineError> {
        tracing::debug!(?seek, duration_us = plan.duration.0, "encoding");
        let input = Input { path: self.job.input, seek };
        let (tools, out, progress) = (self.tools, self.out, self.progress);
        let made = match plan.format {
            Format::Gif => gif(tools, plan, (input, self.job.bytes_max), out, progress).await,
            _ => execute(tools, plan, input, out, progress).await.map(|words| (plan.clone(), words)),
        };
        let (plan, words) = match made {
            Err(error) => return error.attempted(),
            Ok(made) => made,
        };
        let clip = Clip { path: out, codecs: Codecs::encoded(&plan), decode: &Decode::Whole };
        match verify(tools, &plan, clip).await {
            Ok(verified) => Ok(Attempt::Made { verified, is_quiet: words.is_empty() }),
            Err(error) => error.attempted(),
        }
    }

    /// Decodes the span again, to see what becomes of each packet.
    async fn survey(
        &self,
        request: &Request<'_>,
        plan: &EncodePlan,
        from: Option<MediaTime>,
    ) -> Result<Found, EngineError> {
        let until = MediaTime(request.local(self.job.span.end).0.saturating_add(MARGIN.0));
        let mut found = Found::default();
        if let (Some(video), Some(stream)) = (&plan.video, &self.looked.probe.video) {
            let survey = self.tools.survey(self.job.input, stream.index, (from, until)).await?;
            let last = video.frames.last().copied().unwrap_or(0);
            let span = video.first.min(video.zero)..video.zero + last + video.tail;
            found.coded = resized(&survey, &span, stream);
            found.double = doubles(&survey);
            let mut judged = Judged::picture(&survey, &span);
            judged.miss(request.pts, &survey, &span);
            found.picture = Some((judged, stream.time_base));
            found.within = span;
        }
        if let (Some(audio), Some(stream)) = (&plan.audio, &self.looked.probe.audio) {
            let survey = self.tools.survey(self.job.input, stream.index, (from, until)).await?;
            let ticks = |at: i64| stream.time_base.ticks(MediaTime::from_ticks(at, audio.rate));
            let span = ticks(audio.from)..ticks(audio.to);
            found.sound = Some((Judged::sound(&survey, &span), stream.time_base));
        }
        Ok(found)
    }
}

fn times(frames: &[Frame]) -> Vec<i64> {
    frames.iter().map(|frame| frame.pts).collect()
}

/// Width and height of the largest picture within `span`, if not all are as the stream says.
fn resized(survey: &Survey, span: &Range<i64>, stream: &VideoStream) -> Option<(u32, u32)> {
    let upright = (stream.upright.width, stream.upright.height);
    let said = if stream.turned { (upright.1, upright.0) } else { upright };
    let sizes = || survey.frames.iter().filter(|frame| span.contains(&frame.at)).map(|frame| frame.size);
    let largest = sizes().max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))?;
    sizes().any(|size| size != said).then_some(largest)
}

/// Frames that are shown at or before the time of one that came earlier.
fn doubles(survey: &Survey) -> Vec<Double> {
    let (mut latest, mut size, mut place, mut doubles) = (i64::MIN, (0, 0), 0, Vec::new());
    for frame in &survey.frames {
        if frame.size != size {
            (size, place) = (frame.size, 0);
        }
        if frame.at <= latest {
            doubles.push(Double { at: frame.at, place });
        }
        latest = latest.max(frame.at);
        place += 1;
    }
    doubles.truncate(DOUBLES_MAX);
    doubles
}

/// What can be shown of a span, and the unit of its times.
#[derive(Default)]
struct Found {
    picture: Option<(Judged, TimeBase)>,
    sound: Option<(Judged, TimeBase)>,
    /// The ticks of the picture that were judged.
    within: Range<i64>,
    coded: Option<(u32, u32)>,
    double: Vec<Double>,
}

impl Found {
    /// Whether a clean key picture lies before the span, as far as one is needed.
    fn begins_before(&self, plan: &EncodePlan) -> bool {
        let first = plan.video.as_ref().map(|video| video.first);
        let clean = self.picture.as_ref().map(|(judged, _)| judged.clean);
        clean.zip(first).is_none_or(|(clean, first)| clean.is_some_and(|clean| clean <= first))
    }

    /// Whether each promised frame can be shown, in the size that was promised.
    fn is_all(&self) -> bool {
        self.coded.is_none() && self.picture.as_ref().is_none_or(|(judged, _)| judged.lost.is_empty())
    }

    /// Where the source is damaged; an error if too much is.
    fn damage(&self, request: &Request<'_>) -> Result<Vec<Damage>, EngineError> {
        let mut all = Vec::new();
        for (is_sound, part) in [(false, &self.picture), (true, &self.sound)] {
            let Some((judged, time_base)) = part else { continue };
            if !judged.is_enough() && !judged.doubtful.is_empty() {
                return Err(EngineError::Damaged(format!("{judged:?}")));
            }
            let mut gone = judged.gone;
            for part in &judged.doubtful {
                let time = |ticks| request.source(time_base.time(ticks));
                let start = time(part.start).max(request.span.start);
                let span = Span { start, end: time(part.end).min(request.span.end).max(start) };
                let missing = judged.lost.range(part.clone()).count() as u64 + std::mem::take(&mut gone);
                all.push(Damage { span, is_sound, missing });
            }
        }
        Ok(all)
    }

    /// When frames are shown: within the span those that can be, else as it was promised.
    fn shown(&self, promised: &[i64]) -> Vec<i64> {
        let Some((judged, _)) = &self.picture else { return promised.to_vec() };
        let decodable = |pts: &i64| judged.clean.is_none_or(|clean| *pts >= clean);
        let outside = promised.iter().copied().filter(|pts| !self.within.contains(pts) && decodable(pts));
        judged.shown.iter().copied().chain(outside).collect()
    }
}
