//! Generated sources, and an independent reading of what is in a file.
//!
//! Every generated frame carries its number in a strip of black and white blocks, and the sound is a chirp whose
//! phase tells the time, so that a test knows which frame and which sample it looks at.

#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic, unreachable_pub)] // shared by several test targets

pub mod muxer;
mod reads;

use std::{
    f64::consts::TAU,
    path::{Path, PathBuf},
    process::Command,
};

use domain::{
    cut::Span,
    quality::{Format, Quality},
    time::MediaTime,
};
use media::{
    engine::{self, Cut, EngineError, Output},
    ffmpeg::Tools,
    mp4::{Index, LocalFile, ReadAt, SpanFile, Wanted},
};

pub use reads::{Counting, Memory, same_pictures};

pub const WIDTH: usize = 320;
pub const HEIGHT: usize = 180;

/// What the service runs: its container's ffmpeg and ffprobe, where `cargo xtask test` has them. They start in a thirtieth
/// of the time of the machine's own, which make the sources, because they can more.
pub fn tools() -> Tools {
    let folder = std::env::var_os("CONTAINER_TOOLS").map(PathBuf::from).unwrap_or_default();
    Tools { ffmpeg: folder.join("ffmpeg"), ffprobe: folder.join("ffprobe"), ..Tools::default() }
}

/// As [`run`], by the container's program: for reading what is in a file.
pub fn read(program: &str, args: &[&str]) -> Vec<u8> {
    let Tools { ffmpeg, ffprobe, .. } = tools();
    run(if program == "ffmpeg" { &ffmpeg } else { &ffprobe }, args)
}

/// Runs a program and gives its standard output; any other end than a quiet success fails the test.
pub fn run(program: impl AsRef<Path>, args: &[&str]) -> Vec<u8> {
    let program = program.as_ref();
    let out = Command::new(program).args(["-hide_banner", "-v", "error"]).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && stderr.is_empty(), "{program:?} {args:?}: {stderr}");
    out.stdout
}

/// A lavfi graph of numbered frames, `rate` a second, for `seconds`.
pub fn numbered(rate: &str, seconds: f64) -> String {
    format!(
        "testsrc2=s=320x160:r={rate}:d={seconds}[top];color=black:s=320x20:r={rate}:d={seconds},format=gray,\
         geq=lum='255*mod(floor(N/pow(2,floor(X/20))),2)'[strip];[top]format=gray[grey];[grey][strip]vstack,\
         format=yuv420p"
    )
}

/// A lavfi graph of the chirp.
pub fn chirp(seconds: f64) -> String {
    format!("aevalsrc='0.5*sin(2*PI*(300*t+60*t*t))':s=48000:d={seconds}")
}

fn chirp_at(t: f64) -> f64 {
    if t < 0.0 { 0.0 } else { 0.5 * (TAU * (300.0 * t + 60.0 * t * t)).sin() }
}

/// Makes a source named `name` from numbered frames and the chirp. `video` and `options` are FFmpeg's words.
pub fn source(dir: &Path, name: &str, rate: &str, seconds: f64, options: &str) -> PathBuf {
    let path = dir.join(name);
    let (picture, sound) = (numbered(rate, seconds), chirp(seconds));
    let mut args = vec!["-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
    args.extend(options.split_whitespace());
    args.push(path.to_str().unwrap());
    run("ffmpeg", &args);
    path
}

/// Makes a file from another by FFmpeg's `before` and `after` words.
pub fn remake(from: &Path, name: &str, before: &str, after: &str) -> PathBuf {
    let path = from.with_file_name(name);
    let mut args = vec!["-y"];
    args.extend(before.split_whitespace());
    args.extend(["-i", from.to_str().unwrap()]);
    args.extend(after.split_whitespace());
    args.push(path.to_str().unwrap());
    run("ffmpeg", &args);
    path
}

/// One shown frame.
pub struct Frame {
    /// In ticks.
    pub pts: i64,
    /// Grey, [`WIDTH`] × [`HEIGHT`].
    pub picture: Vec<u8>,
}

impl Frame {
    /// The number in the strip.
    pub fn number(&self) -> u32 {
        (0..16).filter(|bit| self.picture[170 * WIDTH + bit * 20 + 10] > 127).map(|bit| 1 << bit).sum()
    }
}

/// The frames of a file as FFmpeg shows them, with the clock's ticks a second as a fraction.
pub struct Frames {
    pub list: Vec<Frame>,
    pub num: i64,
    pub den: i64,
    /// What the clock shows at the source's zero, in microseconds.
    pub zero: i64,
}

/// How long the first track of a clip is shown by its edit list, in seconds. The track's own length is counted in
/// decoding times, which says less when the frame rate varies.
pub fn shown_length(path: &Path) -> f64 {
    let bytes = std::fs::read(path).unwrap();
    let body = |kind: &[u8]| bytes.windows(4).position(|w| w == kind).unwrap() + 4;
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mvhd, elst) = (body(b"mvhd"), body(b"elst"));
    assert_eq!((bytes[mvhd], bytes[elst]), (0, 0), "32-bit boxes");
    let entries = word(elst + 4) as usize;
    (0..entries).map(|n| f64::from(word(elst + 8 + 12 * n))).sum::<f64>() / f64::from(word(mvhd + 12))
}

