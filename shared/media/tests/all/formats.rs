//! Sound alone, GIF, progress, and what is said when a source cannot give a clip.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::{path::Path, sync::Mutex};

use domain::{
    quality::{Format, PictureSize, Quality},
    time::MediaTime,
};
use kit::{BOTH, chirp, cut, fetch, frames, lag, remake, run, sound, source, span};
use media::{
    engine::{self, Cut, EngineError},
    ffmpeg::ProbeError,
};

const X264: &str = "-c:v libx264 -preset veryfast -c:a aac";

fn message(result: Result<engine::Output, EngineError>) -> String {
    result.unwrap_err().source_message().unwrap()
}

#[tokio::test]
async fn mp3_has_exactly_the_span() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "a.mp4", "25", 7.0, &format!("{X264} -ac 2"));
    let wanted = media::mp4::Wanted { video: false, audio: true };
    let (local, plan) = fetch(&base, span(1510, 4250), wanted).await;
    for (input, origin) in [(&base, MediaTime::ZERO), (&local, plan.origin)] {
        let output =
            cut(input, origin, span(1510, 4250), Format::Mp3, &dir.path().join("out")).await.unwrap();
        assert_eq!((output.verified.picture, output.verified.frames), (None, None));
        assert_eq!(kit::poster(&output).await, None);
        assert!(output.verified.duration.0.abs_diff(2_740_000) <= 60_000);
        assert_eq!(output.media.file_name().unwrap(), "clip.mp3");
        let late = lag(&sound(&output.media), 1.51);
        assert!(late.abs() <= 1, "{late} samples late");
    }
    // Sound that begins late and ends early leaves silence around it.
    let name = base.to_str().unwrap();
    let late =
        remake(&base, "late.mp4", "", &format!("-itsoffset 2 -i {name} -map 0:v -map 1:a -c copy -t 4"));
    let output = cut(&late, MediaTime::ZERO, span(1000, 6500), Format::Mp3, dir.path()).await.unwrap();
    assert!(output.verified.duration.0.abs_diff(5_500_000) <= 60_000);
    let pcm = sound(&output.media);
    assert!(pcm[..45_000].iter().all(|sample| sample.abs() < 0.01));
    let one = lag(&pcm[..140_000], -1.0);
    assert!(one.abs() <= 48, "{one} samples late");
}

#[tokio::test]
async fn mp3_of_other_rates_and_channels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.flac");
    run(
        "ffmpeg",
        &["-y", "-f", "lavfi", "-i", &chirp(5.0), "-ac", "6", "-ar", "96000", path.to_str().unwrap()],
    );
    let output = cut(&path, MediaTime::ZERO, span(1000, 3000), Format::Mp3, dir.path()).await.unwrap();
    let probe = kit::tools().probe(&output.media).await.unwrap();
    let audio = probe.audio.unwrap();
    assert_eq!((audio.sample_rate, audio.channels), (48_000, 2));
    assert!(
        message(cut(&path, MediaTime::ZERO, span(0, 1000), Format::Mp4, dir.path()).await)
            .contains("no picture")
    );
}

/// The signed samples of a file's sound, of all channels, as they are decoded.
fn pcm(path: &Path, bits: u32, from_to: Option<(usize, usize)>) -> Vec<i32> {
    let (codec, bytes) = if bits == 24 { ("s24le", 3) } else { ("s16le", 2) };
    let filter = from_to.map_or("anull".into(), |(a, b)| format!("atrim=start_sample={a}:end_sample={b}"));
    let name = path.to_str().unwrap();
    let raw = run("ffmpeg", &["-i", name, "-map", "0:a:0", "-af", &filter, "-f", codec, "-"]);
    let sample =
        |b: &[u8]| b.iter().rev().fold(0, |value, byte| value << 8 | i32::from(*byte)) << (32 - 8 * bytes);
    raw.chunks_exact(bytes).map(|b| sample(b) >> (32 - 8 * bytes)).collect()
}

#[tokio::test]
async fn wav_and_flac_have_the_very_samples_of_the_source() {
    let dir = tempfile::tempdir().unwrap();
    // 1.51 s and 4.25 s are whole samples at all of these rates.
    for (name, codec, rate, channels, bits) in [
        ("a.wav", "pcm_s16le", 48_000, 2, 16),
        ("b.wav", "pcm_s24le", 96_000, 6, 24),
        ("c.flac", "flac -sample_fmt s16", 22_000, 1, 16),
        ("d.mov", "pcm_s24be", 44_100, 2, 24),
        ("e.mp4", "alac -sample_fmt s16p", 48_000, 1, 16),
    ] {
        let path = dir.path().join(name);
        let noise = format!("anoisesrc=r={rate}:d=5:seed=7:a=0.9");
        let made = format!("-y -f lavfi -i {noise} -c:a {codec} -ar {rate} -ac {channels}");
        let mut args: Vec<&str> = made.split(' ').collect();
        args.push(path.to_str().unwrap());
        run("ffmpeg", &args);
        let sample = |ms: usize| ms * rate / 1000;
        let wanted = pcm(&path, bits, Some((sample(1510), sample(4250))));
        assert_eq!(wanted.len(), (sample(4250) - sample(1510)) * channels, "{name}");
        for format in [Format::Wav, Format::Flac] {
            let output = cut(&path, MediaTime::ZERO, span(1510, 4250), format, dir.path()).await.unwrap();
            assert_eq!(output.verified.duration, MediaTime(2_740_000), "{name} {format:?}");
            assert_eq!(output.method, "encode");
            let audio = kit::tools().probe(&output.media).await.unwrap().audio.unwrap();
            assert_eq!(
                (audio.sample_rate as usize, audio.channels as usize, audio.bits),
                (rate, channels, bits)
            );
            assert!(pcm(&output.media, bits, None) == wanted, "{name} {format:?}: other samples");
        }
    }
}

