//! Exact means exact: the clip has every frame with start ≤ pts < end of the source and no other.

use std::path::Path;

use devstack::fileserver::{Behaviour, FileServer};
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::source::{distance, ffprobe, frames, lavfi, made, served};
use crate::stack::{Account, cloud};

/// Small enough to decode quickly, and every frame unlike its neighbours.
const X264: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50";

/// The sources of the specification's list: name and what makes it.
fn sources() -> Vec<(&'static str, std::path::PathBuf)> {
    let plain = |name: &'static str, rate: &str, more: &str| {
        (name, made(name, &format!("{} {X264} {more} -c:a aac", lavfi("320x180", rate, 7))))
    };
    let base = plain("30.mp4", "30", "-bf 0").1;
    let rotated = rotated(&base);
    let base = base.display();
    vec![
        plain("24.mp4", "24", "-bf 0"),
        plain("25.mp4", "25", "-bf 0"),
        plain("29.97.mp4", "30000/1001", "-bf 0"),
        plain("30.mp4", "30", "-bf 0"),
        plain("b-frames.mp4", "30", "-preset veryfast -bf 3 -x264-params b-pyramid=normal:scenecut=0"),
        plain("faststart.mp4", "25", "-bf 2 -movflags +faststart"),
        (
            "variable.mp4",
            made(
                "variable.mp4",
                &format!(
                    "{} -vf select='not(mod(n\\,2))+not(mod(n\\,5))',settb=1/90000 -vsync vfr -enc_time_base 1/90000 {X264} -c:a aac",
                    lavfi("320x180", "30", 7)
                ),
            ),
        ),
        // A cut with -c copy begins in the middle of a group of pictures, which an edit list hides.
        ("edit-list.mp4", made("edit-list.mp4", &format!("-ss 0.7 -i {base} -c copy -t 6"))),
        (
            "audio-late.mp4",
            made("audio-late.mp4", &format!("-i {base} -itsoffset 0.37 -i {base} -map 0:v -map 1:a -c copy")),
        ),
        (
            "video-late.mp4",
            made("video-late.mp4", &format!("-itsoffset 0.41 -i {base} -i {base} -map 0:v -map 1:a -c copy")),
        ),
        ("no-audio.mp4", made("no-audio.mp4", &format!("-i {base} -an -c copy"))),
        ("moov-at-end.mov", made("moov-at-end.mov", &format!("-i {base} -c copy"))),
        (
            "fragmented.mp4",
            made("fragmented.mp4", &format!("-i {base} -c copy -movflags +frag_keyframe+empty_moov")),
        ),
        (
            "odd.mp4",
            made(
                "odd.mp4",
                &format!(
                    "{} -c:v libx264 -preset ultrafast -pix_fmt yuv444p -g 50 -c:a aac",
                    lavfi("321x181", "25", 7)
                ),
            ),
        ),
        ("rotated.mp4", rotated),
        (
            "webm.webm",
            made("webm.webm", &format!("-i {base} -c:v libvpx -deadline realtime -b:v 1M -c:a libopus")),
        ),
        ("ts.ts", made("ts.ts", &format!("-i {base} -c copy"))),
    ]
}

/// The file with its picture turned by 90°: the matrix of the first track's `tkhd` (ISO/IEC 14496-12, 8.3.2), which
/// lies 40 bytes behind the box's name. Not every ffmpeg can write it.
fn rotated(path: &Path) -> std::path::PathBuf {
    let mut bytes = std::fs::read(path).unwrap();
    let tkhd = bytes.windows(4).position(|four| four == b"tkhd").unwrap();
    let matrix: [i32; 9] = [0, 0x1_0000, 0, -0x1_0000, 0, 0, 180 << 16, 0, 0x4000_0000];
    for (place, value) in bytes[tkhd + 44..].chunks_mut(4).zip(matrix) {
        place.copy_from_slice(&value.to_be_bytes());
    }
    let turned = path.with_file_name("rotated.mp4");
    std::fs::write(&turned, bytes).unwrap();
    assert_eq!(ffprobe(&turned, "v", "stream_side_data=rotation"), ["-90"]);
    turned
}

