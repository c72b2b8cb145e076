//! The smart cut: what can be copied is, bit for bit, the ends are hardly to be told from the source, and nothing
//! falls back to a full encode that need not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod hevc;
mod kind;
#[path = "../kit/mod.rs"]
mod kit;
mod property;

use std::path::{Path, PathBuf};

use domain::{cut::Span, time::MediaTime};
use kind::{Kind, description, made, pictures, units};
use kit::{BOTH, fetch, lag, read, remake, sound, source, span};

const X264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac";

/// Two seconds to a group, with B-frames that others refer to.
const PYRAMID: &str = "-x264-params keyint=50:min-keyint=50:scenecut=0:bframes=3:b-adapt=0:b-pyramid=normal";

pub(crate) async fn full(path: &Path, span: Span, why: &str) {
    let (output, reason) = made(path, MediaTime::ZERO, span).await;
    assert_eq!(output.method, "encode");
    assert!(reason.contains(why), "{reason}");
}

#[tokio::test]
async fn every_position_of_a_cut() {
    let dir = tempfile::tempdir().unwrap();
    let kind = Kind::new(source(dir.path(), "a.mp4", "25", 7.0, &format!("{X264} {PYRAMID}")));
    // IDR pictures at 0, 2, 4 and 6 s; a mini-group has 4 frames.
    kind.check(span(0, 7000), (0, 0)).await; // the whole file
    kind.check(span(2000, 4000), (0, 0)).await; // group to group
    kind.check(span(2000, 2040), (0, 0)).await; // one frame, an IDR picture
    kind.check(span(1960, 2040), (1, 0)).await;
    kind.check(span(1500, 4250), (12, 2)).await;
    kind.check(span(0, 40), (0, 0)).await; // the first frame
    kind.check(span(5960, 7000), (1, 0)).await; // to the last frame
    kind.check(span(40, 2200), (49, 0)).await;
}

#[tokio::test]
async fn rates_and_long_groups() {
    let dir = tempfile::tempdir().unwrap();
    let ntsc = source(dir.path(), "ntsc.mp4", "30000/1001", 7.0, &format!("{X264} -g 60 -bf 3"));
    let kind = Kind::new(ntsc);
    // Frame 60 is at 2.002 s, frame 45 at 1.5015 s.
    kind.check(span(1500, 4250), (15, 3)).await;
    // Borders copied from ffprobe: the frame at 2.002 s is in, the one at 3.003 s is not.
    kind.check(Span { start: MediaTime(2_002_000), end: MediaTime(3_003_000) }, (0, 3)).await;
    for rate in ["24", "30"] {
        let options = format!("{X264} -g {} -bf 2", 2 * rate.parse::<u32>().unwrap());
        let path = source(dir.path(), "rate.mp4", rate, 5.0, &options);
        let head = rate.parse::<usize>().unwrap() / 2;
        Kind::new(path).check(span(1500, 4250), (head, 2)).await;
    }
    let long = source(dir.path(), "long.mp4", "25", 14.0, &format!("{X264} -g 250 -sc_threshold 0 -bf 3"));
    let kind = Kind::new(long);
    kind.check(span(9000, 12_300), (25, 3)).await;
    full(&kind.path, span(1000, 9000), "no closed group of pictures begins within").await;
}

#[tokio::test]
async fn variable_rate_without_sound() {
    let dir = tempfile::tempdir().unwrap();
    let options =
        format!("{X264} -an {PYRAMID} -vf select='mod(n,5)-2+gt(mod(n,11),7)' -fps_mode passthrough");
    let path = source(dir.path(), "a.mov", "30", 7.0, &options);
    let kind = Kind { sound: None, ..Kind::new(path) };
    let times: Vec<i64> = kind.frames.list.iter().map(|frame| kind.frames.micros(frame.pts)).collect();
    for (first, last) in [(40, 120), (50, 121), (99, 122), (100, 123)] {
        let span = Span { start: MediaTime(times[first]), end: MediaTime(times[last]) };
        kind.check(span, (first.next_multiple_of(50) - first, 3)).await;
    }
}

#[tokio::test]
async fn edit_list_and_late_sound() {
    let dir = tempfile::tempdir().unwrap();
    let whole = source(dir.path(), "whole.mp4", "25", 8.0, &format!("{X264} {PYRAMID}"));
    let cut = remake(&whole, "cut.mp4", "-ss 0.72", "-c copy");
    // The IDR pictures are now at 1.28, 3.28 and 5.28 s.
    let kind = Kind { sound: Some(-0.72), ..Kind::new(cut) };
    kind.check(span(1000, 4000), (7, 3)).await;
    kind.check(span(3280, 4000), (0, 3)).await;
    let name = whole.to_str().unwrap();
    let late = format!("-itsoffset 0.7654 -i {name} -map 0:v -map 1:a -c copy");
    let path = remake(&whole, "late.mp4", "", &late);
    // The source's edit list is in movie ticks of 1 ms. Sound that begins within the clip is encoded, with silence.
    let kind = Kind { sound: Some(0.7654), lag_max: 48, ..Kind::new(path) };
    kind.check(span(1500, 4250), (12, 2)).await;
    let (local, plan) = fetch(&kind.path, span(0, 3000), BOTH).await;
    let (output, reason) = made(&local, plan.origin, span(0, 3000)).await;
    assert_eq!((output.method, reason.as_str()), ("copy", ""));
    let pcm = sound(&output.media);
    assert!(pcm[..34_000].iter().all(|sample| sample.abs() < 0.01));
    assert!(lag(&pcm, -0.7654).abs() <= 48);
}

