//! A clip has exactly the frames of its span, at their ticks, with its sound in sync: over every kind of source,
//! once from the whole file and once from the bytes of the span alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use crate::kit;

use std::path::{Path, PathBuf};

use domain::{cut::Span, quality::Format, time::MediaTime};
use kit::{BOTH, compare_pictures, cut, fetch, frames, lag, remake, sound, source, span};

const X264: &str = "-c:v libx264 -preset veryfast -c:a aac -movflags +faststart";

/// What is special about a source.
struct Kind {
    path: PathBuf,
    /// Brings the source's picture and the clip's into the generated shape.
    filter: &'static str,
    /// By how many seconds the chirp begins after the first frame; `None` without sound.
    sound: Option<f64>,
    /// The most that the sound may be off, in samples of 48 kHz.
    lag_max: i32,
    /// Whether the span's bytes can be told.
    indexed: bool,
    size: (u32, u32),
}

impl Kind {
    fn new(path: PathBuf) -> Self {
        Self { path, filter: "null", sound: Some(0.0), lag_max: 1, indexed: true, size: (320, 180) }
    }

    async fn check(&self, spans: &[Span]) {
        let reference = frames(&self.path, self.filter);
        for &span in spans {
            println!("{span:?} of {:?}", self.path);
            self.check_one(&reference, &self.path, MediaTime::ZERO, span).await;
            if self.indexed {
                let (local, plan) = fetch(&self.path, span, BOTH).await;
                self.check_one(&reference, &local, plan.origin, span).await;
            }
        }
    }

    async fn check_one(&self, reference: &kit::Frames, input: &Path, origin: MediaTime, span: Span) {
        let out = input.with_extension("out");
        let output = cut(input, origin, span, Format::Mp4, &out).await.unwrap();
        let clip = frames(&output.media, self.filter);
        let zero = compare_pictures(reference, &clip, span, self.filter == "null");
        assert_eq!(output.verified.frames, Some(clip.list.len() as u64));
        let picture = output.verified.picture.unwrap();
        assert_eq!((picture.width, picture.height), self.size);
        assert!(kit::poster(&output).await.unwrap().metadata().unwrap().len() > 1000);
        let length = (kit::shown_length(&output.media) * 1e6).round() + zero * 1e6;
        let tick = 1e6 * reference.num as f64 / reference.den as f64;
        assert!(
            (length - span.end.0 as f64).abs() <= tick + 2.0,
            "the picture lasts until the end: {length}"
        );
        let Some(after) = self.sound else { return };
        let pcm = sound(&output.media);
        let wanted = ((span.end.0 as f64 / 1e6 - zero) * 48_000.0).round();
        assert!((pcm.len() as f64 - wanted).abs() <= 1024.0, "{} samples instead of {wanted}", pcm.len());
        let first = reference.micros(reference.list[0].pts) as f64 / 1e6;
        let began = zero - first - after;
        let silent = ((-began * 48_000.0).max(0.0) as usize).saturating_sub(2048);
        assert!(pcm[..silent].iter().all(|sample| sample.abs() < 0.01), "silence before the sound begins");
        let packets = kit::packet_times(&output.media, "a:0");
        assert!(packets.windows(2).all(|pair| pair[1] - pair[0] == 1024), "sound without gaps: {packets:?}");
        let lag = lag(&pcm, began);
        assert!(lag.abs() <= self.lag_max, "the sound is {lag} samples late");
    }
}

const SPANS: [Span; 3] = [span(1500, 4250), span(0, 1700), span(5300, 6000)];

async fn constant_rate(rate: &str) {
    let dir = tempfile::tempdir().unwrap();
    let options = format!("{X264} -bf 0 -g 30");
    Kind::new(source(dir.path(), "a.mp4", rate, 7.0, &options)).check(&SPANS).await;
}

#[tokio::test]
async fn rate_24() {
    constant_rate("24").await;
}

#[tokio::test]
async fn rate_25() {
    constant_rate("25").await;
}

