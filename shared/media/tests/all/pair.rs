//! A picture and a sound in two files are cut as one source.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::path::{Path, PathBuf};

use domain::{quality::Format, time::MediaTime};
use kit::{BOTH, compare_pictures, cut, frames, lag, remake, sound, source, span};
use media::{
    mp4::{Index, LocalFile, Part, ReadAt, SpanFile},
    remux,
};

/// The span file of two files.
async fn fetch(video: &Path, audio: &Path, span: domain::cut::Span) -> (PathBuf, SpanFile) {
    let (picture, sound) = (LocalFile::open(video).unwrap(), LocalFile::open(audio).unwrap());
    let seen = Index::read_part(&picture, Part::Span(span)).await.unwrap();
    let heard = Index::read_part(&sound, Part::Span(span)).await.unwrap();
    let plan = SpanFile::plan(&seen.with_sound_of(heard, picture.len()), span, BOTH).unwrap();
    let mut both = std::fs::read(video).unwrap();
    both.extend(std::fs::read(audio).unwrap());
    let mut bytes = plan.header.clone();
    for range in &plan.ranges {
        bytes.extend(&both[range.start as usize..range.end as usize]);
    }
    let path = video.with_file_name("span.mp4");
    std::fs::write(&path, bytes).unwrap();
    (path, plan)
}

#[tokio::test]
async fn two_mp4_files_are_cut_smartly_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -bf 2 -g 25 -c:a aac";
    let path = source(dir.path(), "a.mp4", "25", 9.0, options);
    for (name, flags) in [("plain", ""), ("sidx", " -movflags +frag_keyframe+dash+global_sidx")] {
        let video = remake(&path, &format!("{name}-v.mp4"), "", &format!("-an -c copy{flags}"));
        let audio = remake(&path, &format!("{name}-a.m4a"), "", &format!("-vn -c copy -f mp4{flags}"));
        // Without edit lists, as in fragments, each file has a timeline of its own.
        let all = frames(&video, "null");
        for wanted in [span(0, 1500), span(3300, 6210), span(8000, 9000)] {
            let (local, plan) = fetch(&video, &audio, wanted).await;
            let out = cut(&local, plan.origin, wanted, Format::Mp4, &dir.path().join("out")).await.unwrap();
            assert!(matches!(out.method, "smart" | "copy"), "{name} {wanted:?}: {}", out.method);
            let zero = compare_pictures(&all, &frames(&out.media, "null"), wanted, true);
            if name == "plain" {
                assert!(lag(&sound(&out.media), zero).abs() <= 1, "{wanted:?}: the sound is in step");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_mp4_is_put_together_with_its_own_clocks() {
    let dir = tempfile::tempdir().unwrap();
    let vp9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 40 -b:v 1M -c:a libopus";
    let path = source(dir.path(), "a.webm", "25", 5.0, vp9);
    let video = remake(&path, "v.webm", "", "-an -c copy");
    let audio = remake(&path, "s.webm", "", "-vn -c copy");
    let one = dir.path().join("one.mkv");
    remux::join(&kit::tools(), (&video, &audio), &one).await.unwrap();
    let (all, wanted) = (frames(&video, "null"), span(1300, 3210));
    let out = cut(&one, MediaTime::ZERO, wanted, Format::Mp4, &dir.path().join("out")).await.unwrap();
    let zero = compare_pictures(&all, &frames(&out.media, "null"), wanted, true);
    let off = lag(&sound(&out.media), zero) - lag(&sound(&audio), 0.0);
    assert!(off.abs() <= 48, "a millisecond, in which WebM counts: {off}");
}
