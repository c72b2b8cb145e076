//! The bytes of a span: few, read once, and decoded to the same pictures as the whole file.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use domain::{cut::Span, quality::PictureSize, time::MediaTime};
use kit::{BOTH, Counting, Memory, fetch, remake, same_pictures, source, span};
use media::mp4::{Index, IndexError, LocalFile, ReadAt, SpanError, SpanFile, Wanted};

#[tokio::test]
async fn pictures_are_identical_to_the_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let x264 = "-c:v libx264 -preset veryfast -c:a aac";
    let open = "-x264-params open-gop=1:keyint=25:scenecut=0:bframes=3:b-pyramid=normal";
    for (name, rate, options) in [
        ("plain.mp4", "24", format!("{x264} -bf 0 -g 24")),
        ("b.mp4", "30000/1001", format!("{x264} -bf 3 -g 48 -movflags +faststart")),
        ("open.mp4", "25", format!("{x264} {open}")),
        ("variable.mov", "30", format!("{x264} -vf select='mod(n,5)-2' -fps_mode passthrough")),
        ("hevc.mov", "25", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -an".into()),
        ("vp9.mp4", "25", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 40 -b:v 1M -c:a libopus".into()),
    ] {
        let path = source(dir.path(), name, rate, 7.0, &options);
        for span in [span(0, 400), span(1500, 4250), span(5_310, 6_000)] {
            same_pictures(&path, span).await;
        }
    }
    // Every sync sample has leading pictures, and the only IDR picture lies beyond the look back.
    let options = format!("{x264} {open}:b-adapt=0:b-pyramid=none");
    let path = source(dir.path(), "long.mp4", "25", 40.0, &options);
    let plan = same_pictures(&path, span(36_500, 38_000)).await;
    assert!(plan.origin >= MediaTime(35_000_000), "decoding begins near the span");
    let edited = remake(&dir.path().join("b.mp4"), "edited.mp4", "-ss 0.7", "-c copy");
    same_pictures(&edited, span(0, 1000)).await;
    same_pictures(&edited, span(1500, 4250)).await;
}

#[tokio::test]
async fn a_span_costs_its_own_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset ultrafast -crf 4 -g 25 -bf 2 -c:a aac";
    let behind = source(dir.path(), "behind.mp4", "25", 24.0, options);
    let front = remake(&behind, "front.mp4", "", "-c copy -movflags +faststart");
    for (path, reads_max) in [(&front, 2), (&behind, 3)] {
        let file = Counting::open(path);
        let index = Index::read(&file).await.unwrap();
        let (reads, bytes) = file.read();
        assert!(reads <= reads_max, "{reads} reads for the index");
        assert!(bytes <= 64 << 10, "{bytes} bytes for the index");
        // 2 of 24 seconds that begin in the middle of a group of one second.
        let plan = SpanFile::plan(&index, span(10_500, 12_500), BOTH).unwrap();
        let fetched: u64 = plan.ranges.iter().map(|range| range.end - range.start).sum();
        let share = fetched as f64 / file.len() as f64;
        assert!(share > 2.0 / 24.0 && share < 3.0 / 24.0 * 1.15, "{share:.3} of the file");
        assert_eq!(plan.bytes_total, fetched + plan.header.len() as u64);
        assert!(plan.ranges.len() <= 2, "{:?}", plan.ranges);
    }
}

#[tokio::test]
async fn only_what_is_wanted_and_there_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = source(dir.path(), "a.mp4", "25", 4.0, "-c:v libx264 -preset veryfast -c:a aac");
    let (sound, plan) = fetch(&path, span(1000, 2000), Wanted { video: false, audio: true }).await;
    assert_eq!(plan.frames, None);
    let probe = kit::tools().probe(&sound).await.unwrap();
    assert!(probe.video.is_none() && probe.audio.is_some());
    let index = Index::read(&LocalFile::open(&path).unwrap()).await.unwrap();
    let silent = SpanFile::plan(&index, span(1000, 2000), Wanted { video: true, audio: false }).unwrap();
    assert!(silent.bytes_total < plan.bytes_total + 200_000);
    // Frame 25 is at 1 s, the next one 40 ms later.
    assert_eq!(SpanFile::plan(&index, span(1010, 1030), BOTH), Err(SpanError::NoFrame));
    assert_eq!(SpanFile::plan(&index, span(9000, 9500), BOTH), Err(SpanError::NoFrame));
    let nothing = Wanted { video: false, audio: true };
    assert_eq!(SpanFile::plan(&index, span(9000, 9500), nothing), Err(SpanError::Nothing));
}

