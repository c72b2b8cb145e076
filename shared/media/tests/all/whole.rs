//! A whole source as one file: every packet is the source's, at the source's time.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::path::{Path, PathBuf};

use domain::quality::{Format, Quality};
use kit::{BOTH, remake, run, source, span};
use media::{
    engine::Cut,
    mp4::{Index, LocalFile, ReadAt, Wanted},
    whole::{self, Facts, Piece, Whole, pieces},
};

/// Every packet of a stream that is shown: presentation time, size and digest.
fn packets(path: &Path, stream: &str) -> Vec<String> {
    let name = path.to_str().unwrap();
    let args = ["-v", "error", "-copyts", "-i", name, "-map", stream, "-c", "copy", "-f", "framemd5", "-"];
    let text = String::from_utf8(run("ffmpeg", &args)).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        format!("{} {} {}", fields[2], fields[4], fields[5])
    };
    text.lines().filter(|line| !line.starts_with('#')).map(row).collect()
}

/// Puts the file together from parts of `part` bytes.
async fn assemble(from: &Path, wanted: Wanted, part: u64) -> (PathBuf, Whole) {
    let local = LocalFile::open(from).unwrap();
    let whole = Whole::plan(&Index::read(&local).await.unwrap(), wanted).unwrap();
    let mut bytes = Vec::new();
    for n in 0..whole.bytes_total.div_ceil(part) {
        let wanted = n * part..((n + 1) * part).min(whole.bytes_total);
        for piece in pieces(whole.header.len() as u64, &whole.ranges, wanted) {
            match piece {
                Piece::Header(at) => bytes.extend(&whole.header[at.start as usize..at.end as usize]),
                Piece::Source(at) => bytes.extend(&local.read_at(at.start, at.end - at.start).await.unwrap()),
            }
        }
    }
    assert_eq!(bytes.len() as u64, whole.bytes_total);
    let path = from.with_extension("whole.mp4");
    std::fs::write(&path, bytes).unwrap();
    (path, whole)
}

#[tokio::test]
async fn every_packet_is_the_sources() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let plain =
        source(dir, "plain.mp4", "30000/1001", 6.0, "-c:v libx264 -preset veryfast -bf 3 -g 45 -c:a aac");
    let sources = [
        remake(&plain, "front.mp4", "", "-c copy -movflags +faststart"),
        remake(&plain, "quicktime.mov", "", "-c copy"),
        remake(&plain, "edited.mp4", "-ss 1.3", "-c copy -t 4"),
        remake(&plain, "mute.mp4", "", "-an -c copy"),
        remake(&plain, "opus.mp4", "", "-c:v copy -c:a libopus"),
        remake(&plain, "mp3.mp4", "", "-c:v copy -c:a libmp3lame"),
        remake(
            &plain,
            "two-sounds.mp4",
            "",
            "-map 0:v -map 0:a -map 0:a -c copy -metadata:s:a:1 language=eng",
        ),
        plain,
    ];
    for path in sources {
        let (copy, _) = assemble(&path, BOTH, 10_007).await;
        let name = path.display();
        for stream in ["0:v:0", "0:a:0?"] {
            if stream == "0:a:0?" && name.to_string().contains("mute") {
                continue;
            }
            let (theirs, ours) = (packets(&path, stream), packets(&copy, stream));
            assert!(theirs.len() > 50, "{name} {stream}");
            assert_eq!(ours, theirs, "{name} {stream}");
        }
        let index = async |path: &Path| Index::read(&LocalFile::open(path).unwrap()).await.unwrap();
        let (theirs, ours) = (index(&path).await, index(&copy).await);
        assert!(
            Facts::of(&theirs).agree(&Facts::of(&ours)),
            "{name}: {:?} {:?}",
            Facts::of(&theirs),
            Facts::of(&ours)
        );
        assert!(whole::fits(&theirs, Quality::P720) && whole::fits(&ours, Quality::P720), "{name}");
        let head = std::fs::read(&copy).unwrap();
        let at = |kind: &[u8; 4]| head.windows(4).position(|four| four == kind).unwrap();
        assert!(at(b"moov") < at(b"mdat"), "{name}: the index is in front");
        let checked =
            whole::check(&kit::tools(), &LocalFile::open(&copy).unwrap(), &ours, dir).await.unwrap();
        assert_eq!(checked.damage, [], "{name}");
        let poster = kit::poster(&checked.first.unwrap()).await.unwrap();
        assert!(std::fs::metadata(poster).unwrap().len() > 1000, "{name}");
    }
}

