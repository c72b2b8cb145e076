//! A whole source from a local file: its streams copied where they fit, encoded where not.

use std::{path::Path, time::Duration};

use domain::{
    cut::Span,
    quality::{Format, PictureSize, Quality},
    time::MediaTime,
};

use super::check;
use crate::{
    engine::{self, Cut, Damage, EngineError, Output, Progress, Verified},
    ffmpeg::{Args, AudioStream, Probe, Survey, Tools, VideoStream, is_harmless},
    mp4::{Index, LocalFile},
};

/// How many pixels a second are encoded (`libx264 -preset veryfast` on 5 vCPUs of a Lambda function); a pixel that is
/// only decoded costs a quarter of it.
const PIXELS_PER_SECOND: u64 = 250_000_000;
/// Taken for the frames a second of a source, which are not known before all of it was read.
const FRAMES_PER_SECOND: u64 = 30;

/// By how much a copy's length may differ from what the source claims: containers count differently.
const DURATION_TOLERANCE: MediaTime = MediaTime(1_000_000);

/// What may not go along, as in a clip.
const NO_EXTRAS: &str = "-map_metadata -1 -map_chapters -1 -dn -sn";

/// Makes the whole source of `job` into a file and verifies it. `progress` goes from 0 to 1.
///
/// # Errors
/// As [`engine::cut`], and [`EngineError::Source`] for what would take too long to encode.
pub async fn convert(tools: &Tools, job: &Cut<'_>, progress: Progress<'_>) -> Result<Output, EngineError> {
    if job.format == Format::Mp4 {
        let probe = tools.probe_for(job.input, job.audio).await?;
        if let Some(video) = probe.video.as_ref().filter(|video| fits(video, job.quality)) {
            match copy(tools, job, &probe, video).await {
                Ok(output) => return Ok(output),
                Err(error) => tracing::info!(error = %error, detail = ?error, "encoding it instead"),
            }
        }
        let shown = probe.video.as_ref().map(|video| video.shown);
        if let Some(text) =
            shown.and_then(|shown| too_long_to_encode(tools.time_limit, job.span.end, shown, job.quality))
        {
            return Err(EngineError::Source(text));
        }
    }
    engine::cut(tools, job, progress).await
}

/// What to tell the person if encoding this much would take longer than `limit`.
#[must_use]
pub fn too_long_to_encode(
    limit: Duration,
    duration: MediaTime,
    picture: PictureSize,
    quality: Quality,
) -> Option<String> {
    let pixels = |size: PictureSize| u64::from(size.width) * u64::from(size.height);
    let work = pixels(picture.delivered(quality)) + pixels(picture) / 4;
    let frames = u64::try_from(duration.ceil_seconds()).unwrap_or(0).saturating_mul(FRAMES_PER_SECOND);
    let minutes = frames.saturating_mul(work) / PIXELS_PER_SECOND / 60;
    let minutes_max = limit.as_secs() / 60;
    (minutes >= minutes_max).then(|| {
        format!(
            "The source has to be encoded, because its codec does not fit MP4 or its picture is larger than {}. That \
             would take about {minutes} minutes, and {minutes_max} is the most. Ask for another quality or for clips.",
            quality.word()
        )
    })
}

/// Whether the stream can be copied. Names are FFmpeg's.
fn fits(video: &VideoStream, quality: Quality) -> bool {
    matches!(video.codec.as_str(), "h264" | "hevc" | "av1" | "vp9") && video.shown.fits(quality)
}

fn sound_fits(audio: &AudioStream) -> bool {
    matches!(audio.codec.as_str(), "aac" | "mp3" | "opus" | "ac3" | "eac3")
}

