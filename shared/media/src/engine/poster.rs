//! The first picture of a clip as a JPEG, for share pages and players.

use std::path::PathBuf;

use super::{EngineError, Output, execute::silent, picture};
use crate::ffmpeg::{Args, Tools};

/// Makes `poster.jpg` beside a clip; `None` for sound alone.
///
/// # Errors
/// [`EngineError`].
pub async fn poster(tools: &Tools, clip: &Output) -> Result<Option<PathBuf>, EngineError> {
    let Some(picture) = clip.verified.picture else { return Ok(None) };
    let path = clip.media.with_file_name("poster.jpg");
    let args = Args::default()
        .input(&clip.media)
        .words("-map 0:v:0 -frames:v 1")
        .option("-vf", picture::jpeg(&clip.verified.colour, picture, picture.poster()))
        .words("-c:v mjpeg -q:v 3 -update 1 -f image2")
        .file(&path);
    silent(tools.ffmpeg(args, &mut |_| {}).await?)?;
    Ok(Some(path))
}
