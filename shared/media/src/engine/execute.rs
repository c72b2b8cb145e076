//! Carrying out a plan with FFmpeg.

use std::path::Path;

use domain::{quality::Format, time::MediaTime};

use super::{
    EngineError,
    audio::{AAC, AudioPlan},
    picture,
    plan::{EncodePlan, VideoPlan},
};
use crate::{
    ffmpeg::{Args, TimeBase, Tools, is_harmless},
    process::Finished,
};

/// Told how much of the work is done, from 0 to 1, a few times a second.
pub type Progress<'a> = &'a (dyn Fn(f64) + Send + Sync);

/// Nothing of the source's own words, pictures and data goes along: they may be private or wrong for the clip.
pub(super) const NO_EXTRAS: &str = "-map_metadata -1 -map_chapters -1 -dn -sn";

/// MP4's own clock must hold every tick of the stream's, and below this players round visibly.
const MOVIE_TIMESCALE_MIN: u32 = 10_000;

/// A source file and where in it to begin reading.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) path: &'a Path,
    /// On the file's own clock, far enough before the clip; `None` reads from the beginning.
    pub(crate) seek: Option<MediaTime>,
}

/// What FFmpeg said while it read a source; empty if all is well.
pub(super) type Words = String;

/// Makes the clip at `out`. What FFmpeg says meanwhile may be about another part of the source.
pub(crate) async fn execute(
    tools: &Tools,
    plan: &EncodePlan,
    input: Input<'_>,
    out: &Path,
    progress: Progress<'_>,
) -> Result<Words, EngineError> {
    match (plan.format, &plan.video, &plan.audio) {
        (Format::Mp3 | Format::M4a | Format::Wav | Format::Flac, _, Some(audio)) => {
            let args = audio.heard(source(input)).words(NO_EXTRAS);
            run(tools, audio.output(plan.format, args).file(out), plan, 0.0..1.0, progress).await
        }
        (Format::Mp4, Some(video), audio) => {
            let args = mp4(source(input), video, audio.as_ref()).file(out);
            run(tools, args, plan, 0.0..1.0, progress).await
        }
        _ => Err(EngineError::Internal("a plan without the stream that its format needs".into())),
    }
}

pub(super) fn source(input: Input<'_>) -> Args {
    opened(Args::default().words("-progress pipe:1 -stats_period 0.25"), input)
}

/// The source behind options that concern all of FFmpeg.
pub(super) fn opened(args: Args, input: Input<'_>) -> Args {
    // However many packets cannot be decoded: which ones they are decides, not how many.
    let args = args.words("-max_error_rate 1 -copyts");
    let args = match input.seek {
        // Absolute, and to a whole group of pictures: what is too early is dropped by its timestamp.
        Some(at) => args.words(&format!("-seek_timestamp 1 -noaccurate_seek -ss {:.6}", at.seconds())),
        None => args,
    };
    args.input(input.path)
}

fn mp4(args: Args, video: &VideoPlan, audio: Option<&AudioPlan>) -> Args {
    let filters = format!("{},{}", picture::frames(video), picture::delivered(video));
    let mut timescale = video.time_base.den;
    while timescale < MOVIE_TIMESCALE_MIN {
        timescale *= 2;
    }
    let args = args
        .words(&format!("-map 0:{}", video.stream))
        .option("-vf", filters)
        .words("-c:v libx264 -preset veryfast -crf 20 -fps_mode passthrough")
        // Parameter sets (and, below, a sample entry) that do not depend on the pictures: shares of a clip are joined.
        .words("-x264-params stitchable=1")
        // The encoder counts in the movie's ticks, which hold the source's, so no timestamp of a variable frame
        // rate is rounded. Without `:v` the sound would be rounded to them too.
        .option("-enc_time_base:v", format!("1:{timescale}"))
        .option("-bsf:v", last_duration(video, timescale))
        .words(&format!("-video_track_timescale {timescale} -movie_timescale {timescale}"));
    let args = match audio {
        Some(audio) => audio.heard(args).words(AAC),
        None => args,
    };
    args.words(NO_EXTRAS).words("-movflags +faststart -write_btrt 0 -max_muxing_queue_size 8192 -f mp4")
}

/// Says how long the last frame is shown, which no filter tells the muxer: FFmpeg 5 guesses, FFmpeg 7 writes zero,
/// and then the muxer's edit list hides the frame. The encoder's ticks must be the track's: the time base that
/// FFmpeg 5 tells the filter is the encoder's, but the packets may already be in the track's.
fn last_duration(video: &VideoPlan, timescale: u32) -> String {
    let TimeBase { num, den } = video.time_base;
    let factor = i64::from(num) * i64::from(timescale / den.max(1));
    let last = video.frames.last().copied().unwrap_or(0).saturating_mul(factor);
    let tail = video.tail.saturating_mul(factor);
    format!("setts=pts=PTS:dts=DTS:duration=if(gte(PTS\\,{last})\\,{tail}\\,DURATION)")
}

/// The sound alone, as AAC in an MP4 file at `out`.
pub(crate) async fn encode_sound(
    tools: &Tools,
    audio: &AudioPlan,
    input: Input<'_>,
    out: &Path,
) -> Result<(), EngineError> {
    let args = audio.heard(source(input)).words(AAC).words(NO_EXTRAS).words("-f mp4").file(out);
    silent(tools.ffmpeg(args, &mut |_| {}).await?)
}

/// Runs FFmpeg, reporting its progress within `share` of the whole.
pub(super) async fn run(
    tools: &Tools,
    args: Args,
    plan: &EncodePlan,
    share: std::ops::Range<f64>,
    progress: Progress<'_>,
) -> Result<Words, EngineError> {
    let mut on_line = |line: &str| {
        if let Some(at) = line.strip_prefix("out_time_us=").and_then(|micros| micros.trim().parse().ok()) {
            let fraction = (MediaTime(at).seconds() / plan.duration.seconds().max(1e-6)).clamp(0.0, 1.0);
            progress(share.start + fraction * (share.end - share.start));
        }
    };
    let finished = tools.ffmpeg(args, &mut on_line).await?;
    progress(share.end);
    words(finished)
}

/// What FFmpeg said, if it came to a good end.
pub(super) fn words(finished: Finished) -> Result<Words, EngineError> {
    let Finished { success, stderr } = finished;
    match success {
        true if stderr.lines().all(is_harmless) => Ok(Words::new()),
        true => Ok(stderr),
        false if is_ours(&stderr) => Err(EngineError::Internal(format!("ffmpeg failed: {stderr}"))),
        false => Err(EngineError::Failed(stderr)),
    }
}

/// Whether FFmpeg failed for a reason that lies with this machine: a full disk, no memory, or a signal, before which it says
/// nothing.
fn is_ours(stderr: &str) -> bool {
    const REASONS: [&str; 3] = ["No space left on device", "Cannot allocate memory", "Input/output error"];
    stderr.is_empty() || REASONS.iter().any(|reason| stderr.contains(reason))
}

/// FFmpeg ends with status 0 after hundreds of decoding errors; only its silence is success.
pub(crate) fn silent(finished: Finished) -> Result<(), EngineError> {
    let words = words(finished)?;
    if words.is_empty() { Ok(()) } else { Err(EngineError::Damaged(words)) }
}
