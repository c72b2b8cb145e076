//! Thumbnails of a clip at regular intervals, as one picture, and the WebVTT file that tells a player which part of
//! it to show at which time (W3C WebVTT; W3C Media Fragments 1.0, 4.2.2, `#xywh=`).

use std::{fmt::Write, path::PathBuf};

use domain::{quality::PictureSize, time::MediaTime};

use super::{EngineError, Output, execute::silent, picture};
use crate::{
    ffmpeg::{Args, Tools},
    mp4::{Index, LocalFile},
};

/// The most thumbnails; a longer clip has them further apart.
const COUNT_MAX: i64 = 100;

/// They are at least this far apart.
const INTERVAL_MIN: MediaTime = MediaTime(1_000_000);

/// A clip that is not longer has none.
const DURATION_MIN: MediaTime = MediaTime(2_000_000);

/// The largest thumbnail, in pixels: wide enough for a seek bar, even for a portrait.
const SIZE_MAX: PictureSize = PictureSize { width: 160, height: 320 };

/// Thumbnails in a row.
const COLUMNS_MAX: i64 = 10;

/// Sync pictures alone are decoded when none of them stands for more intervals than these.
const SYNC_INTERVALS_MAX: i64 = 2;

/// A longer clip is never decoded whole for its thumbnails, which costs seconds a minute: they are as far apart as its
/// sync pictures allow.
const DECODE_MAX: MediaTime = MediaTime(60_000_000);

/// Thumbnails of a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sprite {
    /// All of them in one JPEG.
    pub picture: PathBuf,
    /// The WebVTT file.
    pub cues: PathBuf,
}

/// Makes `sprite.jpg` and `sprite.vtt` beside an MP4 clip; `None` for a clip that is too short for them. `name` is
/// what the WebVTT file calls the picture.
///
/// # Errors
/// [`EngineError`].
pub async fn sprite(tools: &Tools, clip: &Output, name: &str) -> Result<Option<Sprite>, EngineError> {
    let Some(picture) = clip.verified.picture.filter(|_| clip.verified.duration > DURATION_MIN) else {
        return Ok(None);
    };
    let unreadable = |error: &dyn std::fmt::Display| EngineError::Internal(format!("sprite: {error}"));
    let file = LocalFile::open(&clip.media).map_err(|error| unreadable(&error))?;
    let index = Index::read(&file).await.map_err(|error| unreadable(&error))?;
    let grid = Grid::new(clip.verified.duration, picture, sync_gap(&index, clip.verified.duration));
    let (image, cues) = (clip.media.with_file_name("sprite.jpg"), clip.media.with_file_name("sprite.vtt"));
    // What is left out of decoding would not be seen in a thumbnail.
    let skip =
        if grid.sync_is_enough { "-skip_frame nokey" } else { "-skip_frame noref -skip_loop_filter all" };
    let Grid { interval, count, columns, size, .. } = grid;
    let filters = format!(
        "fps=1000000/{}:start_time=0:round=up,tpad=stop=-1:stop_mode=clone,trim=end_frame={count},{},tile={columns}x{}",
        interval.0,
        picture::jpeg(&clip.verified.colour, picture, size),
        grid.rows(),
    );
    let args = Args::default()
        .words(skip)
        .input(&clip.media)
        .words("-map 0:v:0")
        .option("-vf", filters)
        .words("-frames:v 1 -c:v mjpeg -q:v 4 -update 1 -f image2")
        .file(&image);
    silent(tools.ffmpeg(args, &mut |_| {}).await?)?;
    tokio::fs::write(&cues, grid.cues(name)).await.map_err(|error| unreadable(&error))?;
    Ok(Some(Sprite { picture: image, cues }))
}

/// How the thumbnails lie in time and in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    /// Length of the clip.
    duration: MediaTime,
    /// From one thumbnail to the next.
    interval: MediaTime,
    count: i64,
    columns: i64,
    /// Of one thumbnail.
    size: PictureSize,
    /// Whether a sync picture is near enough before each thumbnail's time.
    sync_is_enough: bool,
}

impl Grid {
    /// The thumbnails of a clip whose sync pictures are up to `gap` apart.
    fn new(duration: MediaTime, picture: PictureSize, gap: MediaTime) -> Self {
        let mut interval = MediaTime((duration.0 + COUNT_MAX - 1) / COUNT_MAX).max(INTERVAL_MIN);
        if duration > DECODE_MAX {
            interval = interval.max(MediaTime((gap.0 + SYNC_INTERVALS_MAX - 1) / SYNC_INTERVALS_MAX));
        }
        let count = (duration.0 + interval.0 - 1) / interval.0;
        let (columns, size) = (count.min(COLUMNS_MAX), thumbnail(picture));
        let sync_is_enough = gap.0 <= SYNC_INTERVALS_MAX * interval.0;
        Self { duration, interval, count, columns, size, sync_is_enough }
    }