#[tokio::test]
async fn the_index_and_ffprobe_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -vf setsar=4/3 -c:a aac -metadata title=Bunny -t 3";
    let path = source(dir.path(), "a.mp4", "25", 4.0, options);
    let index = Index::read(&LocalFile::open(&path).unwrap()).await.unwrap();
    let (info, probe) = (index.info(), kit::tools().probe(&path).await.unwrap().info());
    assert_eq!(info.title, "Bunny");
    assert_eq!(info.picture, Some(PictureSize { width: 427, height: 180 }));
    assert_eq!((info.picture, info.has_audio, &info.title), (probe.picture, probe.has_audio, &probe.title));
    assert!(info.duration.0.abs_diff(probe.duration.0) < 45_000, "{info:?} {probe:?}");

    // Without `pasp`, the size in `tkhd` tells the shape.
    let plain = source(dir.path(), "b.mp4", "25", 1.0, "-c:v libx264 -preset veryfast -an");
    let mut bytes = std::fs::read(&plain).unwrap();
    for kind in [b"pasp", b"tkhd"] {
        let at = bytes.windows(4).position(|w| w == kind).unwrap();
        match kind {
            b"pasp" => bytes[at..at + 4].copy_from_slice(b"free"),
            _ => bytes[at + 80..at + 84].copy_from_slice(&(400u32 << 16).to_be_bytes()),
        }
    }
    std::fs::write(&plain, bytes).unwrap();
    let index = Index::read(&LocalFile::open(&plain).unwrap()).await.unwrap();
    let probe = kit::tools().probe(&plain).await.unwrap().info();
    assert_eq!(index.info().picture, probe.picture);
    assert!(!index.info().has_audio);
}

#[tokio::test]
async fn what_is_no_whole_mp4_is_told_apart() {
    for text in
        [&b""[..], b"<!doctype html>\n<title>Not a video</title>", b"RIFF\0\0\0\0AVI LIST", &[0x47; 4096]]
    {
        let error = Index::read(&Memory(text.to_vec())).await.unwrap_err();
        let expected = matches!(error, IndexError::NotIsoBmff) || text.is_empty();
        assert!(expected, "{error:?}");
    }
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -c:a aac";
    let behind = source(dir.path(), "behind.mp4", "25", 4.0, options);
    let front = remake(&behind, "front.mp4", "", "-c copy -movflags +faststart");
    for path in [&behind, &front] {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.truncate(bytes.len() * 2 / 3);
        let error = Index::read(&Memory(bytes)).await.unwrap_err();
        assert!(matches!(error, IndexError::Truncated { .. }), "{error:?}");
    }
    let fragmented = remake(&behind, "f.mp4", "", "-c copy -movflags frag_keyframe+empty_moov");
    let mut bytes = std::fs::read(fragmented).unwrap();
    bytes.drain(..bytes.windows(4).position(|w| w == b"moof").unwrap() - 4);
    let error = Index::read(&Memory(bytes)).await.unwrap_err();
    assert!(matches!(error, IndexError::Unsupported(_)), "{error:?}");
    let pcm = remake(&behind, "pcm.mov", "", "-c:v copy -c:a pcm_s16le");
    let index = Index::read(&LocalFile::open(&pcm).unwrap()).await.unwrap();
    assert!(index.info().has_audio);
    assert!(matches!(SpanFile::plan(&index, span(0, 1000), BOTH), Err(SpanError::Unsupported(_))));
    assert!(SpanFile::plan(&index, span(0, 1000), Wanted { video: true, audio: false }).is_ok());
}

#[tokio::test]
async fn a_changed_index_never_panics_and_never_reads_beyond_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let base = source(dir.path(), "base.mp4", "25", 2.0, "-c:v libx264 -preset veryfast -bf 2 -c:a aac");
    let path = remake(&base, "a.mp4", "-ss 0.3", "-c copy -movflags +faststart");
    let bytes = std::fs::read(&path).unwrap();
    let moov = bytes.windows(4).position(|w| w == b"moov").unwrap();
    let mdat = bytes.windows(4).position(|w| w == b"mdat").unwrap();
    let wholes = [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX];
    let (mut planned, mut refused) = (0, 0);
    for at in moov..mdat - 4 {
        for value in wholes {
            let mut changed = bytes.clone();
            changed[at..at + 4].copy_from_slice(&value.to_be_bytes());
            let Ok(index) = Index::read(&Memory(changed)).await else {
                refused += 1;
                continue;
            };
            let _ = index.info();
            for span in
                [span(0, 500), span(700, 1300), Span { start: MediaTime(0), end: MediaTime(i64::MAX) }]
            {
                let Ok(plan) = SpanFile::plan(&index, span, BOTH) else { continue };
                planned += 1;
                assert!(plan.ranges.iter().all(|range| range.start < range.end));
                assert!(plan.ranges.last().unwrap().end <= bytes.len() as u64);
            }
        }
    }
    assert!(planned > 1000 && refused > 1000, "{planned} planned, {refused} refused");
}
