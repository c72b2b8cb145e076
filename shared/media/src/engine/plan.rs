//! The plan of an exact cut, made from values alone: which frames, which samples of sound, which picture.
//!
//! Invariant: all times that reach FFmpeg are integers on a stream's own clock; no time is ever rounded to a
//! fraction of a second on its way.

use domain::{
    cut::{FrameRange, Pace, Span, ticks_ceil},
    quality::{Format, PictureSize, Quality},
    time::MediaTime,
};

use super::{EngineError, audio::AudioPlan};
use crate::ffmpeg::{AudioStream, Colour, Probe, TimeBase, VideoStream};

/// Frames a second of a GIF.
pub(crate) const GIF_RATE: i64 = 15;

/// The longest GIF, in frames: 30 s.
const GIF_FRAMES_MAX: i64 = 30 * GIF_RATE;

/// By how much the length of an MP4 may differ: less than any frame, more than the rounding of containers.
pub(super) const MP4_TOLERANCE: MediaTime = MediaTime(15_000);

/// The same for MP3, which consists of frames of up to 36 ms and tells its length in these.
const MP3_TOLERANCE: MediaTime = MediaTime(60_000);

/// The same where every sample counts: the rounding to microseconds.
const LOSSLESS_TOLERANCE: MediaTime = MediaTime(1);

/// A cut to make from a local file, down to the tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodePlan {
    /// The container to make.
    pub format: Format,
    /// What the clip shows of the source: from its own zero to its end.
    pub span: Span,
    /// The picture; `None` for sound alone.
    pub video: Option<VideoPlan>,
    /// The sound; `None` for GIF and for a source without.
    pub audio: Option<AudioPlan>,
    /// Length that the clip will have.
    pub duration: MediaTime,
    /// By how much the length may differ.
    pub tolerance: MediaTime,
}

/// The frames of a cut. All times are in ticks of `time_base` on the local file's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoPlan {
    /// The stream's number in the local file.
    pub stream: u32,
    /// Unit of the stream's timestamps.
    pub time_base: TimeBase,
    /// Presentation time of the first frame of the clip; before `zero` where it is held.
    pub first: i64,
    /// Presentation time of its last frame.
    pub last: i64,
    /// What the clock shows at the clip's zero.
    pub zero: i64,
    /// Presentation times on the clip's own timeline, rising.
    pub frames: Vec<i64>,
    /// How long the last frame is shown: until the end of the span.
    pub tail: i64,
    /// Frames to leave out.
    pub double: Vec<Double>,
    /// How the picture becomes the delivered one.
    pub fit: Fit,
    /// The source's picture, upright.
    pub source: PictureSize,
    /// What its numbers mean.
    pub colour: Colour,
    /// Whether its frames may be made of fields.
    pub may_interlace: bool,
    /// The delivered picture.
    pub picture: PictureSize,
    /// Frames of a GIF; the number of `frames` for other formats.
    pub frames_out: u64,
}

/// A frame of a time that was there already, as where streams are put one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Double {
    /// In ticks of the local file's clock.
    pub at: i64,
    /// How many frames of its size came before it in a row.
    pub place: u64,
}

/// How an upright picture becomes the delivered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It already has the size.
    Keep,
    /// The last row or column is left out; no pixel is resampled.
    Crop,
    /// It is resampled.
    Scale,
    /// It is resampled to fit, with bars around it: the source's pictures are of several sizes, or of another one than
    /// its header says.
    Bars,
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) probe: &'a Probe,
    /// Presentation times of the file's shown frames in ticks, in any order; none without video.
    pub(crate) pts: &'a [i64],
    /// The source's time at the local file's zero.
    pub(crate) origin: MediaTime,
    pub(crate) span: Span,
    /// How the source's frames follow each other, if `pts` are only some of them.
    pub(crate) pace: Option<Pace>,
    /// Width and height of the pictures as they are coded, if they were found not to be what the file says; the largest
    /// one counts.
    pub(crate) coded: Option<(u32, u32)>,
    /// Frames to leave out.
    pub(crate) double: &'a [Double],
    pub(crate) format: Format,
    pub(crate) quality: Quality,
}

impl EncodePlan {
    /// The same as a GIF of `rate` frames a second and `picture`'s size.
    pub(super) fn as_gif(&self, rate: i64, picture: PictureSize) -> Option<Self> {
        let video = self.video.as_ref()?;
        let frames = ((self.duration.0 * rate + 500_000) / 1_000_000).max(1);
        let video = VideoPlan {
            frames_out: frames.unsigned_abs(),
            fit: if picture == video.picture { video.fit } else { Fit::Scale },
            picture,
            ..video.clone()
        };
        let duration = MediaTime(frames * 1_000_000 / rate);
        let tolerance = MediaTime(1_000_000 / rate);
        Some(Self { video: Some(video), duration, tolerance, ..self.clone() })
    }
}

