//! Animated GIF.

use std::path::{Path, PathBuf};

use super::{
    EngineError,
    execute::{Input, NO_EXTRAS, Progress, run, source},
    picture,
    plan::{EncodePlan, GIF_RATE, VideoPlan},
};
use crate::ffmpeg::Tools;

/// Two passes, first the palette: in one, FFmpeg would hold every picture in memory until the palette is known.
pub(super) async fn gif(
    tools: &Tools,
    plan: &EncodePlan,
    video: &VideoPlan,
    input: Input<'_>,
    out: &Path,
    progress: Progress<'_>,
) -> Result<(), EngineError> {
    // The last picture stays until the end of the span, the first is there from its beginning.
    let pictures = format!(
        "{},fps={GIF_RATE}:start_time=0,tpad=stop=-1:stop_mode=clone,trim=end_frame={},{}",
        picture::frames(video),
        video.frames_out,
        picture::delivered_rgb(video)
    );
    let palette: PathBuf = out.with_extension("palette.png");
    let map = format!("-map 0:{}", video.stream);
    let first = source(input)
        .words(&map)
        .option("-vf", format!("{pictures},palettegen=stats_mode=diff"))
        .words("-frames:v 1 -update 1 -c:v png -f image2")
        .file(&palette);
    run(tools, first, plan, 0.0..0.5, progress).await?;
    let graph = format!(
        "[0:{}]{pictures}[picture];[picture][1:v]paletteuse=dither=bayer:diff_mode=rectangle",
        video.stream
    );
    let second = source(input)
        .words("-f png_pipe -i")
        .file(&palette)
        .option("-filter_complex", graph)
        .words(NO_EXTRAS)
        .words("-fps_mode passthrough -f gif")
        .file(out);
    let done = run(tools, second, plan, 0.5..1.0, progress).await;
    let removed = tokio::fs::remove_file(&palette).await;
    done.and(removed.map_err(|error| EngineError::Internal(format!("{}: {error}", palette.display()))))
}
