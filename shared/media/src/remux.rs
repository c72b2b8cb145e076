//! The streams of local files in another container, packet by packet as they are, each at its own time.

use std::path::Path;

use domain::time::MediaTime;

use crate::{
    engine::{EngineError, silent},
    ffmpeg::{Args, Probe, Tools},
    mp4::{Index, LocalFile, Sample},
};

/// The containers that are tried. MP4 keeps every clock to the tick; Matroska takes any codec, but counts in
/// milliseconds.
const CONTAINERS: [&str; 2] = ["mp4", "matroska"];

/// The first picture of one file and the first sound of another as one file, `out`.
///
/// # Errors
/// [`EngineError`].
pub async fn join(tools: &Tools, (video, audio): (&Path, &Path), out: &Path) -> Result<(), EngineError> {
    let input = Args::default().input(video).input(audio).words("-map 0:v:0 -map 1:a:0");
    copy(tools, input, out).await
}

async fn copy(tools: &Tools, input: Args, out: &Path) -> Result<(), EngineError> {
    // The clocks stay as they are: by itself, FFmpeg begins each file at zero.
    let input = input
        .words("-c copy -copyts -avoid_negative_ts disabled")
        .words("-map_metadata -1 -map_chapters -1 -max_muxing_queue_size 8192");
    let mut problem = None;
    for container in CONTAINERS {
        let args = input.clone().option("-f", container).file(out);
        match silent(tools.ffmpeg(args, &mut |_| {}).await?) {
            Ok(()) => return Ok(()),
            Err(error) => problem = Some(error),
        }
    }
    problem.map_or(Ok(()), Err)
}

/// Where the copy of a stream's clock begins: late enough for what is decoded before the first time.
const LEAD: MediaTime = MediaTime(10_000_000);

/// The clock of MPEG transport streams, in ticks a second.
const TICKS: u32 = 90_000;

/// A transport stream as an MP4 file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remuxed {
    /// What the stream's clock shows when the file's shows zero.
    pub zero: MediaTime,
}

/// What a stream is. Its `zero` is what a reader of the file itself counts from.
///
/// # Errors
/// [`EngineError`]: `Source` if it is no media.
pub async fn probe(tools: &Tools, path: &Path) -> Result<Probe, EngineError> {
    Ok(tools.probe(path).await?)
}

/// Copies picture and sound of the transport stream (or packed sound) at `path` to the MP4 file `out`. `None` if not every picture has the very
/// time there that it had in the stream.
///
/// # Errors
/// [`EngineError`]: `Source` if it is no media.
pub async fn transport(tools: &Tools, path: &Path, out: &Path) -> Result<Option<Remuxed>, EngineError> {
    let probe = tools.probe(path).await?;
    let mut args = Args::default().input(path);
    for index in
        probe.video.iter().map(|video| video.index).chain(probe.audio.iter().map(|audio| audio.index))
    {
        args = args.words(&format!("-map 0:{index}"));
    }
    let args = args
        .words("-c copy -map_metadata -1 -map_chapters -1 -max_muxing_queue_size 8192")
        .words(&format!("-output_ts_offset {} -movie_timescale {TICKS} -f mp4", LEAD.0 / 1_000_000))
        .file(out);
    if let Err(problem) = silent(tools.ffmpeg(args, &mut |_| {}).await?) {
        tracing::info!(detail = ?problem, "the stream does not fit MP4");
        return Ok(None);
    }
    let remuxed = Remuxed { zero: probe.zero.since(LEAD) };
    let Some(video) = &probe.video else { return Ok(Some(remuxed)) };
    let file = LocalFile::open(out).map_err(|error| EngineError::Internal(error.to_string()))?;
    let index = Index::read(&file).await.ok();
    let copied = index.as_ref().and_then(|index| index.video.as_ref());
    let Some((track, samples)) = copied.and_then(|track| Some((track, track.samples.as_ref().ok()?))) else {
        return Ok(None);
    };
    let (from, lead) = (ticks(probe.zero), ticks(LEAD));
    let packets = tools.packets(path, video).await?;
    let there: Vec<_> = packets.iter().map(|packet| packet.pts.map(|pts| pts - from + lead)).collect();
    let here = samples.list.iter().map(|sample| Some(sample.pts()));
    // An edit list hides what leads the first key picture, and cannot be decoded.
    let first = samples.list.first().map_or(0, Sample::pts);
    let is_kept = |sample: &Sample| track.shown.contains(&sample.pts()) || sample.pts() < first;
    let same = track.timescale == TICKS
        && (video.time_base.num, video.time_base.den) == (1, TICKS)
        && samples.list.iter().all(is_kept)
        && here.eq(there);
    if !same {
        tracing::info!("the stream's clock is not kept by MP4");
    }
    Ok(same.then_some(remuxed))
}

fn ticks(at: MediaTime) -> i64 {
    let ticks = (i128::from(at.0) * i128::from(TICKS) + 500_000).div_euclid(1_000_000);
    i64::try_from(ticks).unwrap_or(0)
}