impl Request<'_> {
    /// Decides the cut, or says why this source cannot give it.
    pub(crate) fn plan(&self) -> Result<EncodePlan, EngineError> {
        let (video, audio) = (self.probe.video.as_ref(), self.probe.audio.as_ref());
        match self.format {
            Format::Mp3 | Format::M4a | Format::Wav | Format::Flac => {
                let audio = audio.ok_or_else(|| EngineError::source("The source has no sound."))?;
                let audio = self.audio(audio, self.local_start());
                let (format, span, duration) = (self.format, self.span, audio.length());
                let tolerance = sound_tolerance(format);
                Ok(EncodePlan { format, span, video: None, audio: Some(audio), duration, tolerance })
            }
            Format::Mp4 | Format::Gif => {
                let video = video.ok_or_else(|| {
                    EngineError::source(
                        "The source has no picture. Its sound can be had as MP3, M4A, WAV or FLAC.",
                    )
                })?;
                self.with_picture(video, audio)
            }
        }
    }

    /// Where the span starts on the local file's clock.
    pub(crate) const fn local_start(&self) -> MediaTime {
        self.local(self.span.start)
    }

    /// The sound from `zero` on the local clock to the end of the span.
    pub(super) fn audio(&self, stream: &AudioStream, zero: MediaTime) -> AudioPlan {
        AudioPlan::new(stream, self.format, zero, self.local(self.span.end))
    }

    fn with_picture(
        &self,
        stream: &VideoStream,
        audio: Option<&AudioStream>,
    ) -> Result<EncodePlan, EngineError> {
        let mut video = self.video(stream)?;
        let TimeBase { num, den } = stream.time_base;
        let zero = MediaTime::from_ticks(video.zero.saturating_mul(num.into()), den);
        let length = self.local(self.span.end).since(zero);
        let span = Span { start: MediaTime(zero.0.saturating_add(self.shift().0)), end: self.span.end };
        if self.format == Format::Gif {
            let frames = ((length.0 * GIF_RATE + 500_000) / 1_000_000).max(1);
            if frames > GIF_FRAMES_MAX {
                return Err(EngineError::source("A GIF can be at most 30 seconds long."));
            }
            video.frames_out = frames.unsigned_abs();
            let duration = MediaTime(frames * 1_000_000 / GIF_RATE);
            let tolerance = MediaTime(1_000_000 / GIF_RATE);
            let format = self.format;
            return Ok(EncodePlan { format, span, video: Some(video), audio: None, duration, tolerance });
        }
        let audio = audio.map(|audio| self.audio(audio, zero));
        let sound = audio.map_or(MediaTime::ZERO, |audio| audio.length());
        let ticks = |count: i64| MediaTime::from_ticks(count.saturating_mul(num.into()), den);
        let last = video.frames.last().copied().unwrap_or(0);
        let picture = ticks(last + video.tail);
        let tolerance = MP4_TOLERANCE;
        Ok(EncodePlan {
            format: self.format,
            span,
            video: Some(video),
            audio,
            duration: picture.max(sound),
            tolerance,
        })
    }

    /// What the local file's clock shows at the source's time `at`.
    pub(super) const fn local(&self, at: MediaTime) -> MediaTime {
        MediaTime(at.0.saturating_sub(self.shift().0))
    }

    /// The source's time when the local file's clock shows `at`.
    pub(super) const fn source(&self, at: MediaTime) -> MediaTime {
        MediaTime(at.0.saturating_add(self.shift().0))
    }

    /// How the source's frames follow each other.
    pub(super) fn pace(&self) -> Pace {
        let own = |stream: &VideoStream| {
            let num = i64::from(stream.time_base.num);
            Pace::of(
                self.pts.iter().map(|pts| pts.saturating_mul(num)).collect(),
                stream.time_base.den,
                self.end(),
            )
        };
        self.pace.or_else(|| self.probe.video.as_ref().map(own)).unwrap_or_default()
    }

    /// The source's time when the local clock shows zero.
    const fn shift(&self) -> MediaTime {
        self.origin.since(self.probe.zero)
    }

    /// Where the source's presentation ends, if the local file says how long it is.
    fn end(&self) -> Option<MediaTime> {
        let length = self.probe.duration;
        (length > MediaTime::ZERO).then(|| MediaTime(self.origin.0.saturating_add(length.0)))
    }

    fn video(&self, stream: &VideoStream) -> Result<VideoPlan, EngineError> {
        let TimeBase { num, den } = stream.time_base;
        let num = i64::from(num);
        let shift = samples(self.shift(), den);
        let source = |pts: i64| pts.saturating_mul(num).saturating_add(shift);
        let pts = || self.pts.iter().copied().map(source);
        let range = FrameRange::select(self.span, pts(), den, self.pace());
        let range = range.ok_or_else(|| EngineError::no_frame(self.span))?;
        let back = |ticks: i64| (ticks - shift).div_euclid(num);
        let (first, last) = (back(range.first), back(range.last));
        // A zero between two ticks of the stream is moved to the next one, still before the first frame.
        let zero = div_ceil(range.origin(self.span, den) - shift, num);
        // On a coarse clock the next picture may be due at that tick already: then none is held.
        let next = self.pts.iter().copied().filter(|pts| range.held && *pts > first).min();
        let first = next.filter(|next| *next <= zero && *next <= last).unwrap_or(first);
        let shown = self.pts.iter().filter(|pts| (first..=last).contains(pts));
        // A held picture is shown when the span starts.
        let mut frames: Vec<i64> = shown.map(|pts| (pts - zero).max(0)).collect();
        frames.sort_unstable();
        let end = div_ceil(ticks_ceil(self.span.end, den) - shift, num);
        let (upright, shown) =
            self.coded.map_or((stream.upright, stream.shown), |coded| resized(stream, coded));
        let picture = shown.delivered(self.quality);
        let fit = match self.coded {
            Some(_) => Fit::Bars,
            None if shown == upright => fit(upright, picture),
            None => Fit::Scale,
        };
        Ok(VideoPlan {
            stream: stream.index,
            time_base: stream.time_base,
            source: upright,
            colour: stream.colour.clone(),
            // What makes whole pictures keeps one back, which is lost where the size changes.
            may_interlace: stream.may_interlace && self.coded.is_none(),
            first,
            last,
            zero,
            frames_out: frames.len() as u64,
            frames,
            tail: (end - last.max(zero)).max(1),
            double: self.double.to_vec(),
            fit,
            picture,
        })
    }
}