#[tokio::test]
async fn rate_29_97() {
    constant_rate("30000/1001").await;
}

#[tokio::test]
async fn rate_30() {
    constant_rate("30").await;
}

#[tokio::test]
async fn b_frames_and_moov_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -bf 3 -g 48 -c:a aac";
    Kind::new(source(dir.path(), "a.mp4", "30000/1001", 7.0, options)).check(&SPANS).await;
}

#[tokio::test]
async fn borders_copied_from_ffprobe() {
    // Frame 45 is at 1.5015 s and frame 127 at 4.237567 s: the first belongs to the clip, the second does not.
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "30000/1001", 5.0, &format!("{X264} -bf 3"));
    let span = Span { start: MediaTime(1_501_500), end: MediaTime(4_237_567) };
    let output = cut(&path, MediaTime::ZERO, span, Format::Mp4, dir.path()).await.unwrap();
    let clip = frames(&output.media, "null");
    let numbers: Vec<u32> = clip.list.iter().map(kit::Frame::number).collect();
    assert_eq!(numbers, (45..127).collect::<Vec<u32>>());
}

#[tokio::test]
async fn frames_a_little_closer_than_their_rate_says() {
    let dir = tempfile::tempdir().unwrap();
    let uneven = "-vf settb=1/15360,setpts=N*512-floor(N/3)*9 -fps_mode passthrough -enc_time_base:v 1/15360";
    let options = format!("{X264} -bf 2 -g 40 {uneven} -video_track_timescale 15360");
    Kind::new(source(dir.path(), "a.mp4", "30", 7.0, &options)).check(&SPANS).await;
}

#[tokio::test]
async fn variable_frame_rate() {
    let dir = tempfile::tempdir().unwrap();
    let options = format!("{X264} -bf 2 -g 40 -vf select='mod(n,5)-2+gt(mod(n,11),7)' -fps_mode passthrough");
    Kind::new(source(dir.path(), "a.mp4", "30", 7.0, &options)).check(&SPANS).await;
}

#[tokio::test]
async fn edit_list_that_begins_within_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let whole = source(dir.path(), "whole.mp4", "25", 8.0, &format!("{X264} -bf 3 -g 50"));
    let path = remake(&whole, "a.mp4", "-ss 0.7", "-c copy");
    let elst = std::fs::read(&path).unwrap().windows(4).any(|w| w == b"elst");
    assert!(elst, "the source has an edit list");
    // The chirp began 0.7 s before the file's zero, where the first frame is.
    Kind { sound: Some(-0.7), ..Kind::new(path) }.check(&SPANS).await;
}

#[tokio::test]
async fn sound_that_begins_late() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "base.mp4", "25", 7.0, &format!("{X264} -bf 2"));
    let name = base.to_str().unwrap();
    let path = remake(&base, "a.mp4", "", &format!("-itsoffset 0.7654 -i {name} -map 0:v -map 1:a -c copy"));
    let kind = Kind { sound: Some(0.7654), ..Kind::new(path) };
    // The edit list is in movie ticks of 1 ms.
    let kind = Kind { lag_max: 48, ..kind };
    kind.check(&[span(0, 3000), span(500, 2500), span(1500, 4250)]).await;
}

#[tokio::test]
async fn picture_that_begins_late() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "base.mp4", "25", 7.0, &format!("{X264} -bf 2"));
    let name = base.to_str().unwrap();
    let path = remake(&base, "a.mp4", "-itsoffset 0.5", &format!("-i {name} -map 0:v -map 1:a -c copy"));
    let kind = Kind { sound: Some(-0.5), ..Kind::new(path) };
    kind.check(&[span(450, 3000), span(1500, 4250)]).await;
}

#[tokio::test]
async fn no_sound() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "25", 7.0, &format!("{X264} -an"));
    Kind { sound: None, ..Kind::new(path) }.check(&SPANS).await;
}

