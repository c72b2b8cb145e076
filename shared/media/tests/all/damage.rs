//! Sources that are damaged, or are not what they say: what lies outside of the span does not matter, what lies within is
//! delivered as far as it can be shown, and told.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::path::{Path, PathBuf};

use domain::{
    cut::Span,
    quality::{Format, Quality},
    time::MediaTime,
};
use kit::{cut, frames, lag, remake, sound, source, span};
use media::{
    engine::{Cut, Output},
    mp4::{Index, LocalFile},
    remux, ts,
};

const PACKET: usize = 188;

/// Cuts a whole file.
async fn made(path: &Path, span: Span, format: Format) -> Result<Output, String> {
    let out = path.with_extension(format!("{}-{}.out", span.start.0, format.extension()));
    cut(path, MediaTime::ZERO, span, format, &out).await.map_err(|error| {
        let message = error.source_message();
        message.unwrap_or_else(|| panic!("{path:?}: {error:?} is not told as the source's fault"))
    })
}

fn numbers(clip: &Output) -> Vec<u32> {
    frames(&clip.media, "null").list.iter().map(kit::Frame::number).collect()
}

/// `path` without its packets `lost`, in thousandths of its length, or so many of them.
fn without(path: &Path, name: &str, from_permille: usize, lost: usize) -> PathBuf {
    let mut bytes = std::fs::read(path).unwrap();
    let from = bytes.len() / PACKET * from_permille / 1000;
    bytes.drain(from * PACKET..(from + lost) * PACKET);
    let damaged = path.with_file_name(name);
    std::fs::write(&damaged, bytes).unwrap();
    damaged
}

const X264: &str = "-c:v libx264 -preset veryfast -g 30 -bf 2 -c:a aac";

/// A transport stream of 6 s, a group a second. Its first packets begin within a group if some are cut off.
fn transport(dir: &Path, video: &str) -> PathBuf {
    let path = source(dir, "whole.mp4", "30", 6.0, &format!("{video} -c:a aac"));
    remake(&path, "whole.ts", "", "-c copy -f mpegts")
}

#[tokio::test]
async fn a_stream_that_begins_within_a_group_is_cut_behind_it() {
    for video in [
        "-c:v libx264 -preset veryfast -g 30 -bf 2",
        "-c:v libx265 -preset ultrafast -x265-params keyint=30:bframes=2:log-level=none",
        "-c:v mpeg2video -g 30 -bf 2 -b:v 1M",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let whole = transport(dir.path(), video);
        let all = frames(&whole, "null");
        let front = std::fs::read(&whole).unwrap().len() / PACKET / 12;
        let path = without(&whole, "within.ts", 0, front);
        // The clock of what is left begins with its first packet, so frames are counted from there.
        let first = ts::opening(&std::fs::read(&path).unwrap()).unwrap().earliest;
        let clip = made(&path, span(2500, 4000), Format::Mp4).await.unwrap();
        let wanted = all.list.iter().filter(|frame| {
            let at = MediaTime::from_ticks(frame.pts, 90_000).since(first);
            span(2500, 4000).contains(at)
        });
        assert_eq!(numbers(&clip), wanted.map(kit::Frame::number).collect::<Vec<u32>>(), "{video}");
        assert_eq!(clip.damage, [], "{video}");
    }
}

#[tokio::test]
async fn damage_is_told_where_it_is_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let whole = transport(dir.path(), "-c:v libx264 -preset veryfast -g 30 -bf 2");
    let path = without(&whole, "lost.ts", 500, 6);
    let intact = made(&whole, span(4100, 5500), Format::Mp4).await.unwrap();
    let behind = made(&path, span(4100, 5500), Format::Mp4).await.unwrap();
    assert_eq!((numbers(&behind), behind.damage), (numbers(&intact), vec![]), "damage in front of the span");
    for format in [Format::Mp4, Format::Gif] {
        let within = made(&path, span(2000, 5000), format).await.unwrap();
        let one = within.damage.iter().find(|damage| !damage.is_sound).unwrap();
        assert!(one.span.start.0 > 2_500_000 && one.span.end.0 <= 4_100_000, "{:?}", within.damage);
        assert!(within.verified.frames.unwrap() * 10 >= if format == Format::Gif { 40 * 9 } else { 90 * 9 });
    }
    let much = without(&whole, "much.ts", 420, 120);
    let refused = made(&much, span(2500, 3500), Format::Mp4).await.unwrap_err();
    assert!(refused.contains("damaged"), "{refused}");
    // Sound alone does not mind what became of the picture.
    let heard = made(&path, span(4100, 5500), Format::Wav).await.unwrap();
    assert_eq!(heard.damage, []);
}