/// By how much the length of sound alone may differ.
const fn sound_tolerance(format: Format) -> MediaTime {
    match format {
        Format::Mp3 => MP3_TOLERANCE,
        Format::Wav | Format::Flac => LOSSLESS_TOLERANCE,
        Format::Mp4 | Format::M4a | Format::Gif => MP4_TOLERANCE,
    }
}

/// `at` in ticks of a clock of `rate` ticks a second, rounded to the nearest.
pub(super) fn samples(at: MediaTime, rate: u32) -> i64 {
    let ticks = (i128::from(at.0) * i128::from(rate) + 500_000).div_euclid(1_000_000);
    i64::try_from(ticks).unwrap_or(0)
}

/// The picture of a stream, upright and as it is shown, if it is coded in another size than the file says.
fn resized(stream: &VideoStream, (width, height): (u32, u32)) -> (PictureSize, PictureSize) {
    let (width, height) = if stream.turned { (height, width) } else { (width, height) };
    let stretched = |side: u32, shown: u32, upright: u32| {
        let side = u64::from(side) * u64::from(shown) / u64::from(upright.max(1));
        u32::try_from(side).unwrap_or(u32::MAX).max(1)
    };
    let (from, to) = (stream.upright, stream.shown);
    let shown = PictureSize {
        width: stretched(width, to.width, from.width),
        height: stretched(height, to.height, from.height),
    };
    (PictureSize { width, height }, shown)
}

/// The quotient, rounded up.
const fn div_ceil(ticks: i64, num: i64) -> i64 {
    -(-ticks).div_euclid(num)
}