#[tokio::test]
async fn a_damaged_copy_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let plain = source(folder.path(), "plain.mp4", "30", 6.0, "-c:v libx264 -preset veryfast -g 45 -c:a aac");
    let (copy, whole) = assemble(&plain, BOTH, 1 << 20).await;
    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = whole.header.len() + (bytes.len() - whole.header.len()) / 2;
    bytes[middle..].fill(0);
    std::fs::write(&copy, bytes).unwrap();
    let file = LocalFile::open(&copy).unwrap();
    let index = Index::read(&file).await.unwrap();
    assert!(whole::check(&kit::tools(), &file, &index, folder.path()).await.is_err());
}

#[tokio::test]
async fn sound_alone_is_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    // Pictures that are larger than a gap that is read along.
    let options = "-c:v libx264 -preset ultrafast -crf 1 -r 5 -c:a copy";
    let noisy = remake(
        &source(folder.path(), "plain.mp4", "30", 4.0, "-c:v libx264 -preset ultrafast -c:a aac"),
        "noisy.mp4",
        "",
        &format!("-vf scale=1280:720,noise=alls=100:allf=t {options}"),
    );
    let (copy, whole) = assemble(&noisy, Wanted { video: false, audio: true }, 1 << 20).await;
    assert_eq!(packets(&copy, "0:a:0"), packets(&noisy, "0:a:0"));
    let all = std::fs::metadata(&noisy).unwrap().len();
    assert!(whole.bytes_total * 4 < all, "{} of {all}", whole.bytes_total);
}

/// Other containers are copied by FFmpeg where their codecs fit, and encoded where not.
#[tokio::test]
async fn other_containers_are_copied_or_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let plain = source(folder.path(), "plain.mp4", "25", 4.0, "-c:v libx264 -preset veryfast -bf 2 -c:a aac");
    for (name, options, quality, method) in [
        ("copied.mkv", "-c copy", Quality::P720, "copy"),
        ("copied.ts", "-c copy", Quality::P720, "copy"),
        ("vp9.webm", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus", Quality::P720, "copy"),
        ("sound.mkv", "-c:v copy -c:a pcm_s16le", Quality::P720, "copy"),
        ("vp8.webm", "-c:v libvpx -deadline realtime -b:v 1M -c:a libvorbis", Quality::P720, "encode"),
        (
            "large.mp4",
            "-vf scale=1920:1080 -c:v libx264 -preset ultrafast -c:a copy",
            Quality::P720,
            "encode",
        ),
    ] {
        let input = remake(&plain, name, "", options);
        let out = tempfile::tempdir_in(folder.path()).unwrap();
        let cut = Cut {
            input: &input,
            origin: domain::time::MediaTime::ZERO,
            span: span(0, 4000),
            pace: None,
            format: Format::Mp4,
            quality,
            audio: None,
            bytes_max: None,
            encode: false,
            out_dir: out.path(),
        };
        let output = whole::convert(&kit::tools(), &cut, &|_| {}).await.unwrap();
        assert_eq!(output.method, method, "{name}");
        assert_eq!(output.verified.frames, Some(100), "{name}");
        let length = output.verified.duration.seconds();
        assert!((length - 4.0).abs() < 0.1, "{name}: {length} s");
        assert!(kit::poster(&output).await.is_some(), "{name}");
        if method == "copy" {
            let digests = |path: &Path| packets(path, "0:v:0").len();
            assert_eq!(digests(&output.media), 100, "{name}");
        }
    }
}
