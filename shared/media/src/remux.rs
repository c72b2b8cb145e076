//! The streams of local files in another container, packet by packet as they are, each at its own time.

use std::path::Path;

use domain::time::MediaTime;

use crate::{
    engine::{EngineError, silent},
    ffmpeg::{Args, Packet, Probe, Tools},
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
    let mut problem = String::new();
    for container in CONTAINERS {
        let args = input.clone().option("-f", container).file(out);
        match silent(tools.ffmpeg(args, &mut |_| {}).await?) {
            Ok(()) => return Ok(()),
            Err(EngineError::Damaged(why) | EngineError::Failed(why)) => problem = why,
            Err(error) => return Err(error),
        }
    }
    Err(EngineError::Unfit(problem))
}

/// Where the copy of a stream's clock begins: late enough for what is decoded before the first time.
const LEAD: MediaTime = MediaTime(10_000_000);

/// The clock of MPEG transport streams, in ticks a second.
const TICKS: u32 = 90_000;

/// A transport stream that was copied into an MP4 file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remuxed {
    /// What the stream's clock shows when the file's shows zero; `None` if not every picture from the first key picture on
    /// has the very time there that it had in the stream.
    pub zero: Option<MediaTime>,
    /// When the first key picture is shown, by the stream's clock.
    pub key: Option<MediaTime>,
}

/// The containers whose clock may begin anew: one recording behind the other.
const MAY_RESTART: [&str; 3] = ["mpegts", "mpeg", "ogg"];

/// Containers of coded pictures and nothing else: none says when it is shown.
const UNTIMED: [&str; 2] = ["h264", "hevc"];

/// The pictures of a raw stream, without loss, each at its time by the rate that the stream tells. They are decoded for it:
/// in which order they are shown is in the pictures themselves.
async fn timed(tools: &Tools, path: &Path, out: &Path) -> Result<MediaTime, EngineError> {
    let args = Args::default()
        .input(path)
        .words("-map 0:v:0 -vf setpts=N/(FR*TB) -fps_mode passthrough -enc_time_base:v -1")
        .words("-c:v libx264 -preset ultrafast -qp 0 -video_track_timescale 1200000 -f mp4")
        .file(out);
    let finished = tools.ffmpeg(args, &mut |_| {}).await?;
    if finished.success { Ok(MediaTime::ZERO) } else { Err(EngineError::Damaged(finished.stderr)) }
}

/// Copies the picture and the sounds of the local file at `path`, whose clock begins anew somewhere, to `out`, on a clock
/// that goes on; so does a raw stream, which has none. Gives by how much more the new clock shows at the beginning than the source's own, counted from its
/// `zero`; `None` for a file with one clock, of which nothing is copied.
///
/// # Errors
/// [`EngineError`].
pub async fn on_one_clock(tools: &Tools, path: &Path, out: &Path) -> Result<Option<MediaTime>, EngineError> {
    let probe = tools.probe(path).await?;
    if UNTIMED.contains(&probe.container.as_str()) {
        return timed(tools, path, out).await.map(Some);
    }
    if !MAY_RESTART.contains(&probe.container.as_str()) {
        return Ok(None);
    }
    if !tools.measure(path, &probe).await?.is_some_and(|measured| measured.restarts) {
        return Ok(None);
    }
    let mut args = Args::default().words("-dts_delta_threshold 1").input(path);
    if let Some(video) = &probe.video {
        args = args.words(&format!("-map 0:{}", video.index));
    }
    for sound in &probe.sounds {
        args = args.words(&format!("-map 0:{}", sound.stream));
    }
    // The headers of the second recording in an Ogg would be taken for sound.
    let codecs = if probe.container == "ogg" { "-c:v copy -c:a flac" } else { "-c copy" };
    let args = args
        .words(codecs)
        .words("-map_metadata -1 -map_chapters -1 -max_muxing_queue_size 8192 -f matroska")
        .file(out);
    // It says that timestamps jump; whether all is there is seen by its frames.
    let finished = tools.ffmpeg(args, &mut |_| {}).await?;
    if !finished.success {
        return Err(EngineError::Source(
            "The source's clock begins anew in the middle, and its parts cannot be put together.".into(),
        ));
    }
    let copied = tools.probe(out).await?;
    Ok(Some(copied.start))
}

/// What a stream is. Its `zero` is what a reader of the file itself counts from.
///
/// # Errors
/// [`EngineError`]: `Source` if it is no media.
pub async fn probe(tools: &Tools, path: &Path) -> Result<Probe, EngineError> {
    Ok(tools.probe(path).await?)
}

/// Copies picture and sound of the transport stream (or packed sound) at `path` to the MP4 file `out`, without what lies in
/// front of its first key picture.
///
/// # Errors
/// [`EngineError`]: `Source` if it is no media.
pub async fn transport(tools: &Tools, path: &Path, out: &Path) -> Result<Remuxed, EngineError> {
    let probe = tools.probe(path).await?;
    let packets = match &probe.video {
        Some(video) => tools.packets(path, video.index).await?,
        None => Vec::new(),
    };
    let key = packets.iter().find(|packet| packet.key).and_then(|packet| packet.pts);
    let key = key.zip(probe.video.as_ref()).map(|(pts, video)| video.time_base.time(pts));
    if probe.audio.as_ref().is_some_and(|audio| audio.right.is_some()) {
        return Ok(Remuxed { zero: None, key });
    }
    let zero = into_mp4(tools, (path, &probe), &packets, out).await?;
    Ok(Remuxed { zero, key })
}

async fn into_mp4(
    tools: &Tools,
    (path, probe): (&Path, &Probe),
    packets: &[Packet],
    out: &Path,
) -> Result<Option<MediaTime>, EngineError> {
    let mut args = Args::default().input(path);
    for index in probe.streams() {
        args = args.words(&format!("-map 0:{index}"));
    }
    let args = args
        .words("-c copy -map_metadata -1 -map_chapters -1 -max_muxing_queue_size 8192")
        .words(&format!("-output_ts_offset {} -movie_timescale {TICKS} -f mp4", LEAD.0 / 1_000_000))
        .file(out);
    // What it says about pictures does not matter here: nothing is decoded, and all times are compared.
    let finished = tools.ffmpeg(args, &mut |_| {}).await?;
    if !finished.success {
        tracing::info!(detail = finished.stderr, "the stream does not fit MP4");
        return Ok(None);
    }
    let zero = probe.zero.since(LEAD);
    let Some(video) = &probe.video else { return Ok(Some(zero)) };
    let file = LocalFile::open(out).map_err(|error| EngineError::Internal(error.to_string()))?;
    let index = Index::read(&file).await.ok();
    let copied = index.as_ref().and_then(|index| index.video.as_ref());
    let Some((track, samples)) = copied.and_then(|track| Some((track, track.samples.as_ref().ok()?))) else {
        return Ok(None);
    };
    let (from, lead) = (ticks(probe.zero), ticks(LEAD));
    let decodable = packets.iter().skip_while(|packet| !packet.key);
    let there: Vec<_> = decodable.map(|packet| packet.pts.map(|pts| pts - from + lead)).collect();
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
    Ok(same.then_some(zero))
}

fn ticks(at: MediaTime) -> i64 {
    let ticks = (i128::from(at.0) * i128::from(TICKS) + 500_000).div_euclid(1_000_000);
    i64::try_from(ticks).unwrap_or(0)
}