#[tokio::test]
async fn odd_size() {
    let dir = tempfile::tempdir().unwrap();
    let options = format!("{X264} -vf scale=427:241,setsar=1 -pix_fmt yuv444p");
    let path = source(dir.path(), "a.mp4", "25", 7.0, &options);
    Kind { filter: "crop=426:240:0:0", size: (426, 240), ..Kind::new(path) }.check(&SPANS[..1]).await;
}

#[tokio::test]
async fn rotation_flag() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "25", 7.0, &format!("{X264} -bf 2"));
    let mut bytes = std::fs::read(&path).unwrap();
    let tkhd = bytes.windows(4).position(|w| w == b"tkhd").unwrap();
    let matrix: [u32; 6] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0]; // 90 degrees clockwise
    let words: Vec<u8> = matrix.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes[tkhd + 44..tkhd + 68].copy_from_slice(&words);
    std::fs::write(&path, bytes).unwrap();
    let kind = Kind { filter: "transpose=cclock", size: (180, 320), ..Kind::new(path) };
    let upright = frames(&kind.path, kind.filter);
    assert_eq!(upright.list[5].number(), 5, "the flag turns the picture clockwise");
    kind.check(&SPANS[..1]).await;
}

#[tokio::test]
async fn open_groups() {
    let dir = tempfile::tempdir().unwrap();
    let options = format!("{X264} -x264-params open-gop=1:keyint=25:scenecut=0:bframes=3:b-pyramid=normal");
    Kind::new(source(dir.path(), "a.mp4", "25", 7.0, &options)).check(&SPANS).await;
}

#[tokio::test]
async fn open_groups_for_longer_than_anybody_looks_back() {
    let dir = tempfile::tempdir().unwrap();
    let open = "open-gop=1:keyint=25:scenecut=0:bframes=3:b-adapt=0:b-pyramid=normal";
    let path = source(dir.path(), "a.mp4", "25", 40.0, &format!("{X264} -x264-params {open}"));
    Kind::new(path).check(&[span(36_500, 38_000)]).await;
}

#[tokio::test]
async fn hevc_in_quicktime() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=30 -tag:v hvc1 -c:a aac";
    Kind::new(source(dir.path(), "a.mov", "25", 7.0, options)).check(&SPANS[..1]).await;
}

#[tokio::test]
async fn vp9_and_opus_in_webm() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 40 -b:v 1M -c:a libopus";
    let path = source(dir.path(), "a.webm", "30000/1001", 7.0, options);
    // Matroska's clock has milliseconds, and some versions of FFmpeg write the picture late by the priming of Opus,
    // 6.5 ms, which its first packet begins early.
    let after = kit::start(&path, "a:0") + 0.0065 - kit::start(&path, "v:0");
    Kind { sound: Some(after), lag_max: 48, indexed: false, ..Kind::new(path) }.check(&SPANS).await;
}

#[tokio::test]
async fn transport_stream() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -bf 3 -g 25 -c:a aac";
    let path = source(dir.path(), "a.ts", "30000/1001", 7.0, options);
    Kind { indexed: false, lag_max: 2, ..Kind::new(path) }.check(&SPANS).await;
}

#[tokio::test]
async fn long_transport_stream() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -bf 3 -g 25 -c:a aac";
    let path = source(dir.path(), "a.ts", "25", 40.0, options);
    Kind { indexed: false, lag_max: 2, ..Kind::new(path) }.check(&[span(36_500, 38_000)]).await;
}

#[tokio::test]
async fn audio_video_interleave() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v mpeg4 -q:v 3 -g 25 -c:a pcm_s16le";
    let path = source(dir.path(), "a.avi", "30000/1001", 7.0, options);
    Kind { indexed: false, ..Kind::new(path) }.check(&SPANS[..1]).await;
}

#[tokio::test]
async fn fragmented() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -bf 2 -c:a aac -movflags frag_keyframe+empty_moov";
    let path = source(dir.path(), "a.mp4", "25", 7.0, options);
    Kind { indexed: false, lag_max: 1024, sound: None, ..Kind::new(path) }.check(&SPANS[..1]).await;
}