#[tokio::test]
async fn mp3_behind_mp3_is_cut_on_either_side() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp3", "30", 4.0, "-vn -c:a libmp3lame -metadata title=tagged");
    let two = [std::fs::read(&path).unwrap(), std::fs::read(&path).unwrap()].concat();
    let path = dir.path().join("two.mp3");
    std::fs::write(&path, two).unwrap();
    for at in [span(500, 3000), span(5000, 7500)] {
        let clip = made(&path, at, Format::Wav).await.unwrap();
        assert_eq!((clip.damage.len(), clip.verified.duration), (0, MediaTime(2_500_000)));
        assert!(sound(&clip.media).iter().step_by(97).any(|sample| sample.abs() > 0.3));
    }
}

#[tokio::test]
async fn pictures_of_several_sizes_fit_the_largest() {
    let dir = tempfile::tempdir().unwrap();
    let one = source(dir.path(), "one.ts", "30", 3.0, &format!("{X264} -f mpegts"));
    let two = source(
        dir.path(),
        "two.ts",
        "30",
        3.0,
        &format!("{X264} -vf scale=640:480 -output_ts_offset 3 -f mpegts"),
    );
    let path = dir.path().join("both.ts");
    std::fs::write(&path, [std::fs::read(one).unwrap(), std::fs::read(two).unwrap()].concat()).unwrap();
    for format in [Format::Mp4, Format::Gif] {
        let clip = made(&path, span(2000, 4000), format).await.unwrap();
        let picture = clip.verified.picture.unwrap();
        assert_eq!((picture.width, picture.height), (640, 480), "{format:?}");
        let wanted = if format == Format::Gif { 30 } else { 60 };
        assert!(
            clip.verified.frames.unwrap().abs_diff(wanted) <= 1,
            "{format:?}: {:?}",
            clip.verified.frames
        );
    }
    let behind = made(&path, span(4000, 5000), Format::Mp4).await.unwrap();
    assert_eq!(behind.verified.picture.unwrap().height, 480);
    // As one MP4 file, whose one header knows one size.
    let file = dir.path().join("both.mp4");
    let mut args = vec!["-hide_banner", "-v", "quiet", "-y", "-i", path.to_str().unwrap(), "-c", "copy"];
    args.push(file.to_str().unwrap());
    assert!(std::process::Command::new("ffmpeg").args(args).status().unwrap().success());
    let clip = made(&file, span(2000, 4000), Format::Mp4).await.unwrap();
    assert_eq!(clip.verified.frames, Some(60));
}

#[tokio::test]
async fn a_picture_on_screen_is_held() {
    let dir = tempfile::tempdir().unwrap();
    // Pictures 0 to 29 in the first second, then none until 4 s; the sound goes on to 8 s.
    let paused = "-vf select='lt(t,1)+between(t,4,5.5)' -fps_mode passthrough";
    for (name, options) in [("a.mp4", X264), ("b.mkv", X264), ("c.ts", X264)] {
        let path = source(dir.path(), name, "30", 8.0, &format!("{options} {paused}"));
        let clip = made(&path, span(2000, 5000), Format::Mp4).await.unwrap();
        let shown = frames(&clip.media, "null");
        let wanted: Vec<u32> = std::iter::once(29).chain(120..150).collect();
        assert_eq!(shown.list.iter().map(kit::Frame::number).collect::<Vec<_>>(), wanted, "{name}");
        assert_eq!(shown.micros(shown.list[0].pts), 0, "{name}");
        assert!(shown.micros(shown.list[1].pts).abs_diff(2_000_000) < 40_000, "{name}");
        // Where no edit list hides it, the file begins with what the encoder put in front of the sound.
        let ahead = if name == "a.mp4" { 0.0 } else { 1024.0 / 48_000.0 };
        assert!(lag(&sound(&clip.media), 2.0 - ahead).abs() <= 96, "{name}");
        let still = made(&path, span(6000, 7500), Format::Mp4).await.unwrap();
        assert_eq!((numbers(&still), still.verified.frames), (vec![165], Some(1)), "{name}");
        assert!(still.verified.duration.0.abs_diff(1_500_000) < 20_000, "{name}");
        let gif = made(&path, span(6000, 7000), Format::Gif).await.unwrap();
        assert_eq!(gif.verified.frames, Some(15), "{name}");
    }
}

