//! The streams of local files in another container, packet by packet as they are, each at its own time.

use std::path::Path;

use crate::{
    engine::{EngineError, silent},
    ffmpeg::{Args, Tools},
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