/// Odd sides are cropped, everything else is scaled.
const fn fit(from: PictureSize, to: PictureSize) -> Fit {
    if from.width == to.width && from.height == to.height {
        Fit::Keep
    } else if from.width / 2 * 2 == to.width && from.height / 2 * 2 == to.height {
        Fit::Crop
    } else {
        Fit::Scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(num: u32, den: u32, zero: i64) -> Probe {
        let upright = PictureSize { width: 427, height: 241 };
        Probe {
            container: "test".into(),
            duration: MediaTime(10_000_000),
            zero: MediaTime(zero),
            start: MediaTime(zero),
            video: Some(VideoStream {
                index: 0,
                codec: "h264".into(),
                time_base: TimeBase { num, den },
                upright,
                shown: upright,
                turned: false,
                colour: Colour::default(),
                may_interlace: false,
            }),
            audio: Some(AudioStream {
                index: 1,
                codec: "aac".into(),
                time_base: TimeBase { num: 1, den: 48_000 },
                sample_rate: 48_000,
                channels: 6,
                right: None,
                bits: 0,
            }),
            title: None,
            frame: None,
            sounds: Vec::new(),
        }
    }

    fn plan(
        probe: &Probe,
        pts: &[i64],
        origin: i64,
        (start, end): (i64, i64),
        format: Format,
    ) -> Result<EncodePlan, EngineError> {
        let span = Span { start: MediaTime(start), end: MediaTime(end) };
        let quality = Quality::P1080;
        Request {
            probe,
            pts,
            origin: MediaTime(origin),
            span,
            pace: None,
            coded: None,
            double: &[],
            format,
            quality,
        }
        .plan()
    }

    #[test]
    fn a_local_file_with_an_origin_gives_local_ticks() {
        // The source's frames 45 to 127 of 29.97 a second, in a file whose zero is the source's second 1.
        let pts: Vec<i64> = (40..140).map(|n| n * 1001 - 30_000).collect();
        let plan = plan(&probe(1, 30_000, 0), &pts, 1_000_000, (1_500_000, 4_250_000), Format::Mp4).unwrap();
        let video = plan.video.unwrap();
        assert_eq!(
            (video.first, video.last, video.frames.len()),
            (45 * 1001 - 30_000, 127 * 1001 - 30_000, 83)
        );
        assert_eq!((video.zero, video.frames[0], video.frames[82]), (video.first, 0, 82 * 1001));
        assert_eq!((video.fit, video.picture), (Fit::Crop, PictureSize { width: 426, height: 240 }));
        let audio = plan.audio.unwrap();
        // 1.5015 s of the source are sample 24,072 of the file.
        assert_eq!((audio.from, audio.to, audio.channels), (24_072, 156_000, 2));
    }

    #[test]
    fn a_clock_that_starts_anywhere_and_counts_in_frames() {
        // 25 frames a second counted singly, first shown as frame 100 of the clock.
        let pts: Vec<i64> = (100..300).collect();
        let plan = plan(&probe(1, 25, 4_000_000), &pts, 0, (1_000_000, 2_000_000), Format::Gif).unwrap();
        let video = plan.video.unwrap();
        assert_eq!((video.first, video.last, video.zero, video.frames_out), (125, 149, 125, 15));
        let ntsc: Vec<i64> = (0..300).collect();
        let plan = super::tests::plan(&probe(1001, 30_000, 0), &ntsc, 0, (1_500_000, 4_250_000), Format::Mp4);
        let video = plan.unwrap().video.unwrap();
        assert_eq!((video.first, video.last, video.zero), (45, 127, 45));
    }

    #[test]
    fn a_picture_that_comes_late_leaves_the_zero_at_the_start() {
        let pts: Vec<i64> = (60..90).map(|n| n * 512).collect(); // from 2 s on, 30 a second
        let plan = plan(&probe(1, 15_360, 0), &pts, 0, (1_000_000, 2_500_000), Format::Mp4).unwrap();
        let video = plan.video.unwrap();
        assert_eq!((video.zero, video.frames[0], video.frames.len()), (15_360, 15_360, 15));
    }

    #[test]
    fn says_what_the_source_lacks() {
        let mut probe = probe(1, 25, 0);
        let refused = |result: Result<EncodePlan, EngineError>| matches!(result, Err(EngineError::Source(_)));
        assert!(refused(plan(&probe, &[], 0, (1_000_000, 2_000_000), Format::Mp4)));
        let held = plan(&probe, &[0, 100], 0, (1_000_000, 2_000_000), Format::Mp4).unwrap();
        let held = held.video.map(|video| (video.first, video.last));
        assert_eq!(held, Some((0, 0)), "what is on screen all the while");
        let long: Vec<i64> = (0..1000).collect();
        assert!(refused(plan(&probe, &long, 0, (0, 31_000_000), Format::Gif)));
        probe.video = None;
        assert!(refused(plan(&probe, &[], 0, (0, 1_000_000), Format::Mp4)));
        probe.audio = None;
        assert!(refused(plan(&probe, &[], 0, (0, 1_000_000), Format::Mp3)));
    }
}