/// When a stream begins, in seconds.
pub fn start(path: &Path, stream: &str) -> f64 {
    probe_stream(path, stream, "stream=start_time").trim().parse().unwrap()
}

/// Presentation times of a stream's packets in ticks.
pub fn packet_times(path: &Path, stream: &str) -> Vec<i64> {
    let text = probe_stream(path, stream, "packet=pts");
    text.lines().filter_map(|line| line.split(',').next()?.parse().ok()).collect()
}

fn probe(path: &Path, entries: &str) -> String {
    probe_stream(path, "v:0", entries)
}

fn probe_stream(path: &Path, stream: &str, entries: &str) -> String {
    let args =
        ["-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0", path.to_str().unwrap()];
    String::from_utf8(read("ffprobe", &args)).unwrap()
}

/// Decodes a whole file. `filter` brings its picture into the generated shape.
pub fn frames(path: &Path, filter: &str) -> Frames {
    let times = probe(path, "frame=best_effort_timestamp");
    let pts: Vec<i64> = times.lines().filter_map(|line| line.split(',').next()?.parse().ok()).collect();
    let base = probe(path, "stream=time_base");
    let (num, den) = base.lines().next().unwrap().trim_end_matches(',').split_once('/').unwrap();
    let graph = format!("{filter},scale={WIDTH}:{HEIGHT}:flags=area,format=gray");
    let name = path.to_str().unwrap();
    let args = [
        "-i",
        name,
        "-map",
        "0:v:0",
        "-vf",
        &graph,
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "-1",
        "-f",
        "rawvideo",
        "-",
    ];
    let raw = read("ffmpeg", &args);
    let pictures = raw.chunks_exact(WIDTH * HEIGHT);
    assert_eq!(pictures.len(), pts.len(), "{path:?}: as many pictures as timestamps");
    let extension = path.extension().unwrap().to_str().unwrap();
    let zero = if matches!(extension, "mp4" | "mov" | "mkv" | "webm") {
        0
    } else {
        let start: f64 = probe(path, "format=start_time").trim().trim_end_matches(',').parse().unwrap();
        (start * 1e6).round() as i64
    };
    let list = pts.into_iter().zip(pictures).map(|(pts, p)| Frame { pts, picture: p.to_vec() }).collect();
    Frames { list, num: num.parse().unwrap(), den: den.parse().unwrap(), zero }
}

/// Peak signal-to-noise ratio in dB.
pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    if sum == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 * a.len() as f64 / sum).log10() }
}

impl Frames {
    /// The source's time of a frame in microseconds, rounded as `ffprobe` prints it.
    pub fn micros(&self, pts: i64) -> i64 {
        MediaTime::from_ticks(pts * self.num, u32::try_from(self.den).unwrap()).0 - self.zero
    }

    fn within(&self, span: Span) -> std::ops::Range<usize> {
        let inside: Vec<usize> = (0..self.list.len())
            .filter(|n| (span.start.0..span.end.0).contains(&self.micros(self.list[*n].pts)))
            .collect();
        assert!(!inside.is_empty(), "the span has frames");
        assert_eq!(inside.last().unwrap() - inside[0] + 1, inside.len());
        inside[0]..inside[0] + inside.len()
    }
}