/// A stream whose groups are longer than what was fetched of it has no picture: its copy says so, so that more is fetched.
#[tokio::test]
async fn a_part_without_a_key_picture_is_not_taken_for_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -g 300 -sc_threshold 0 -bf 2 -c:a aac";
    let path = source(dir.path(), "a.mp4", "25", 6.0, options);
    let hls = "-c copy -f hls -hls_time 1 -hls_list_size 0 -hls_flags split_by_time";
    remake(&path, "list.m3u8", "", hls);
    let parts = |range: std::ops::Range<usize>| {
        let part = |n| std::fs::read(dir.path().join(format!("list{n}.ts"))).unwrap();
        range.flat_map(part).collect::<Vec<u8>>()
    };
    let tools = kit::tools();
    let copy = dir.path().join("copy.mp4");
    let at = dir.path().join("some.ts");
    // Sets in front of the first picture are what the whole stream tells.
    let opening = parts(0..1);
    let tail = parts(2..4);
    let (split, sets) = ts::sets_for(&tail, &opening).unwrap();
    std::fs::write(&at, [&tail[..split], &sets, &tail[split..]].concat()).unwrap();
    assert_eq!(remux::transport(&tools, &at, &copy).await.unwrap().key, None);
    std::fs::write(&at, parts(0..4)).unwrap();
    let all = remux::transport(&tools, &at, &copy).await.unwrap();
    assert!(all.key.is_some() && all.zero.is_some());
}

#[tokio::test]
async fn a_protected_file_is_known_by_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let keys = "-encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid \
                a7e61c373e219033c21091fa607bf3b8";
    let path = source(dir.path(), "a.mp4", "30", 1.0, &format!("{X264} {keys}"));
    let plain = source(dir.path(), "b.mp4", "30", 1.0, X264);
    for (path, is_protected) in [(path, true), (plain, false)] {
        let index = Index::read(&LocalFile::open(&path).unwrap()).await.unwrap();
        assert_eq!(index.is_protected(), is_protected);
    }
}

#[tokio::test]
async fn a_download_is_copied_and_its_damage_told() {
    let dir = tempfile::tempdir().unwrap();
    let whole = transport(dir.path(), "-c:v libx264 -preset veryfast -g 30 -bf 2");
    let packets = std::fs::read(&whole).unwrap().len() / PACKET;
    let lost = without(&whole, "lost.ts", 500, 6);
    let within = without(&whole, "within.ts", 0, packets / 12);
    for (path, place) in [(lost, span(2500, 4100)), (within, span(0, 1200))] {
        let out_dir = path.with_extension("out");
        std::fs::create_dir_all(&out_dir).unwrap();
        let job = Cut {
            input: &path,
            origin: MediaTime::ZERO,
            span: span(0, 6000),
            pace: None,
            format: Format::Mp4,
            quality: Quality::P1080,
            audio: None,
            bytes_max: None,
            encode: false,
            out_dir: &out_dir,
        };
        let made = media::whole::convert(&kit::tools(), &job, &|_| {}).await.unwrap();
        let [one] = made.damage[..] else { panic!("{:?}", made.damage) };
        assert!(
            made.method == "copy" && place.start <= one.span.start && one.span.end <= place.end,
            "{one:?}"
        );
    }
}