/// How many samples of `rate` the edit list of a file of sound alone shows.
fn shown_samples(path: &Path, rate: f64) -> f64 {
    kit::shown_length(path) * rate
}

#[tokio::test]
async fn m4a_copies_packets_and_starts_and_ends_at_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "a.mp4", "25", 7.0, &format!("{X264} -ac 2"));
    let wanted = media::mp4::Wanted { video: false, audio: true };
    let (local, plan) = fetch(&base, span(1510, 4250), wanted).await;
    for (input, origin) in [(&base, MediaTime::ZERO), (&local, plan.origin)] {
        let out = dir.path().join("out");
        let output = cut(input, origin, span(1510, 4250), Format::M4a, &out).await.unwrap();
        assert_eq!((output.method, output.verified.picture), ("copy", None));
        assert_eq!(output.verified.duration, MediaTime(2_740_000));
        assert_eq!(shown_samples(&output.media, 48_000.0).round(), 131_520.0);
        let late = lag(&sound(&output.media), 1.51);
        assert!(late.abs() <= 1, "{late} samples late");
        // Every packet is one of the source's, bit by bit.
        let (source, clip) = (packets(&base), packets(&output.media));
        assert!(clip.len() > 125 && source.windows(clip.len()).any(|window| window == clip));
        let brand = std::fs::read(&output.media).unwrap();
        assert_eq!(&brand[4..12], b"ftypM4A ");
    }
    // At the very beginning, where the source hides what its own encoder needs to settle.
    let output = cut(&base, MediaTime::ZERO, span(0, 2000), Format::M4a, dir.path()).await.unwrap();
    assert_eq!((output.method, lag(&sound(&output.media), 0.0)), ("copy", 0));
}

/// What tells the packets of a file's sound apart.
fn packets(path: &Path) -> Vec<String> {
    let name = path.to_str().unwrap();
    let text = run("ffmpeg", &["-i", name, "-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-"]);
    let lines = String::from_utf8(text).unwrap();
    let hash = |line: &str| line.split(',').nth(5).unwrap().trim().to_owned();
    lines.lines().filter(|line| !line.starts_with('#')).map(hash).collect()
}

#[tokio::test]
async fn m4a_is_encoded_where_packets_are_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "a.mp4", "25", 7.0, &format!("{X264} -ac 2"));
    let flac = remake(&base, "a.flac", "", "-vn");
    let output = cut(&flac, MediaTime::ZERO, span(1510, 4250), Format::M4a, dir.path()).await.unwrap();
    assert_eq!((output.method, output.verified.duration), ("encode", MediaTime(2_740_000)));
    assert_eq!(shown_samples(&output.media, 48_000.0).round(), 131_520.0);
    let late = lag(&sound(&output.media), 1.51);
    assert!(late.abs() <= 1, "{late} samples late");
    // Sound that begins late: the silence before it is part of the clip.
    let name = base.to_str().unwrap();
    let late =
        remake(&base, "late.mp4", "", &format!("-itsoffset 2 -i {name} -map 0:v -map 1:a -c copy -t 6"));
    let output = cut(&late, MediaTime::ZERO, span(1000, 5500), Format::M4a, dir.path()).await.unwrap();
    assert_eq!((output.method, output.verified.duration), ("encode", MediaTime(4_500_000)));
    let one = lag(&sound(&output.media), -1.0);
    assert!(one.abs() <= 48, "{one} samples late");
}

#[tokio::test]
async fn gif_has_fifteen_frames_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "a.mp4", "30", 5.0, X264);
    let output = cut(&base, MediaTime::ZERO, span(1000, 3000), Format::Gif, dir.path()).await.unwrap();
    assert_eq!(output.verified.frames, Some(30));
    assert_eq!(output.verified.picture, Some(PictureSize { width: 320, height: 180 }));
    let numbers: Vec<u32> = frames(&output.media, "null").list.iter().map(kit::Frame::number).collect();
    assert_eq!(numbers, (0..30).map(|n| 30 + 2 * n).collect::<Vec<u32>>());
    assert!(std::fs::metadata(kit::poster(&output).await.unwrap()).unwrap().len() > 1000);
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("palette")), "{left:?}");
}