/// Compares a clip with its source frame by frame. Gives the source's time of the clip's zero in seconds.
pub fn compare_pictures(source: &Frames, clip: &Frames, span: Span, numbers: bool) -> f64 {
    let range = source.within(span);
    assert_eq!(clip.list.len(), range.len(), "frame count");
    let zero = source.list[range.start].pts;
    for (n, (out, index)) in clip.list.iter().zip(range.clone()).enumerate() {
        let wanted = &source.list[index];
        let same = i128::from(out.pts) * i128::from(clip.num) * i128::from(source.den)
            == i128::from(wanted.pts - zero) * i128::from(source.num) * i128::from(clip.den);
        assert!(same, "frame {n}: {} / {} is not {} / {}", out.pts, clip.den, wanted.pts - zero, source.den);
        let likeness = psnr(&out.picture, &wanted.picture);
        assert!(likeness > 30.0, "frame {n} has {likeness:.1} dB");
        for neighbour in [index.wrapping_sub(1), index + 1].into_iter().filter_map(|i| source.list.get(i)) {
            assert!(likeness > psnr(&out.picture, &neighbour.picture) + 3.0, "frame {n} is a neighbour");
        }
        if numbers {
            assert_eq!(out.number(), wanted.number(), "frame {n}");
        }
    }
    source.micros(zero) as f64 / 1e6
}

/// The sound of a clip as one channel of 48 kHz.
pub fn sound(path: &Path) -> Vec<f64> {
    let name = path.to_str().unwrap();
    let raw = read("ffmpeg", &["-i", name, "-map", "0:a:0", "-ac", "1", "-ar", "48000", "-f", "wav", "-"]);
    let data = raw.windows(4).position(|word| word == b"data").unwrap() + 8;
    raw[data..].chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])) / 32768.0).collect()
}

/// By how many samples the clip's chirp is late against one that began `began` seconds before the clip's zero
/// (negative: behind it). Fails when the sound is not the chirp at all.
pub fn lag(pcm: &[f64], began: f64) -> i32 {
    lag_within(pcm, began, 300)
}

/// [`lag`], looked for among those up to `most`.
pub fn lag_within(pcm: &[f64], began: f64, most: i32) -> i32 {
    // The first and last packets are left out: the encoder fades there.
    let first = 2400 + (-began * 48_000.0).max(0.0) as usize;
    let range = first..pcm.len() - 2400;
    assert!(range.len() > 12_000, "enough sound to compare");
    // Each sample of the chirp is wanted at hundreds of lags.
    let base = range.start as i64 - i64::from(most);
    let chirp = (base..range.end as i64 + i64::from(most)).map(|n| chirp_at(n as f64 / 48_000.0 + began));
    let chirp: Vec<f64> = chirp.collect();
    let likeness = |lag: i32| {
        let from = (range.start as i64 - i64::from(lag) - base) as usize;
        let (mut dot, mut a, mut b) = (0.0, 0.0, 0.0);
        for (want, got) in chirp[from..].iter().zip(&pcm[range.clone()]).step_by(3) {
            dot += want * got;
            a += want * want;
            b += got * got;
        }
        (dot / (a * b).sqrt(), lag)
    };
    let (like, best) = (-most..=most).map(likeness).max_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap();
    assert!(like > 0.98, "the sound is the chirp: {like}");
    best
}

pub const fn span(start_ms: i64, end_ms: i64) -> Span {
    Span { start: MediaTime(start_ms * 1000), end: MediaTime(end_ms * 1000) }
}

/// Cuts with the engine.
pub async fn cut(
    input: &Path,
    origin: MediaTime,
    span: Span,
    format: Format,
    out_dir: &Path,
) -> Result<Output, EngineError> {
    std::fs::create_dir_all(out_dir).unwrap();
    let quality = Quality::P1080;
    let (pace, audio, bytes_max, encode) = (None, None, None, false);
    let job = Cut { input, origin, span, pace, format, quality, audio, bytes_max, encode, out_dir };
    engine::cut(&tools(), &job, &|_| {}).await
}

/// The poster of a clip.
pub async fn poster(output: &Output) -> Option<PathBuf> {
    media::engine::poster(&tools(), output).await.unwrap()
}

/// Plans and writes the small file of a span. Gives its path and plan.
pub async fn fetch(source: &Path, span: Span, wanted: Wanted) -> (PathBuf, SpanFile) {
    let file = LocalFile::open(source).unwrap();
    let index = Index::read(&file).await.unwrap();
    let plan = SpanFile::plan(&index, span, wanted).unwrap();
    let mut bytes = plan.header.clone();
    for range in &plan.ranges {
        bytes.extend(file.read_at(range.start, range.end - range.start).await.unwrap());
    }
    assert_eq!(bytes.len() as u64, plan.bytes_total);
    let path = source.with_extension(format!("{}.span.mp4", span.start.0));
    std::fs::write(&path, bytes).unwrap();
    (path, plan)
}

pub const BOTH: Wanted = Wanted { video: true, audio: true };
