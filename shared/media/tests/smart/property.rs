//! Whatever a source is made of, and wherever it is cut: the clip has every frame of the span and no other, at its
//! own time; what lies between the ends is the source's own; the sound is in its place.
//!
//! `SMART_CUT_CASES` sets how many cases are drawn, always the same ones.

use std::path::{Path, PathBuf};

use domain::{cut::Span, time::MediaTime};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    Kind,
    kind::{likeness, made, pictures},
    kit::{BOTH, chirp, fetch, frames, lag_within, read, remake, run, sound},
};

const CASES: usize = 24;
/// A first frame that comes no later than this, in microseconds, has none held before it.
const HELD_MIN_US: i64 = 50_000;

/// A source and a cut.
#[derive(Clone, Debug)]
struct Case {
    codec: &'static str,
    rate: &'static str,
    /// Frames are left out, so that they are shown for different times.
    varies: bool,
    group: Group,
    sound: &'static str,
    /// The first so many milliseconds are hidden by an edit list.
    hidden: Option<u32>,
    /// First frame and number of frames, as parts of what there is; and how long before a frame the span begins and
    /// ends, as parts of the time since the frame before.
    cut: ([f64; 2], [f64; 2]),
    /// Whether it is cut from the bytes of the span alone.
    fetched: bool,
}

/// The structure of groups of pictures.
#[derive(Clone, Debug)]
struct Group {
    length_max: u32,
    length_min: u32,
    is_open: bool,
    b_frames: u32,
    /// B-frames are as many as the encoder thinks fit.
    adapts: bool,
    pyramid: bool,
    references: u32,
}

fn cases() -> impl Strategy<Value = Case> {
    let lengths = (8u32..50, 1u32..8).prop_map(|(max, part)| (max, (max / part).max(1)));
    let group = (lengths, prop::bool::weighted(0.2), 0u32..4, any::<[bool; 2]>(), 1u32..5);
    let group =
        group.prop_map(|((length_max, length_min), is_open, b_frames, [adapts, pyramid], references)| {
            Group { length_max, length_min, is_open, b_frames, adapts, pyramid, references }
        });
    let codecs = vec![
        "libx264 -pix_fmt yuv420p",
        "libx264 -pix_fmt yuv420p10le",
        "libx265 -tag:v hvc1 -pix_fmt yuv420p",
        "libx265 -pix_fmt yuv420p10le",
    ];
    let sounds = vec!["aac", "aac", "libmp3lame", "libopus", "ac3", "none"];
    let rates = vec!["24", "25", "30000/1001", "60"];
    let source = (select(codecs), select(rates), prop::bool::weighted(0.3), group, select(sounds));
    let hidden = prop::option::weighted(0.3, 50u32..1200);
    let cut = ([0.0..0.6, 0.05..1.0], [0.0..0.99, 0.0..0.99]);
    (source, hidden, cut, any::<bool>()).prop_map(
        |((codec, rate, varies, group, sound), hidden, cut, fetched)| Case {
            codec,
            rate,
            varies,
            // FFmpeg complains about an open group from which another part is missing.
            hidden: hidden.filter(|_| !group.is_open),
            group,
            sound,
            cut,
            fetched,
        },
    )
}

