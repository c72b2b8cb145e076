//! Animated GIF: FFmpeg gives the pictures, `crate::gif` writes them.

use std::{
    fs::File,
    io::{BufWriter, Error},
    path::Path,
};

use domain::quality::PictureSize;
use tokio::sync::mpsc;

use super::{
    EngineError,
    execute::{Input, NO_EXTRAS, Progress, Words, opened, words},
    picture,
    plan::{EncodePlan, GIF_RATE, VideoPlan},
};
use crate::{
    ffmpeg::{Args, Tools},
    gif::{Settings, Writer},
};

/// So many pictures wait for the one that is being written.
const WAITING: usize = 2;

/// How a GIF is made that has no bound: what is nearer to its source than this is not seen in motion.
const SLACK: u16 = 14;

/// What is tried, one after the other, for a file that is bounded: frames a second, slack, and the sides in per cent.
const STEPS: [(i64, u16, u32); 8] = [
    (GIF_RATE, SLACK, 100),
    (GIF_RATE, 20, 100),
    (12, 24, 100),
    (12, 26, 75),
    (12, 26, 56),
    (12, 28, 42),
    (12, 30, 32),
    (12, 32, 24),
];

/// No side becomes smaller than this, in pixels.
const SIDE_MIN: u32 = 32;

/// Makes the GIF of `plan` at `out`, of at most `bytes_max` bytes if there is a bound. Gives the plan that it was made by,
/// and what FFmpeg said of the source.
pub(super) async fn gif(
    tools: &Tools,
    plan: &EncodePlan,
    (input, bytes_max): (Input<'_>, Option<u64>),
    out: &Path,
    progress: Progress<'_>,
) -> Result<(EncodePlan, Words), EngineError> {
    let whole = plan.video.as_ref().map(|video| video.picture);
    let whole = whole.ok_or_else(|| EngineError::Internal("a GIF without a picture".into()))?;
    for (rate, slack, percent) in STEPS {
        let Some(smaller) = plan.as_gif(rate, scaled(whole, percent)) else { continue };
        if let Some(words) = made(tools, &smaller, (input, bytes_max), (rate, slack, out), progress).await? {
            return Ok((smaller, words));
        }
        if bytes_max.is_none() {
            break;
        }
    }
    Err(EngineError::Source(format!(
        "The GIF does not become as small as {} bytes. Ask for a shorter one, or for more bytes.",
        bytes_max.unwrap_or_default()
    )))
}

fn scaled(PictureSize { width, height }: PictureSize, percent: u32) -> PictureSize {
    let side = |side: u32| (side * percent / 100 / 2 * 2).max(SIDE_MIN).min(side);
    PictureSize { width: side(width), height: side(height) }
}

/// Makes the GIF, and gives what FFmpeg said; `None` if it has more bytes than it may.
async fn made(
    tools: &Tools,
    plan: &EncodePlan,
    (input, bytes_max): (Input<'_>, Option<u64>),
    (rate, slack, out): (i64, u16, &Path),
    progress: Progress<'_>,
) -> Result<Option<Words>, EngineError> {
    let internal =
        |error: &dyn std::fmt::Display| EngineError::Internal(format!("{}: {error}", out.display()));
    let video = plan.video.as_ref().ok_or_else(|| EngineError::Internal("a GIF without a picture".into()))?;
    let side = |side: u32| u16::try_from(side).map_err(|error| internal(&error));
    let settings = Settings {
        width: side(video.picture.width)?,
        height: side(video.picture.height)?,
        rate: rate.unsigned_abs(),
        slack,
    };
    let len = usize::from(settings.width) * usize::from(settings.height) * 3;
    let (to, from) = mpsc::channel(WAITING);
    let file = BufWriter::new(File::create(out).map_err(|error| internal(&error))?);
    let writing = tokio::task::spawn_blocking(move || write(Writer::new(file, settings), from, bytes_max));
    let frames = video.frames_out.max(1);
    let reading = async {
        // What was read tells nothing of what is written, but the two keep step.
        let (counted, mut pictures) = mpsc::channel::<Vec<u8>>(WAITING);
        let pass_on = async {
            let mut passed = 0_u64;
            while let Some(picture) = pictures.recv().await {
                if to.send(picture).await.is_err() {
                    break;
                }
                passed += 1;
                progress(share(passed.min(frames), frames));
            }
            drop(to);
            drop(pictures);
        };
        let args = pictures_of(input, video, rate);
        tokio::join!(tools.ffmpeg_blocks(args, (len, counted)), pass_on).0
    };
    let (finished, written) = tokio::join!(reading, writing);
    let written = written.map_err(|error| internal(&error))?.map_err(|error| internal(&error))?;
    if !written {
        return Ok(None);
    }
    let words = words(finished?)?;
    progress(1.0);
    Ok(Some(words))
}

#[allow(clippy::cast_precision_loss)] // for a progress bar
fn share(done: u64, of: u64) -> f64 {
    done as f64 / of as f64
}

/// Writes the pictures that come; false as soon as there are more bytes than there may be.
fn write(
    mut writer: Writer<BufWriter<File>>,
    mut pictures: mpsc::Receiver<Vec<u8>>,
    bytes_max: Option<u64>,
) -> Result<bool, Error> {
    let fits = |bytes: u64| bytes_max.is_none_or(|max| bytes <= max);
    while let Some(picture) = pictures.blocking_recv() {
        writer.picture(picture)?;
        if !fits(writer.bytes()) {
            return Ok(false);
        }
    }
    writer.finish().map(fits)
}

/// FFmpeg's words for the pictures, `rate` a second, as bytes of red, green and blue.
fn pictures_of(input: Input<'_>, video: &VideoPlan, rate: i64) -> Args {
    // The last picture stays until the end of the span, the first is there from its beginning.
    // A single picture that does not say how long it is shown would become none by its rate.
    let paced = match video.frames.len() {
        1 => String::new(),
        _ => format!("fps={rate}:start_time=0,"),
    };
    let filter = format!(
        "{},{paced}tpad=stop=-1:stop_mode=clone,trim=end_frame={},{}",
        picture::frames(video),
        video.frames_out,
        picture::delivered_rgb(video)
    );
    opened(Args::default(), input)
        .words(&format!("-map 0:{}", video.stream))
        .option("-vf", filter)
        .words(NO_EXTRAS)
        .words("-fps_mode passthrough -c:v rawvideo -pix_fmt rgb24 -f rawvideo pipe:1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_picture_keeps_its_shape() {
        let scaled = |width, height, percent| {
            let PictureSize { width, height } = scaled(PictureSize { width, height }, percent);
            (width, height)
        };
        assert_eq!(scaled(1280, 720, 100), (1280, 720));
        assert_eq!(scaled(1280, 720, 56), (716, 402));
        assert_eq!((scaled(40, 20, 24), scaled(427, 241, 100)), ((32, 20), (426, 240)));
    }
}