#[tokio::test]
async fn sound_that_cannot_be_copied_is_encoded() {
    let dir = tempfile::tempdir().unwrap();
    let video = format!("{X264} {PYRAMID}");
    let quick = source(dir.path(), "a.mov", "25", 5.0, &video);
    Kind::new(quick).check(span(1500, 4250), (12, 2)).await;
    let mp3 = source(dir.path(), "mp3.mov", "25", 5.0, &video.replace("-c:a aac", "-c:a libmp3lame"));
    Kind { is_copied: false, ..Kind::new(mp3) }.check(span(1500, 4250), (12, 2)).await;
    let many = source(dir.path(), "many.mp4", "25", 5.0, &format!("{video} -ac 6"));
    Kind::new(many).check(span(1500, 4250), (12, 2)).await;
}

#[tokio::test]
async fn every_sound_that_mp4_holds_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    for codec in
        ["libmp3lame -b:a 32k -ac 2", "libmp3lame -ar 44100", "libopus -b:a 64k", "ac3", "eac3 -ac 2"]
    {
        let options = format!("{X264} {PYRAMID}").replace("-c:a aac", &format!("-c:a {codec}"));
        let kind = Kind::new(source(dir.path(), "a.mp4", "25", 4.5, &options));
        kind.check(span(1500, 4250), (12, 2)).await;
        kind.check(span(0, 1000), (0, 3)).await;
    }
}

#[tokio::test]
async fn what_is_said_of_the_picture_stays() {
    let dir = tempfile::tempdir().unwrap();
    for (n, options) in [
        "-profile:v baseline -g 50 -x264-params colorprim=bt709:transfer=bt709:colormatrix=bt709",
        "-profile:v main -g 50 -x264-params fullrange=on:chromaloc=2:nal-hrd=vbr -maxrate 2M -bufsize 2M -level 4.1",
        "-vf format=yuvj420p -g 50 -slices 4 -refs 4 -coder 0 -color_range pc -colorspace smpte170m -tune zerolatency",
    ]
    .into_iter()
    .enumerate()
    {
        let options = format!("-c:v libx264 -preset veryfast -c:a aac -pix_fmt yuv420p -sc_threshold 0 {options}");
        let options = if n == 2 { options.replace("-pix_fmt yuv420p", "") } else { options };
        let path = source(dir.path(), "a.mp4", "25", 5.0, &options);
        Kind::new(path).check(span(1500, 4250), (12, 3)).await;
    }
    let path = source(dir.path(), "turned.mp4", "25", 5.0, &format!("{X264} {PYRAMID}"));
    turn(&path);
    Kind { sound: None, ..Kind::new(path) }.check(span(1500, 4250), (12, 2)).await;
}

/// Says that the picture is to be turned to the right.
pub(crate) fn turn(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let tkhd = bytes.windows(4).position(|w| w == b"tkhd").unwrap();
    let matrix: [u32; 6] = [0, 0x1_0000, 0, 0xffff_0000, 0, 0];
    let words: Vec<u8> = matrix.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes[tkhd + 44..tkhd + 68].copy_from_slice(&words);
    std::fs::write(path, bytes).unwrap();
    assert!(description(path).contains("rotation=-90"));
}

#[tokio::test]
async fn a_clip_of_a_clip() {
    let dir = tempfile::tempdir().unwrap();
    let kind = Kind::new(source(dir.path(), "a.mp4", "25", 9.0, &format!("{X264} {PYRAMID}")));
    // From the frame at 1.52 s on; IDR pictures at 0 (the head's), 0.48, 2.48, 4.48 s, and the tail's.
    let clip = kind.check(span(1500, 7260), (12, 3)).await;
    let again = dir.path().join("again.mp4");
    std::fs::rename(clip, &again).unwrap();
    let kind = Kind { sound: Some(-1.52), ..Kind::new(again) };
    kind.check(span(200, 3000), (7, 3)).await;
    kind.check(span(4480, 5740), (0, 0)).await;
}

