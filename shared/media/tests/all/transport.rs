//! A transport stream of which the front is missing is cut like the whole.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use domain::{quality::Format, time::MediaTime};
use kit::{BOTH, compare_pictures, cut, frames, lag, remake, sound, source, span};
use media::{
    mp4::{Index, LocalFile, ReadAt, SpanFile},
    remux, ts,
};

#[tokio::test]
async fn segments_of_a_transport_stream_are_cut_smartly() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset veryfast -bf 2 -g 25 -sc_threshold 0 -c:a aac";
    let path = source(dir.path(), "a.mp4", "25", 9.0, options);
    // Encoded anew, so that each group of pictures brings its parameter sets as an encoder writes them.
    let list = "-c:v libx264 -preset veryfast -bf 2 -g 25 -sc_threshold 0 -c:a copy -f hls -hls_time 1 -hls_list_size 0";
    let list = remake(&path, "list.m3u8", "", list);
    let whole = remake(&list, "whole.ts", "", "-c copy -copyts -muxdelay 0");
    let segment = |n: usize| std::fs::read(dir.path().join(format!("list{n}.ts"))).unwrap();
    let zero = ts::opening(&segment(0)).unwrap();
    assert!(zero.is_complete);
    let some = dir.path().join("some.ts");
    std::fs::write(&some, (3..7).flat_map(segment).collect::<Vec<_>>()).unwrap();

    let tools = kit::tools();
    let copy = dir.path().join("some.mp4");
    let first = remux::probe(&tools, &some).await.unwrap().zero;
    let remuxed = remux::transport(&tools, &some, &copy).await.unwrap().zero.expect("the clock is kept");
    let origin = ts::nearest(first.since(zero.earliest), MediaTime(3_000_000));
    let file = LocalFile::open(&copy).unwrap();
    let index = Index::read(&file).await.unwrap().moved(MediaTime(origin.0 + remuxed.since(first).0));
    let all = frames(&whole, "null");
    for wanted in [span(3_300, 5_210), span(4_000, 6_000), span(5_560, 5_840)] {
        let plan = SpanFile::plan(&index, wanted, BOTH).unwrap();
        let mut bytes = plan.header.clone();
        for range in &plan.ranges {
            bytes.extend(file.read_at(range.start, range.end - range.start).await.unwrap());
        }
        let local = dir.path().join("span.mp4");
        std::fs::write(&local, bytes).unwrap();
        let out = cut(&local, plan.origin, wanted, Format::Mp4, &dir.path().join("out")).await.unwrap();
        let copies = wanted.duration().0 > 1_000_000;
        assert_eq!(out.method != "encode", copies, "{wanted:?}: {}", out.method);
        let begins = compare_pictures(&all, &frames(&out.media, "null"), wanted, false);
        // The chirp began with the picture's first frame. Of a few frames' time there is too little to compare.
        let late = all.micros(all.list[0].pts) as f64 / 1e6;
        if copies {
            assert!(lag(&sound(&out.media), begins - late).abs() <= 1, "{wanted:?}: the sound is in step");
        }
    }
}
