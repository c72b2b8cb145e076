//! The sources, made once by FFmpeg, and the cuts that are measured.
//!
//! Every frame carries its number in a strip of black and white blocks (see [`crate::frames`]), and the sound is noise,
//! so that it can be told which frame and which sample a clip shows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::say;

/// Frames of the longest encode; a file that is joined from copies begins counting anew after as many.
pub(crate) const PERIOD: i64 = 3600;
/// Blocks in the strip: bits of a frame's number.
pub(crate) const BITS: usize = 16;
/// The strip is this part of the picture's height, at its foot.
pub(crate) const STRIP: usize = 18;
/// Made anew when it changes: the recipes' version.
const RECIPES: &str = "1";

/// A video to cut from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: &'static str,
    pub(crate) about: &'static str,
    recipe: Recipe,
}

#[derive(Debug)]
enum Recipe {
    /// `seconds` of the test picture at `size`, then FFmpeg's words.
    Encode { size: (u32, u32), seconds: u32, options: &'static str },
    /// The picture of a two-minute encode with these words, 30 times one behind the other without re-encoding, and
    /// one hour of sound.
    Hour(&'static str),
    /// A two-minute encode with these words, sound and all, 30 times one behind the other, as a user would do it.
    Joined(&'static str),
    /// Another source's streams, copied with FFmpeg's words.
    Remux { from: &'static str, options: &'static str },
}

/// A cut of a source.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    /// Seconds.
    pub(crate) start: f64,
    /// Seconds.
    pub(crate) end: f64,
}

/// The case that the targets are about.
pub(crate) const HEADLINE: &str = "hour-2s";

/// What is measured, the headline first.
pub(crate) const CASES: [Case; 9] = [
    // 21 frames before the next key frame.
    Case { name: HEADLINE, file: "hour-2s.mp4", start: 1801.3, end: 1861.3 },
    Case { name: "hour-2s-middle", file: "hour-2s.mp4", start: 2470.9, end: 2483.1 },
    Case { name: "hour-10s", file: "hour-10s.mp4", start: 1804.7, end: 1817.1 },
    Case { name: "joined", file: "joined.mp4", start: 1793.7, end: 1806.1 },
    Case { name: "open-gop", file: "open-gop.mp4", start: 12.3, end: 18.7 },
    Case { name: "4k", file: "4k.mp4", start: 8.3, end: 14.7 },
    Case { name: "hevc", file: "hevc.mp4", start: 12.3, end: 18.7 },
    Case { name: "fragmented", file: "fragmented.mp4", start: 31.3, end: 37.7 },
    Case { name: "vfr", file: "vfr.mp4", start: 12.3, end: 18.7 },
];

const HD: (u32, u32) = (1920, 1080);
/// Groups of 2 s, closed.
const TWO_SECONDS: &str = "-c:v libx264 -preset veryfast -b:v 4500k -maxrate 6000k -bufsize 9000k -g 60 \
                           -keyint_min 60 -sc_threshold 0";

const SOURCES: [Source; 8] = [
    Source {
        file: "hour-2s.mp4",
        about: "1 h, 1080p30 H.264, closed groups of 2 s, index in front",
        recipe: Recipe::Hour(TWO_SECONDS),
    },
    Source {
        file: "hour-10s.mp4",
        about: "1 h, 1080p30 H.264, closed groups of 10 s, index in front",
        recipe: Recipe::Hour(
            "-c:v libx264 -preset veryfast -b:v 4000k -maxrate 6000k -bufsize 9000k -g 300 -keyint_min 300 \
             -sc_threshold 0",
        ),
    },
    Source {
        file: "joined.mp4",
        about: "1 h, 1080p30 H.264: a 2-minute encode joined 30 times with its sound, index at the end",
        recipe: Recipe::Joined(
            "-c:v libx264 -preset veryfast -b:v 2000k -maxrate 3000k -bufsize 4500k -g 60 -sc_threshold 0",
        ),
    },
    Source {
        file: "open-gop.mp4",
        about: "60 s, 1080p30 H.264, open groups of 2 s",
        recipe: Recipe::Encode {
            size: HD,
            seconds: 60,
            options: "-c:v libx264 -preset veryfast -b:v 4500k -x264-params open-gop=1:keyint=60:min-keyint=60:scenecut=0",
        },
    },
    Source {
        file: "4k.mp4",
        about: "30 s, 2160p30 H.264, closed groups of 2 s",
        recipe: Recipe::Encode {
            size: (3840, 2160),
            seconds: 30,
            options: "-c:v libx264 -preset veryfast -b:v 15000k -g 60 -keyint_min 60 -sc_threshold 0",
        },
    },
    Source {
        file: "hevc.mp4",
        about: "40 s, 1080p30 HEVC, groups of 2 s",
        recipe: Recipe::Encode {
            size: HD,
            seconds: 40,
            options: "-c:v libx265 -preset ultrafast -b:v 3500k -x265-params \
                      log-level=error:keyint=60:min-keyint=60:scenecut=0 -tag:v hvc1",
        },
    },
    Source {
        file: "fragmented.mp4",
        about: "60 s, 1080p30 H.264, fragmented MP4",
        recipe: Recipe::Remux {
            from: "hour-2s.mp4",
            options: "-t 60 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof",
        },
    },
    Source {
        file: "vfr.mp4",
        about: "40 s, 1080p H.264, variable frame rate",
        recipe: Recipe::Encode {
            size: HD,
            seconds: 40,
            options: "-vf select='not(mod(n\\,2))+not(mod(n\\,5))',settb=1/90000 -fps_mode vfr \
                      -enc_time_base:v 1/90000 -c:v libx264 -preset veryfast -b:v 4500k -g 60 -sc_threshold 0",
        },
    },
];

impl Case {
    /// The quality to ask for, so that the picture keeps its size.
    pub(crate) fn quality(&self) -> &'static str {
        let size = SOURCES.iter().find(|source| source.file == self.file).map(|source| &source.recipe);
        if matches!(size, Some(Recipe::Encode { size: (_, 1081..), .. })) { "4k" } else { "1080p" }
    }

    /// The source's description.
    pub(crate) fn about(&self) -> &'static str {
        SOURCES.iter().find(|source| source.file == self.file).map_or("", |source| source.about)
    }
}