/// The same samples with NAL units behind 2 bytes of length instead of 4.
async fn shorter_lengths(from: &Path) -> PathBuf {
    let plain = remake(from, "plain.mp4", "", "-c copy -bsf:v filter_units=remove_types=6");
    // A file of a span has one chunk for each sample, so a sample can lose its first two bytes.
    let (path, _) = fetch(&plain, span(0, 100_000), BOTH).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let find = |bytes: &[u8], kind: &[u8]| bytes.windows(4).position(|w| w == kind).unwrap();
    let (sizes, offsets) = (find(&bytes, b"stsz") + 12, find(&bytes, b"co64") + 8);
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    for n in 0..word(&bytes, sizes) as usize {
        let (size, offset) = (sizes + 4 + n * 4, offsets + 4 + n * 8 + 4);
        for (at, by) in [(size, -2), (offset, 2)] {
            let changed = word(&bytes, at).checked_add_signed(by).unwrap();
            bytes[at..at + 4].copy_from_slice(&changed.to_be_bytes());
        }
    }
    let lengths = find(&bytes, b"avcC") + 8;
    assert_eq!(bytes[lengths], 0xff);
    bytes[lengths] = 0xfd;
    std::fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn units_and_sets_are_written_alike() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "base.mp4", "25", 5.0, &format!("{X264} {PYRAMID}"));
    let short = shorter_lengths(&base).await;
    assert_eq!(pictures(&short).list, pictures(&base).list);
    // Its first second is the priming of the sound, which lies before the movie's zero.
    let shift = fetch(&base, span(0, 100_000), BOTH).await.1.origin;
    let renamed = dir.path().join("short.mp4");
    std::fs::rename(&short, &renamed).unwrap();
    let kind = Kind::new(base.clone());
    kind.check_one(&renamed, shift, span(1500, 4250), (12, 2)).await;
    // Every IDR picture behind a copy of the sets, which the clip does not have.
    let repeated = remake(&base, "repeated.mp4", "", "-c copy -bsf:v h264_mp4toannexb");
    assert!(units(&repeated).await.kinds[50].contains(&7), "the source has sets in its samples");
    Kind::new(repeated).check(span(1500, 4250), (12, 2)).await;
}

#[tokio::test]
async fn groups_that_are_open_only_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let open = "-x264-params open-gop=1:keyint=25:scenecut=0:bframes=3:b-adapt=0";
    let mixed = format!("{X264} {open} -force_key_frames 2,4 -forced-idr 1");
    let kind = Kind::new(source(dir.path(), "a.mp4", "25", 6.0, &mixed));
    let keys = String::from_utf8(read(
        "ffprobe",
        &[
            "-select_streams",
            "v",
            "-show_entries",
            "packet=flags",
            "-of",
            "csv=p=0",
            kind.path.to_str().unwrap(),
        ],
    ));
    assert!(keys.unwrap().matches('K').count() > 4, "more sync samples than IDR pictures");
    kind.check(span(1500, 4250), (12, 3)).await;
    kind.check(span(1500, 3250), (12, 3)).await;
    full(&kind.path, span(2500, 3500), "no closed group of pictures begins within").await;
}

#[tokio::test]
async fn fragments() {
    let dir = tempfile::tempdir().unwrap();
    // Without an edit list the first frame is shown at 80 ms, where its decoding delay puts it.
    for (flags, ends) in
        [("delay_moov", (12, 2)), ("empty_moov+default_base_moof", (14, 0)), ("dash+global_sidx", (14, 0))]
    {
        let options = format!("{X264} {PYRAMID} -movflags frag_keyframe+{flags}");
        let path = source(dir.path(), &format!("{flags}.mp4"), "25", 7.0, &options);
        Kind::new(path).check(span(1500, 4250), ends).await;
    }
}

#[tokio::test]
async fn every_picture_an_idr_picture() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "25", 3.0, &format!("{X264} -g 1"));
    Kind::new(path).check(span(500, 2250), (0, 0)).await;
}

#[tokio::test]
async fn what_cannot_be_matched_is_encoded_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let cut = span(1500, 3250);
    for (options, why) in [
        (format!("{X264} -g 50 -x264-params interlaced=1"), "interlaced"),
        (format!("{X264} -g 50 -pix_fmt yuv422p10le"), "profile 122"),
        (format!("{X264} -g 50 -pix_fmt yuv444p"), "profile 244"),
        (format!("{X264} -g 50 -vf setsar=4/3"), "changes its size"),
        (
            format!("{X264} -x264-params open-gop=1:keyint=25:scenecut=0:bframes=3:b-adapt=0"),
            "no closed group",
        ),
        ("-c:v mpeg4 -q:v 3 -c:a aac".to_owned(), "the picture is mp4v"),
    ] {
        full(&source(dir.path(), "a.mp4", "25", 4.0, &options), cut, why).await;
    }
    // Two streams with other sets of the same number, one behind the other: only the first's are in the track.
    let mut both = Vec::new();
    for (name, more) in [("one.ts", "-refs 1 -bf 0"), ("two.ts", "-refs 4 -bf 0 -crf 30 -output_ts_offset 2")]
    {
        let options = format!("-c:v libx264 -preset veryfast -g 50 -pix_fmt yuv420p -an {more}");
        both.extend(std::fs::read(source(dir.path(), name, "25", 2.0, &options)).unwrap());
    }
    let joined = dir.path().join("joined.ts");
    std::fs::write(&joined, both).unwrap();
    let joined = remake(&joined, "joined.mp4", "", "-c copy");
    full(&joined, span(1500, 3250), "parameter sets change").await;
}
