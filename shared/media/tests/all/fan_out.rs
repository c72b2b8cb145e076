//! A clip that several functions encode is the clip that one would have encoded.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use crate::kit;

use std::path::{Path, PathBuf};

use domain::{
    cut::Span,
    quality::{Format, Quality},
};
use kit::{compare_pictures, frames, lag, remake, sound, source, span};
use media::{
    engine::{self, Cut, Output},
    fan_out::{FanOut, Joining, join},
    mp4::{Index, LocalFile, ReadAt as _, SpanFile, Wanted},
};

/// What Download does: the bytes of a span as a file of their own.
async fn span_file(source: &Path, span: Span, wanted: Wanted, out: PathBuf) -> (PathBuf, SpanFile) {
    let file = LocalFile::open(source).unwrap();
    let plan = SpanFile::plan(&Index::read(&file).await.unwrap(), span, wanted).unwrap();
    let mut bytes = plan.header.clone();
    for range in &plan.ranges {
        bytes.extend(file.read_at(range.start, range.end - range.start).await.unwrap());
    }
    std::fs::write(&out, bytes).unwrap();
    (out, plan)
}

/// Shares out, encodes, joins.
async fn shared(source: &Path, span: Span, shares: usize, dir: &Path) -> (Output, FanOut) {
    let index = Index::read(&LocalFile::open(source).unwrap()).await.unwrap();
    let fan_out = FanOut::among(&index, span, Quality::P1080, shares).unwrap();
    let (tools, mut encoded) = (kit::tools(), Vec::new());
    for (n, share) in fan_out.shares.iter().enumerate() {
        let out_dir = dir.join(n.to_string());
        std::fs::create_dir_all(&out_dir).unwrap();
        let video = Wanted { video: true, audio: false };
        let (input, plan) = span_file(source, share.span, video, out_dir.join("source")).await;
        let cut = Cut {
            input: &input,
            origin: plan.origin,
            span: share.span,
            pace: None,
            format: Format::Mp4,
            quality: Quality::P1080,
            audio: None,
            bytes_max: None,
            encode: true,
            out_dir: &out_dir,
        };
        let made = engine::cut(&tools, &cut, &|_| {}).await.unwrap();
        assert_eq!(made.verified.frames, Some(share.frames));
        encoded.push(made.media);
    }
    let sound = match index.audio {
        Some(_) => {
            let audio = Wanted { video: false, audio: true };
            Some(span_file(source, span, audio, dir.join("sound")).await)
        }
        None => None,
    };
    let sound = sound.as_ref().map(|(path, plan)| (path.as_path(), plan.origin));
    let joining = Joining { fan_out: &fan_out, shares: &encoded, sound, end: span.end, out_dir: dir };
    (join(&tools, &joining).await.unwrap(), fan_out.clone())
}

async fn exact(path: &Path, span: Span, shares: usize, chirp: Option<f64>) {
    let dir = tempfile::tempdir().unwrap();
    let (output, fan_out) = shared(path, span, shares, dir.path()).await;
    println!("{span:?} in {} shares", fan_out.shares.len());
    assert!(fan_out.shares.len() > 1);
    let (original, clip) = (frames(path, "null"), frames(&output.media, "null"));
    let zero = compare_pictures(&original, &clip, span, true);
    assert!(kit::poster(&output).await.unwrap().exists());
    if let Some(late) = chirp {
        assert!(lag(&sound(&output.media), zero - late).abs() <= 1);
    }
    // The same as one function makes it, frame by frame.
    let whole = tempfile::tempdir().unwrap();
    let cut = Cut {
        input: path,
        origin: domain::time::MediaTime::ZERO,
        span,
        pace: None,
        format: Format::Mp4,
        quality: Quality::P1080,
        audio: None,
        bytes_max: None,
        encode: true,
        out_dir: whole.path(),
    };
    let one = engine::cut(&kit::tools(), &cut, &|_| {}).await.unwrap();
    let one = frames(&one.media, "null");
    let times =
        |frames: &kit::Frames| frames.list.iter().map(|f| f.pts * 90_000 / frames.den).collect::<Vec<_>>();
    assert_eq!(times(&one), times(&clip));
    for at in ["0.2", "1.1", "2.3"] {
        kit::read("ffmpeg", &["-ss", at, "-i", output.media.to_str().unwrap(), "-f", "null", "-"]);
    }
}

#[tokio::test]
async fn shares_make_the_same_clip() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 25 -bf 3 -c:a aac";
    let ntsc = source(dir.path(), "ntsc.mp4", "30000/1001", 8.0, options);
    exact(&ntsc, span(1500, 6250), 3, Some(0.0)).await;
    exact(&ntsc, span(0, 8000), 40, Some(0.0)).await;
    let open = "-x264-params open-gop=1:keyint=25:scenecut=0:bframes=3:b-adapt=0";
    let open = source(dir.path(), "open.mp4", "25", 6.0, &format!("{options} {open}"));
    exact(&open, span(700, 5300), 4, Some(0.0)).await;
    let cut = remake(&ntsc, "cut.mp4", "-ss 0.72", "-c copy");
    exact(&cut, span(500, 5000), 3, None).await;
}

#[tokio::test]
async fn shares_of_other_codecs_rates_and_without_sound() {
    let dir = tempfile::tempdir().unwrap();
    let varied = "-c:v mpeg4 -q:v 3 -g 12 -an -vf select='mod(n,5)-2+gt(mod(n,11),7)' -fps_mode passthrough";
    let varied = source(dir.path(), "varied.mov", "30", 6.0, varied);
    exact(&varied, span(900, 5200), 3, None).await;
    let vp9 = "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -g 30 -c:a libopus";
    let vp9 = source(dir.path(), "vp9.mp4", "25", 5.0, vp9);
    exact(&vp9, span(500, 4500), 2, Some(0.0)).await;
}