/// Copies the picture, and the sound too if it fits, then checks what came out.
async fn copy(
    tools: &Tools,
    job: &Cut<'_>,
    probe: &Probe,
    video: &VideoStream,
) -> Result<Output, EngineError> {
    let media = job.out_dir.join("copy.mp4");
    let mut args = Args::default().input(job.input).words(&format!("-map 0:{} -c:v copy", video.index));
    if video.codec == "hevc" {
        args = args.words("-tag:v hvc1");
    }
    if let Some(audio) = &probe.audio {
        let codec = if sound_fits(audio) { "copy" } else { "aac -b:a 192k" };
        args = match audio.right {
            None => args.words(&format!("-map 0:{} -c:a {codec}", audio.index)),
            Some(right) => {
                let graph = format!("[0:{}][0:{right}]{}[heard]", audio.index, engine::JOIN);
                args.option("-filter_complex", graph).words("-map [heard] -c:a aac -b:a 192k")
            }
        };
    }
    let args = args.words(NO_EXTRAS).words("-max_muxing_queue_size 8192 -movflags +faststart -f mp4");
    // What decoders say of the beginning does not matter: none has a part in the copy, which is looked at.
    let mut finished = tools.ffmpeg(args.file(&media), &mut |_| {}).await?;
    let codecs = [Some(&video.codec), probe.audio.as_ref().map(|audio| &audio.codec)];
    let decoders: Vec<String> = codecs.into_iter().flatten().map(|codec| format!("[{codec} @ ")).collect();
    let by_decoder =
        |line: &&str| is_harmless(line) || decoders.iter().any(|decoder| line.starts_with(decoder.as_str()));
    let others: Vec<&str> = finished.stderr.lines().filter(|line| !by_decoder(line)).collect();
    finished.stderr = others.join("\n");
    engine::silent(finished)?;
    let source = tools.list(job.input, video.index).await?;
    let (verified, index) = verify(tools, &source, probe, video, &media).await?;
    let file = LocalFile::open(&media).map_err(internal)?;
    let checked = check(tools, &file, &index, job.out_dir).await?;
    let mut damage: Vec<Damage> = engine::doubtful(&source)
        .into_iter()
        .map(|part| {
            let time = |ticks| video.time_base.time(ticks).since(probe.zero).max(MediaTime::ZERO);
            let start = time(part.start);
            let span = Span { start, end: time(part.end).min(verified.duration).max(start) };
            Damage { span, is_sound: false, missing: 0 }
        })
        .collect();
    if damage.is_empty() {
        damage = checked.damage;
    }
    Ok(Output { media, verified, damage, method: "copy" })
}

/// Compares the copy at `media` with its source.
async fn verify(
    tools: &Tools,
    source: &Survey,
    probe: &Probe,
    video: &VideoStream,
    media: &Path,
) -> Result<(Verified, Index), EngineError> {
    let file = LocalFile::open(media).map_err(internal)?;
    let index = Index::read(&file).await.map_err(|error| internal(format!("{error:?}")))?;
    let found = tools.probe(media).await?;
    // What lies in front of the first key picture cannot be shown, and is not copied.
    let frames = source.packets.iter().skip_while(|packet| !packet.key).count();
    let copied = index.video.as_ref().and_then(|track| track.samples.as_ref().ok());
    let same_picture = found.video.as_ref().is_some_and(|stream| stream.shown == video.shown);
    let apart = found.duration.0.abs_diff(probe.duration.0);
    if copied.is_none_or(|samples| samples.list.len() != frames)
        || !same_picture
        || found.audio.is_some() != probe.audio.is_some()
        || apart > DURATION_TOLERANCE.0.unsigned_abs()
    {
        return Err(internal(format!("the copy differs: {found:?} for {probe:?} with {frames} frames")));
    }
    let size_bytes = std::fs::metadata(media).map_err(internal)?.len();
    let frames = Some(frames as u64);
    let verified = Verified {
        duration: found.duration,
        span: Span { start: MediaTime::ZERO, end: found.duration },
        picture: Some(video.shown),
        colour: video.colour.clone(),
        frames,
        size_bytes,
    };
    Ok((verified, index))
}

fn internal(error: impl std::fmt::Display) -> EngineError {
    EngineError::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_too_long_where_a_minute_is_not() {
        let uhd = PictureSize { width: 3840, height: 2160 };
        let told = |minutes: i64, quality| {
            too_long_to_encode(Duration::from_secs(780), MediaTime(minutes * 60_000_000), uhd, quality)
        };
        assert_eq!(told(10, Quality::P1080), None);
        assert!(told(60, Quality::P1080).is_some_and(|text| text.contains("1080p") && text.contains("13")));
        assert!(told(25, Quality::K4).is_some());
        assert_eq!(told(25, Quality::P720), None);
    }
}