impl Case {
    fn source(&self, dir: &Path) -> PathBuf {
        let Group { length_max, length_min, is_open, b_frames, adapts, pyramid, references } = self.group;
        let (is_open, adapts) = (u8::from(is_open), u8::from(adapts));
        let common = format!(
            "keyint={length_max}:min-keyint={length_min}:open-gop={is_open}:bframes={b_frames}:b-adapt={adapts}:\
             ref={references}"
        );
        let encoder = if self.codec.starts_with("libx264") {
            let pyramid = if pyramid { "normal" } else { "none" };
            format!("-preset veryfast -x264-params {common}:b-pyramid={pyramid}")
        } else {
            let pyramid = u8::from(pyramid);
            format!("-preset ultrafast -x265-params {common}:b-pyramid={pyramid}:log-level=error")
        };
        let path = dir.join("whole.mp4");
        // The picture changes at random places, so that scene cuts are found.
        let scenes = "negate=enable='lt(mod(t*1.7,2.3),0.9)'";
        let select = if self.varies { ",select='mod(n,5)-2+gt(mod(n,11),7)'" } else { "" };
        let picture = format!("testsrc2=s=128x72:r={}:d=3.5,{scenes}{select}", self.rate);
        let sound = chirp(3.5);
        let mut args = vec!["-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound];
        let words = if self.sound == "none" { "-an".to_owned() } else { format!("-c:a {}", self.sound) };
        let words = format!("-fps_mode passthrough -c:v {} {encoder} {words}", self.codec);
        args.extend(words.split_whitespace());
        args.push(path.to_str().unwrap());
        run("ffmpeg", &args);
        match self.hidden {
            None => path,
            Some(hidden) => {
                remake(&path, "edited.mp4", &format!("-ss {:.3}", f64::from(hidden) / 1e3), "-c copy")
            }
        }
    }

    /// The span, and the numbers of its first frame and of the first behind it.
    fn span(&self, times: &[i64]) -> (Span, usize, usize) {
        let ([from, length], early) = self.cut;
        let part = |count: usize, part: f64| (count as f64 * part) as usize;
        let first = part(times.len(), from);
        let behind = first + 1 + part(times.len() - first - 1, length);
        let at = |n: usize, early: f64| {
            let end = times[times.len() - 1] + 10_000;
            let (this, before) =
                (times.get(n).copied().unwrap_or(end), n.checked_sub(1).map_or(0, |n| times[n]));
            MediaTime(this - ((this - before).max(0) as f64 * early) as i64)
        };
        // Earlier, the picture on screen would be held: `domain::cut` and the cases of stills are about that.
        let start = at(first, early[0]).max(MediaTime(times[first] - HELD_MIN_US));
        (Span { start, end: at(behind, early[1]) }, first, behind)
    }

    /// Makes the source, cuts it and looks at the clip. Gives the method.
    async fn check(&self, dir: &Path) -> &'static str {
        let path = self.source(dir);
        let kind = Kind::new(path.clone());
        let times: Vec<i64> = kind.frames.list.iter().map(|frame| kind.frames.micros(frame.pts)).collect();
        let (span, first, behind) = self.span(&times);
        println!("{span:?}: {} of {} frames from {first}", behind - first, times.len());
        let (output, reason) = if self.fetched {
            let (local, plan) = fetch(&path, span, BOTH).await;
            made(&local, plan.origin, span).await
        } else {
            made(&path, MediaTime::ZERO, span).await
        };
        let (clip, shown) = (frames(&output.media, "null"), pictures(&output.media));
        assert_eq!((clip.list.len(), shown.list.len()), (behind - first, behind - first));
        let source = &kind.frames;
        for (out, wanted) in clip.list.iter().zip(&source.list[first..]) {
            let ticks = wanted.pts - source.list[first].pts;
            assert_eq!(out.pts * clip.num * source.den, ticks * source.num * clip.den, "frame time");
        }
        if output.method == "encode" {
            println!("encoded: {reason}");
            let is_key = |n: usize| keys(&path).contains(&kind.frames.list[n].pts);
            let has_group = !self.group.is_open && (first..behind).any(is_key);
            assert!(!has_group || reason.contains("no sync sample"), "{reason}");
        } else {
            self.compare(&kind, &shown.list, first);
        }
        if self.sound != "none" && output.verified.duration.seconds() > 0.5 {
            let began = times[first] as f64 / 1e6 + self.hidden.map_or(0.0, |ms| f64::from(ms) / 1e3);
            assert_eq!(lag_within(&sound(&output.media), began, 5), 0);
        }
        output.method
    }

    /// The copied frames stand in one run between frames that are hardly to be told from the source's.
    fn compare(&self, kind: &Kind, shown: &[Vec<u8>], first: usize) {
        let source = &kind.pictures.list[first..];
        let same = |n: &usize| shown[*n] == source[*n];
        let from = (0..shown.len()).find(same).unwrap();
        let to = (from..shown.len()).rfind(same).unwrap() + 1;
        assert_eq!((from..to).find(|n| !same(n)), None, "frames {from} to {to} are copied");
        let ends = (0..from).chain(to..shown.len());
        let worst = ends.map(|n| likeness(&shown[n], &source[n], kind.pictures.depth)).fold(99.0, f64::min);
        assert!(worst >= 42.0, "{worst:.1} dB");
        println!("{from} + {} + {} frames, {worst:.1} dB", to - from, shown.len() - to);
        if !self.group.is_open {
            let keys = keys(&kind.path);
            let head = (first..).find(|n| keys.contains(&kind.frames.list[*n].pts)).unwrap() - first;
            assert_eq!(from, head, "no more is encoded than need be");
        }
    }
}

/// The presentation times of packets where decoding can begin, in ticks.
fn keys(path: &Path) -> Vec<i64> {
    let args = ["-select_streams", "v:0", "-show_entries", "packet=pts,flags", "-of", "csv=p=0"];
    let text = String::from_utf8(read("ffprobe", &[&args[..], &[path.to_str().unwrap()]].concat())).unwrap();
    let rows = text.lines().filter_map(|line| line.split_once(','));
    rows.filter(|(_, flags)| flags.contains('K')).map(|(pts, _)| pts.parse().unwrap()).collect()
}

#[tokio::test]
async fn every_cut_of_every_source_is_exact() {
    let count = std::env::var("SMART_CUT_CASES").map_or(CASES, |count| count.parse().unwrap());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut smart = 0;
    for number in 0..count {
        let case = cases().new_tree(&mut runner).unwrap().current();
        println!("{number}: {case:?}");
        let dir = tempfile::tempdir().unwrap();
        smart += usize::from(case.check(dir.path()).await != "encode");
    }
    println!("{smart} of {count} were copied for the most part");
    assert!(smart * 2 > count, "most cuts need not be encoded as a whole");
}