#[tokio::test]
async fn a_last_frame_that_stays_stays_in_a_gif() {
    let dir = tempfile::tempdir().unwrap();
    // One picture every two seconds: 0, 2 and 4 s.
    let base = source(dir.path(), "a.mp4", "1/2", 6.0, &format!("{X264} -an"));
    let output = cut(&base, MediaTime::ZERO, span(1000, 5500), Format::Gif, dir.path()).await.unwrap();
    assert_eq!(output.verified.frames, Some(68));
}

#[tokio::test]
async fn larger_pictures_are_scaled_and_pixels_made_square() {
    let dir = tempfile::tempdir().unwrap();
    for (filter, quality, wanted) in [
        ("scale=2560:1440,setsar=1", Quality::P720, (1280, 720)),
        ("scale=240:180,setsar=4/3", Quality::P1080, (320, 180)),
    ] {
        let path = source(dir.path(), "a.mp4", "25", 2.0, &format!("{X264} -an -vf {filter}"));
        let job = Cut {
            input: &path,
            origin: MediaTime::ZERO,
            span: span(500, 1500),
            pace: None,
            format: Format::Mp4,
            quality,
            audio: None,
            bytes_max: None,
            encode: false,
            out_dir: dir.path(),
        };
        let output = engine::cut(&kit::tools(), &job, &|_| {}).await.unwrap();
        let picture = output.verified.picture.unwrap();
        assert_eq!((picture.width, picture.height), wanted);
        let numbers: Vec<u32> = frames(&output.media, "null").list.iter().map(kit::Frame::number).collect();
        assert_eq!(numbers, (13..38).collect::<Vec<u32>>());
    }
}

#[tokio::test]
async fn progress_rises_to_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "25", 4.0, X264);
    for format in Format::ALL {
        let seen = Mutex::new(Vec::new());
        let job = Cut {
            input: &path,
            origin: MediaTime::ZERO,
            span: span(500, 3500),
            pace: None,
            format,
            quality: Quality::P1080,
            audio: None,
            bytes_max: None,
            encode: false,
            out_dir: dir.path(),
        };
        engine::cut(&kit::tools(), &job, &|at| seen.lock().unwrap().push(at)).await.unwrap();
        let seen = seen.into_inner().unwrap();
        assert!(seen.is_sorted(), "{seen:?}");
        assert!(seen.first().is_some_and(|at| *at >= 0.0) && seen.last() == Some(&1.0), "{seen:?}");
    }
}

#[tokio::test]
async fn says_what_is_wrong_with_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let mute = source(dir.path(), "mute.mp4", "25", 3.0, &format!("{X264} -an"));
    let refused = |input, span, format| message_of(input, span, format, dir.path().to_owned());
    assert!(refused(mute.clone(), span(0, 1000), Format::Mp3).await.contains("no sound"));
    assert!(refused(mute.clone(), span(1010, 1030), Format::Mp4).await.contains("no new picture"));
    assert!(refused(mute, span(9000, 9500), Format::Gif).await.contains("no new picture"));
    for (name, bytes) in
        [("a.html", &b"<!doctype html><p>Hello"[..]), ("a.txt", b"hello"), ("empty.mp4", b"")]
    {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert!(refused(path, span(0, 1000), Format::Mp4).await.contains("not a video"), "{name}");
    }
}

async fn message_of(
    input: std::path::PathBuf,
    span: domain::cut::Span,
    format: Format,
    out: std::path::PathBuf,
) -> String {
    message(cut(&input, MediaTime::ZERO, span, format, &out).await)
}

#[tokio::test]
async fn a_file_that_names_other_files_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let victim = source(dir.path(), "victim.ts", "25", 1.0, "-c:v libx264 -preset veryfast -c:a aac");
    let name = victim.display();
    for (file, text) in [
        ("a.mp4", format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{name}\n#EXT-X-ENDLIST\n")),
        ("b.mp4", format!("ffconcat version 1.0\nfile {name}\n")),
    ] {
        let path = dir.path().join(file);
        std::fs::write(&path, text).unwrap();
        let result = kit::tools().probe(&path).await;
        assert!(matches!(result, Err(ProbeError::NotAVideo(_))), "{result:?}");
    }
}

#[tokio::test]
async fn a_damaged_span_is_refused_and_the_rest_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "25", 6.0, &format!("{X264} -g 25 -bf 2"));
    let (local, plan) = fetch(&path, span(3000, 4000), BOTH).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let damaged = plan.ranges[0].clone();
    let (from, to) = (usize::try_from(damaged.start).unwrap(), usize::try_from(damaged.end).unwrap());
    let middle = from + (to - from) / 3..from + (to - from) / 2;
    bytes[middle].iter_mut().enumerate().for_each(|(n, byte)| *byte = (n * 7 % 251) as u8);
    std::fs::write(&path, bytes).unwrap();
    let result = cut(&path, MediaTime::ZERO, span(3000, 4000), Format::Mp4, &dir.path().join("o")).await;
    assert!(message(result).contains("damaged"));
    assert!(cut(&local, plan.origin, span(3000, 4000), Format::Mp4, &dir.path().join("o")).await.is_ok());
    assert!(cut(&path, MediaTime::ZERO, span(500, 1500), Format::Mp4, &dir.path().join("o")).await.is_ok());
}