/// Makes the sources of `cases` in `folder`, those that are not there yet.
pub(crate) fn make(folder: &Path, cases: &[&Case]) -> anyhow::Result<()> {
    let mark = folder.join("recipes");
    if fs::read_to_string(&mark).is_ok_and(|made| made != RECIPES) {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(mark, RECIPES)?;
    for source in SOURCES.iter().filter(|source| cases.iter().any(|case| case.file == source.file)) {
        source.make(folder)?;
    }
    Ok(())
}

impl Source {
    fn make(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join(self.file);
        if path.is_file() {
            return Ok(path);
        }
        say::line(&format!("bench: making {} (once): {}", self.file, self.about));
        let part = folder.join(format!("part-{}", self.file));
        match &self.recipe {
            Recipe::Encode { size, seconds, options } => encode(*size, *seconds, options, true, &part)?,
            Recipe::Hour(options) => hour(folder, options, &part)?,
            Recipe::Joined(options) => {
                let piece = folder.join("piece.mp4");
                encode(HD, 120, options, true, &piece)?;
                join(&piece, "", None, &part)?;
                fs::remove_file(piece)?;
            }
            Recipe::Remux { from, options } => {
                let from = SOURCES.iter().find(|source| source.file == *from).context("no such source")?;
                let from = from.make(folder)?;
                finish(ffmpeg().arg("-i").arg(from).args(options.split_whitespace()).arg(&part))?;
            }
        }
        fs::rename(part, &path)?;
        Ok(path)
    }
}

/// The picture's 120 s come from one file after the other to the tick, because each is said to last just as long.
fn hour(folder: &Path, options: &str, out: &Path) -> anyhow::Result<()> {
    let (piece, sound) = (folder.join("piece.mp4"), folder.join("sound.m4a"));
    encode(HD, 120, options, false, &piece)?;
    finish(
        ffmpeg().args(["-f", "lavfi", "-i", &noise(3600)]).args(["-c:a", "aac", "-b:a", "128k"]).arg(&sound),
    )?;
    join(&piece, "duration 120\n", Some(&sound), out)?;
    fs::remove_file(piece)?;
    Ok(fs::remove_file(sound)?)
}

fn join(piece: &Path, directive: &str, sound: Option<&Path>, out: &Path) -> anyhow::Result<()> {
    let list = piece.with_extension("txt");
    fs::write(&list, format!("file '{}'\n{directive}", piece.display()).repeat(30))?;
    let mut command = ffmpeg();
    command.args(["-f", "concat", "-safe", "0", "-i"]).arg(&list);
    if let Some(sound) = sound {
        command.arg("-i").arg(sound).args(["-map", "0:v", "-map", "1:a", "-movflags", "+faststart"]);
    }
    finish(command.args(["-c", "copy"]).arg(out))?;
    Ok(fs::remove_file(list)?)
}

/// A moving picture with a little grain, above the strip with the frame's number.
fn encode(
    (width, height): (u32, u32),
    seconds: u32,
    options: &str,
    sound: bool,
    out: &Path,
) -> anyhow::Result<()> {
    let strip = height / 18;
    let top = height - strip;
    let graph = format!(
        "testsrc2=s={width}x{top}:r=30:d={seconds},noise=alls=6:allf=t,format=yuv420p[top];\
         color=black:s=320x20:r=30:d={seconds},format=gray,geq=lum='255*mod(floor(N/pow(2\\,floor(X/20)))\\,2)',\
         scale={width}:{strip}:flags=neighbor,format=yuv420p[strip];[top][strip]vstack"
    );
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", &graph]);
    if sound {
        command.args(["-f", "lavfi", "-i", &noise(seconds), "-c:a", "aac", "-b:a", "128k"]);
    }
    finish(command.args(options.split_whitespace()).args(["-pix_fmt", "yuv420p"]).arg(out))
}

fn noise(seconds: u32) -> String {
    format!("anoisesrc=color=pink:amplitude=0.3:sample_rate=48000:seed=1:duration={seconds}")
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "fatal", "-nostdin", "-y"]);
    command
}

fn finish(command: &mut Command) -> anyhow::Result<()> {
    if !command.status().context("cannot run ffmpeg")?.success() {
        bail!("ffmpeg could not make a source: {command:?}");
    }
    Ok(())
}
