//! Which frames a clip shows, and how like the source's they are.
//!
//! The source's span and all clips are decoded side by side, frame by frame, so that nothing but one frame of each is
//! in memory. A frame is known by the number in its strip, never by its place or its time.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::corpus::{BITS, PERIOD, STRIP};
use crate::measure::Helper;
use crate::probe::Packets;

/// An encoded frame that is no nearer to the source's than this is told, in dB (peak signal-to-noise ratio).
pub(crate) const GOOD_DB: f64 = 42.0;

/// What a clip shows, against the source's frames with start ≤ pts < end.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(crate) struct Pictures {
    /// Frames that it should show.
    pub(crate) wanted: usize,
    /// Of these, those that it shows, in order.
    pub(crate) right: usize,
    /// Of the right ones, those with exactly the source's pixels.
    pub(crate) identical: usize,
    /// Of the right ones that are not identical, those of at least [`GOOD_DB`].
    pub(crate) good: usize,
    /// The worst of the right ones, in dB; none when all are identical.
    pub(crate) worst_db: Option<f64>,
    /// Frames shown a second time, or after later ones.
    pub(crate) repeated: usize,
    /// Frames that lie outside of the span.
    pub(crate) extra: usize,
    /// Lines of the decoder's complaints.
    pub(crate) complaints: usize,
    /// For each right frame, its place in the clip and in the span.
    #[serde(skip)]
    pub(crate) places: Vec<(usize, usize)>,
}

/// A running decoder of 8-bit 4:2:0 pictures.
struct Decoder {
    // Ends before the process does, so that it is never waited for in vain.
    output: ChildStdout,
    _process: Helper,
    words: PathBuf,
    width: usize,
    picture: Vec<u8>,
    /// Number in the strip of the picture that was read last.
    number: i64,
    shown: usize,
}

impl Decoder {
    fn start(command: &mut Command, (width, height): (usize, usize), words: PathBuf) -> anyhow::Result<Self> {
        command.args([
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-pix_fmt",
            "yuv420p",
            "-f",
            "rawvideo",
            "-",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&words)?);
        let mut process = Helper(command.spawn().context("cannot run ffmpeg")?);
        let output = process.0.stdout.take().context("ffmpeg has no output")?;
        let picture = vec![0; width * height * 3 / 2];
        Ok(Self { output, _process: process, words, width, picture, number: 0, shown: 0 })
    }

    /// Reads the next picture; `false` at the end.
    fn next(&mut self) -> anyhow::Result<bool> {
        match self.output.read_exact(&mut self.picture) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.number = number(&self.picture, self.width);
        self.shown += 1;
        Ok(true)
    }

    fn complaints(&self) -> usize {
        let words = std::fs::read(&self.words).unwrap_or_default();
        String::from_utf8_lossy(&words).lines().filter(|line| !line.trim().is_empty()).count()
    }
}

/// The number in the strip at the picture's foot, from the middles of its blocks.
fn number(picture: &[u8], width: usize) -> i64 {
    let height = picture.len() * 2 / 3 / width;
    let row = height - height / STRIP / 2;
    let block = width / BITS;
    let bit = |n: usize| picture.get(row * width + n * block + block / 2).is_some_and(|luma| *luma > 127);
    (0..BITS).filter(|n| bit(*n)).map(|n| 1 << n).sum()
}

/// How far `number` lies behind `other`; the numbers begin anew after [`PERIOD`].
fn behind(number: i64, other: i64) -> i64 {
    (number - other + PERIOD / 2).rem_euclid(PERIOD) - PERIOD / 2
}

/// One clip on its way through the comparison.
struct Clip {
    decoder: Decoder,
    ended: bool,
    found: Pictures,
}

impl Clip {
    fn advance(&mut self) -> anyhow::Result<()> {
        self.ended = !self.decoder.next()?;
        Ok(())
    }

    /// Takes all the clip's frames up to the source's current one, the `place`th of the span.
    fn meet(&mut self, source: &Decoder, place: usize) -> anyhow::Result<()> {
        while !self.ended {
            let ahead = behind(self.decoder.number, source.number);
            let seen = self.found.places.last().is_some_and(|(_, last)| *last == place);
            match ahead {
                1.. => break,
                0 if !seen => self.matched(source, place),
                0 => self.found.repeated += 1,
                _ if self.found.places.is_empty() => self.found.extra += 1,
                // Already passed: shown again, or out of order.
                _ => self.found.repeated += 1,
            }
            self.advance()?;
        }
        Ok(())
    }

