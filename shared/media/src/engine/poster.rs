//! The first picture of a clip as a JPEG, for share pages and players.

use std::path::PathBuf;

use domain::quality::PictureSize;

use super::{EngineError, Output, execute::silent, picture};
use crate::ffmpeg::{Args, Tools};

/// The longest side of a poster in pixels: what a share page shows.
const POSTER_SIDE_MAX: u32 = 1280;

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
        .option("-vf", picture::jpeg(&clip.verified.colour, picture, poster_size(picture)))
        .words("-c:v mjpeg -q:v 3 -update 1 -f image2")
        .file(&path);
    silent(tools.ffmpeg(args, &mut |_| {}).await?)?;
    Ok(Some(path))
}

/// The largest size of the same shape within [`POSTER_SIDE_MAX`], never larger than the picture.
fn poster_size(picture: PictureSize) -> PictureSize {
    let long = picture.width.max(picture.height);
    if long <= POSTER_SIDE_MAX {
        return picture;
    }
    let side = |side: u32| (u64::from(side) * u64::from(POSTER_SIDE_MAX) / u64::from(long)).max(2);
    let even = |side: u64| u32::try_from(side / 2 * 2).unwrap_or(2);
    PictureSize { width: even(side(picture.width)), height: even(side(picture.height)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poster_keeps_the_shape() {
        let size = |width, height| PictureSize { width, height };
        assert_eq!(poster_size(size(1080, 1920)), size(720, 1280));
        assert_eq!(poster_size(size(320, 180)), size(320, 180));
        assert_eq!(poster_size(size(8000, 2)), size(1280, 2));
    }
}