    const fn rows(&self) -> i64 {
        (self.count + self.columns - 1) / self.columns
    }

    /// The WebVTT file: one cue a thumbnail.
    fn cues(&self, name: &str) -> String {
        let mut text = "WEBVTT\n".to_owned();
        let PictureSize { width, height } = self.size;
        for number in 0..self.count {
            let from = MediaTime(number * self.interval.0);
            let to = MediaTime(from.0 + self.interval.0).min(self.duration);
            let (x, y) =
                (number % self.columns * i64::from(width), number / self.columns * i64::from(height));
            // Writing to a string does not fail.
            let _ =
                write!(text, "\n{} --> {}\n{name}#xywh={x},{y},{width},{height}\n", clock(from), clock(to));
        }
        text
    }
}

/// The longest time in a clip of `duration` without a sync picture.
fn sync_gap(index: &Index, duration: MediaTime) -> MediaTime {
    let Some(track) = &index.video else { return duration };
    let Ok(samples) = &track.samples else { return duration };
    let Some(sync) = &samples.sync else { return MediaTime::ZERO };
    let at = |place: &u32| samples.list.get(*place as usize).map_or(0, crate::mp4::Sample::pts);
    let times = sync.iter().map(|place| MediaTime::from_ticks(at(place), track.timescale));
    let gaps = times
        .chain([duration])
        .scan(MediaTime::ZERO, |last, time| Some(time.since(std::mem::replace(last, time))));
    gaps.max().unwrap_or(duration)
}

/// The largest even size of the same shape within [`SIZE_MAX`], never larger than the picture.
fn thumbnail(picture: PictureSize) -> PictureSize {
    let (width, height) = (u64::from(picture.width.max(1)), u64::from(picture.height.max(1)));
    let (wide, tall) = (u64::from(SIZE_MAX.width), u64::from(SIZE_MAX.height));
    // The side that limits more, as a fraction.
    let (num, den) = if wide * height <= tall * width { (wide, width) } else { (tall, height) };
    let side = |side: u64| {
        let side = if num < den { (side * num + den / 2) / den } else { side };
        u32::try_from((side / 2 * 2).max(2)).unwrap_or(2)
    };
    PictureSize { width: side(width), height: side(height) }
}

/// A time as WebVTT has it, in milliseconds.
fn clock(at: MediaTime) -> String {
    let ms = at.0 / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> PictureSize {
        PictureSize { width, height }
    }

    #[test]
    fn thumbnails_are_a_second_apart_or_a_hundred() {
        let seconds = |seconds: i64| MediaTime(seconds * 1_000_000);
        let grid = |length, gap| Grid::new(seconds(length), size(1920, 1080), seconds(gap));
        let short = grid(15, 2);
        assert_eq!((short.interval, short.count, short.columns, short.rows()), (seconds(1), 15, 10, 2));
        let long = grid(600, 10);
        assert_eq!((long.interval, long.count, long.rows()), (seconds(6), 100, 10));
        assert!(short.sync_is_enough && long.sync_is_enough);
        let odd = Grid::new(MediaTime(2_730_000), size(640, 360), seconds(0));
        assert_eq!((odd.count, odd.columns, odd.rows()), (3, 3, 1));
        // Where sync pictures are rare, a short clip is decoded, and a long one has fewer thumbnails.
        assert_eq!((grid(60, 10).count, grid(60, 10).sync_is_enough), (60, false));
        assert_eq!((grid(61, 10).count, grid(61, 10).sync_is_enough), (13, true));
    }

    #[test]
    fn thumbnails_keep_the_shape() {
        assert_eq!(thumbnail(size(1920, 1080)), size(160, 90));
        assert_eq!(thumbnail(size(1080, 1920)), size(160, 284));
        assert_eq!(thumbnail(size(100, 2000)), size(16, 320));
        assert_eq!(thumbnail(size(64, 36)), size(64, 36));
        assert_eq!(thumbnail(size(8000, 2)), size(160, 2));
    }

    #[test]
    fn cues_cover_the_clip_without_gaps() {
        let grid = Grid { columns: 2, ..Grid::new(MediaTime(2_730_000), size(320, 180), MediaTime::ZERO) };
        let wanted = "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na.jpg#xywh=0,0,160,90\n\n\
                      00:00:01.000 --> 00:00:02.000\na.jpg#xywh=160,0,160,90\n\n\
                      00:00:02.000 --> 00:00:02.730\na.jpg#xywh=0,90,160,90\n";
        assert_eq!(grid.cues("a.jpg"), wanted);
        assert_eq!(clock(MediaTime(3_723_456_789)), "01:02:03.456");
    }
}