/// The presentation times of a file's frames in seconds, as ffprobe prints them, in order.
pub(crate) fn times(path: &Path) -> Vec<f64> {
    let start = || ffprobe(path, "v", "stream=start_time")[0].parse::<f64>().unwrap();
    let origin = match path.extension().and_then(|kind| kind.to_str()) {
        // The clock of a transport stream starts anywhere: its zero is the first picture, as in the file that it was
        // made of, although its sound begins a little earlier.
        Some("ts" | "m3u8") => start(),
        _ => 0.0,
    };
    let mut times: Vec<f64> = ffprobe(path, "v", "frame=pts_time")
        .iter()
        .map(|line| line.split(',').next().unwrap().parse::<f64>().unwrap() - origin)
        // What a subtraction leaves behind the microsecond is noise, and a cut may be at the very frame.
        .map(|at| (at * 1e6).round() / 1e6)
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

async fn check(name: &str, path: &Path, start: f64, end: f64) -> Value {
    check_from(&served(path).await, name, path, start, end).await
}

pub(crate) async fn check_from(server: &FileServer, name: &str, path: &Path, start: f64, end: f64) -> Value {
    check_at(server.url(), name, path, start, end).await
}

/// Cuts what is at `url`, compares it with the file `path`, and gives the job's answer.
pub(crate) async fn check_at(url: &str, name: &str, path: &Path, start: f64, end: f64) -> Value {
    let account = cloud().account(Amount::cents(100)).await;
    check_as(&account, json!({ "url": url }), name, path, start, end).await
}

/// Cuts what the request names by `source`, compares it with the file `path`, and gives the job's answer.
pub(crate) async fn check_as(
    account: &Account,
    source: Value,
    name: &str,
    path: &Path,
    start: f64,
    end: f64,
) -> Value {
    let mut ask = json!({ "start": start, "end": end, "format": "mp4", "quality": "1080p" });
    ask.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    let (answer, bytes) = account.clip(&ask).await;
    compare(&bytes, name, path, start, end);
    let length = answer["duration"].as_f64().unwrap();
    assert!((length - (end - start)).abs() < 0.15, "{name}: {length} s for [{start}, {end})");
    assert_eq!(account.balance().await, 0.9, "{name}");
    answer
}

/// Compares an mp4 with the frames and the sound of the file `path` from `start` to `end`.
pub(crate) fn compare(bytes: &[u8], name: &str, path: &Path, start: f64, end: f64) {
    let clip = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(clip.path(), bytes).unwrap();

    let (all, cut) = (frames(path), frames(clip.path()));
    let (times, cut_times) = (times(path), times(clip.path()));
    assert_eq!(all.len(), times.len(), "{name}: every frame has a time");
    let wanted: Vec<usize> = (0..all.len()).filter(|&i| times[i] >= start && times[i] < end).collect();
    assert!(wanted.len() > 10, "{name}: a span without frames proves nothing");
    assert_eq!(cut.len(), wanted.len(), "{name} [{start}, {end}): frames");
    let zero = times[wanted[0]] - cut_times[0];
    for (position, &original) in wanted.iter().enumerate() {
        let off = distance(&cut[position], &all[original]);
        let neighbours =
            [original.checked_sub(1), Some(original + 1)].into_iter().flatten().filter_map(|i| all.get(i));
        let nearest = neighbours.map(|frame| distance(&cut[position], frame)).fold(f64::MAX, f64::min);
        assert!(
            off < 4.0 && off < nearest,
            "{name}: frame {position} is off by {off}, a neighbour by {nearest}"
        );
        let drift = cut_times[position] + zero - times[original];
        assert!(drift.abs() < 0.001, "{name}: frame {position} is shown {drift} s off");
    }
    let has_audio = !ffprobe(path, "a", "stream=codec_name").is_empty();
    assert_eq!(!ffprobe(clip.path(), "a", "stream=codec_name").is_empty(), has_audio, "{name}: sound");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_source_is_cut_frame_by_frame() {
    for (name, path) in sources() {
        check(name, &path, 1.5, 4.25).await;
    }
    // A transport stream has the times of the file that it was copied from, to the picture at either end.
    let (file, stream) = (
        source("b-frames.mp4"),
        made("b-frames.ts", &format!("-i {} -c copy", source("b-frames.mp4").display())),
    );
    check_from(&served(&stream).await, "b-frames.ts", &file, 1.5, 4.233_333).await;
}

fn source(name: &str) -> std::path::PathBuf {
    sources().into_iter().find(|(this, _)| *this == name).unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_at_the_borders_of_a_source() {
    let (name, path) = sources().swap_remove(4);
    let last = *times(&path).last().unwrap();
    for (start, end) in [(0.0, 1.0), (0.033_333, 0.9), (2.0, 3.0), (last - 0.5, last), (1.0, 1.4)] {
        check(name, &path, start, (end * 1000.0).round() / 1000.0).await;
    }
}

/// A picture that has to be encoded and is long enough to be shared out among functions.
#[tokio::test(flavor = "multi_thread")]
async fn a_clip_that_several_functions_encode() {
    let second = made("4k-part.mp4", &format!("{} {X264} -c:a aac", lavfi("3840x2160", "60", 2)));
    let path = made("4k.mp4", &format!("-stream_loop 7 -i {} -c copy", second.display()));
    let answer = check("4k.mp4", &path, 0.5, 13.4).await;
    assert_eq!(answer["method"], "fan_out");
}

/// As from the simplest of servers: the whole file or nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_ranges() {
    for (name, path) in sources() {
        if matches!(name, "moov-at-end.mov" | "faststart.mp4" | "webm.webm") {
            let server = FileServer::start(&path, Behaviour::NoRanges).await.unwrap();
            check_from(&server, name, &path, 1.5, 4.25).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_span_is_read() {
    // A minute of noise-like picture is some megabytes; a second of it must cost a second of it.
    let input = lavfi("640x360", "30", 60);
    let path = made("long.mp4", &format!("{input} -c:v libx264 -preset ultrafast -b:v 2M -g 30 -c:a aac"));
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&path).await;
    let (answer, _) = account.clip(&json!({ "url": server.url(), "start": "0:30", "end": "0:31" })).await;
    let whole = std::fs::metadata(&path).unwrap().len();
    let read = answer["source_bytes_read"].as_u64().unwrap();
    assert!(read * 10 < whole, "{read} of {whole} bytes for 1 of 60 s");
    // What is reported is what was served, up to what the look before the job took.
    assert!(server.bytes_served() < 3 * read, "{} served, {read} reported", server.bytes_served());

    // In fragments, with an index in front, at the end, and without any.
    for (name, flags) in [
        ("long-sidx.mp4", "frag_keyframe+dash+global_sidx"),
        ("long-mfra.mp4", "frag_keyframe+empty_moov+default_base_moof"),
        ("long-bare.mp4", "frag_keyframe+dash+skip_trailer"),
    ] {
        let path = made(name, &format!("-i {} -c copy -movflags {flags}", path.display()));
        let server = served(&path).await;
        let (answer, _) = account.clip(&json!({ "url": server.url(), "start": "0:30", "end": "0:31" })).await;
        let read = answer["source_bytes_read"].as_u64().unwrap();
        assert!(read * 10 < whole, "{name}: {read} of {whole} bytes for 1 of 60 s");
        let served = server.bytes_served();
        assert!(served * 5 < whole, "{name}: {served} of {whole} bytes, the look included");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_and_gif() {
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&crate::stack::source::usual()).await;
    let file = |suffix: &str, bytes: Vec<u8>| {
        let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    };
    let ask = json!({ "url": server.url(), "start": 1.5, "end": 4.25, "format": "mp3" });
    let (answer, bytes) = account.clip(&ask).await;
    assert_eq!((&answer["quality"], &answer["file_name"]), (&json!(null), &json!("clip_0-01.5-0-04.25.mp3")));
    let mp3 = file(".mp3", bytes);
    assert_eq!(ffprobe(mp3.path(), "a", "stream=codec_name,bit_rate"), ["mp3,192000"]);
    assert!((answer["duration"].as_f64().unwrap() - 2.75).abs() < 0.06, "{answer}");

    let ask = json!({ "url": server.url(), "start": 1, "end": 3, "format": "gif" });
    let (answer, bytes) = account.clip(&ask).await;
    let gif = file(".gif", bytes);
    assert_eq!(ffprobe(gif.path(), "v", "stream=codec_name,width,height"), ["gif,320,180"]);
    let count = frames(gif.path()).len();
    assert!((29..=31).contains(&count), "{count} frames in 2 s at 15 a second");
    assert_eq!((&answer["quality"], &answer["cost"]), (&json!("180p"), &json!(0.1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn quality_is_what_was_delivered() {
    let input = lavfi("1280x720", "24", 3);
    let path = made("720.mp4", &format!("{input} {X264} -c:a aac"));
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&path).await;
    for (asked, delivered) in [("4k", "720p"), ("high", "720p"), ("medium", "720p")] {
        let ask = json!({ "url": server.url(), "start": 0.5, "end": 1, "quality": asked });
        let (answer, _) = account.clip(&ask).await;
        assert_eq!((&answer["quality"], &answer["cost"]), (&json!(delivered), &json!(0.1)), "{asked}");
        assert_eq!(answer["aspect_ratio"], "16:9");
    }
    // 4K that is truly delivered costs more; the same source at 1080p does not.
    let big = made(
        "2160.mp4",
        &format!("{} -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac", lavfi("3840x2160", "5", 2)),
    );
    let server = served(&big).await;
    let (answer, _) =
        account.clip(&json!({ "url": server.url(), "start": 0, "end": 1, "quality": "4k" })).await;
    assert_eq!((&answer["quality"], &answer["cost"]), (&json!("4k"), &json!(0.2)));
    let (answer, bytes) =
        account.clip(&json!({ "url": server.url(), "start": 0, "end": 1, "quality": "1080p" })).await;
    assert_eq!((&answer["quality"], &answer["cost"]), (&json!("1080p"), &json!(0.1)));
    let clip = tempfile::Builder::new().suffix(".mp4").tempfile().unwrap();
    std::fs::write(clip.path(), bytes).unwrap();
    assert_eq!(ffprobe(clip.path(), "v", "stream=width,height"), ["1920,1080"]);
}