    fn matched(&mut self, source: &Decoder, place: usize) {
        self.found.places.push((self.decoder.shown - 1, place));
        self.found.right += 1;
        let psnr = psnr(&self.decoder.picture, &source.picture);
        match psnr {
            None => self.found.identical += 1,
            Some(db) => {
                self.found.good += usize::from(db >= GOOD_DB);
                self.found.worst_db = Some(self.found.worst_db.map_or(db, |worst| worst.min(db)));
            }
        }
    }
}

/// Peak signal-to-noise ratio in dB over all samples of two pictures; none when they are identical.
fn psnr(a: &[u8], b: &[u8]) -> Option<f64> {
    if a == b {
        return None;
    }
    // A sum of 4096 squares fits into 32 bits, in which the compiler uses vectors.
    let part = |(a, b): (&[u8], &[u8])| -> u64 {
        a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>().into()
    };
    let sum: u64 = a.chunks(4096).zip(b.chunks(4096)).map(part).sum();
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    let mean = sum as f64 / a.len() as f64;
    Some(10.0 * (255.0 * 255.0 / mean).log10())
}

/// Compares `clips` with the frames `wanted` of `source`; `size` is the source's, which all clips must have.
pub(crate) fn compare(
    source: &Path,
    size: (usize, usize),
    wanted: &Packets,
    clips: &[&Path],
) -> anyhow::Result<Vec<Pictures>> {
    let words = |path: &Path| path.with_extension("words");
    let mut decoder = Decoder::start(&mut span(source, wanted)?, size, scratch(clips)?)?;
    let mut running = Vec::new();
    for path in clips {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-i"]).arg(path);
        let decoder = Decoder::start(&mut command, size, words(path))?;
        let mut clip = Clip { decoder, ended: false, found: Pictures::default() };
        clip.advance()?;
        running.push(clip);
    }
    for place in 0..wanted.times.len() {
        if !decoder.next()? {
            bail!("{}: {} of {} frames decoded", source.display(), place, wanted.times.len());
        }
        for clip in &mut running {
            clip.meet(&decoder, place)?;
        }
    }
    if decoder.next()? {
        bail!("{}: more frames than packets", source.display());
    }
    running.into_iter().map(|clip| finish(clip, wanted.times.len())).collect()
}

fn finish(mut clip: Clip, wanted: usize) -> anyhow::Result<Pictures> {
    while !clip.ended {
        clip.found.extra += 1;
        clip.advance()?;
    }
    let Clip { decoder, mut found, .. } = clip;
    found.complaints = decoder.complaints();
    found.wanted = wanted;
    Ok(found)
}

/// The decoder's words about the source are put beside the clips.
fn scratch(clips: &[&Path]) -> anyhow::Result<PathBuf> {
    let first = clips.first().context("there is no clip to compare")?;
    Ok(first.with_file_name("source.words"))
}

/// Decodes from well before the span and picks its frames by their ticks.
fn span(source: &Path, wanted: &Packets) -> anyhow::Result<Command> {
    let (first, last) = wanted.first().zip(wanted.last()).context("the span has no frame")?;
    let from = (first.1 - crate::probe::LEAD_S).max(0.0);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-copyts"]);
    if from > 0.0 {
        command.args(["-noaccurate_seek", "-seek_timestamp", "1", "-ss", &format!("{from:.3}")]);
    }
    let pick = format!("trim=start_pts={}:end_pts={}", first.0, last.0 + 1);
    command.arg("-i").arg(source).args(["-vf", &pick]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_is_read_and_numbers_wrap() {
        let (width, height) = (64, 36);
        let mut picture = vec![16; width * height * 3 / 2];
        for bit in [0, 3, 10] {
            for x in 0..4 {
                picture[35 * width + bit * 4 + x] = 235;
            }
        }
        assert_eq!(number(&picture, width), 1 + 8 + 1024);
        assert_eq!(behind(2, 3599), 3);
        assert_eq!(behind(3599, 2), -3);
        assert_eq!(behind(1700, 0), 1700);
    }

    #[test]
    fn likeness_is_in_decibels() {
        assert_eq!(psnr(&[7; 9000], &[7; 9000]), None);
        let one_off = psnr(&[7; 9000], &[8; 9000]).unwrap();
        assert!((one_off - 48.13).abs() < 0.01, "{one_off}");
    }
}
