//! Sound of which packets are lost stays where it is: within 5 ms of its own time between any two gaps.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::{f64::consts::TAU, path::Path};

use domain::{quality::Format, time::MediaTime};
use kit::{chirp, cut, run, sound, span};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed},
};

const RATE: f64 = 48_000.0;
/// 5 ms.
const OFF_MAX: i32 = 240;

/// Encoders and containers, and how many samples a packet has.
const KINDS: [(&str, &str, f64); 6] = [
    ("a.mkv", "-c:a aac", 1024.0),
    ("b.mp4", "-c:a aac", 1024.0),
    ("c.mkv", "-c:a libopus -vbr off", 960.0),
    ("d.mkv", "-c:a libmp3lame", 1152.0),
    ("e.mkv", "-c:a flac -frame_size 1024", 1024.0),
    ("f.mkv", "-c:a pcm_s16le", 1024.0),
];

/// A picture and the chirp, without the packets of sound `lost`.
fn lossy(dir: &Path, (name, codec, _): (&str, &str, f64), lost: &[u32]) -> std::path::PathBuf {
    let whole = dir.join(format!("whole-{name}"));
    let picture = "color=gray:s=64x36:r=10:d=6";
    let sound = chirp(6.0);
    let mut args = vec!["-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", &sound];
    args.extend("-c:v libx264 -preset ultrafast -g 10".split(' '));
    args.extend(codec.split(' '));
    args.push(whole.to_str().unwrap());
    run("ffmpeg", &args);
    let path = dir.join(name);
    let terms: Vec<String> = lost.iter().map(|n| format!("eq(n\\,{n})")).collect();
    let drop = format!("noise=amount=0:drop={}", terms.join("+"));
    let args = ["-y", "-i", whole.to_str().unwrap(), "-c", "copy", "-bsf:a", &drop, path.to_str().unwrap()];
    run("ffmpeg", &args);
    path
}

/// By how many samples the sound from `from` to `to`, in seconds of a clip that begins at `began`, is late.
fn late(pcm: &[f64], (from, to): (f64, f64), began: f64) -> i32 {
    let range = (from * RATE) as usize..(to * RATE) as usize;
    let likeness = |lag: i32| {
        let term = |n: usize| {
            let t = began + (n as f64 - f64::from(lag)) / RATE;
            pcm[n] * (TAU * (300.0 * t + 60.0 * t * t)).sin()
        };
        range.clone().step_by(5).filter(|n| *n < pcm.len()).map(term).sum::<f64>()
    };
    (-150..=150).map(|step| step * 12).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap()
}

proptest! {
    #![proptest_config(Config { cases: 6, max_shrink_iters: 0, rng_seed: RngSeed::Fixed(16), failure_persistence: None, ..Config::default() })]

    #[test]
    fn sound_stays_in_place_whatever_is_lost(
        kind in prop::sample::select(KINDS.to_vec()),
        format in prop::sample::select(vec![Format::Mp4, Format::Wav, Format::Mp3, Format::M4a]),
        // A gap every half a second or so, of up to four packets.
        gaps in prop::collection::vec((0.0..0.2_f64, 1..5_u32), 10),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let packet = kind.2 / RATE;
        let gaps: Vec<(u32, u32)> = gaps.iter().enumerate()
            .map(|(n, (jitter, len))| (((n as f64 * 0.55 + 0.3 + jitter) / packet) as u32, *len)).collect();
        let lost: Vec<u32> = gaps.iter().flat_map(|(at, len)| *at..at + len).collect();
        let path = lossy(dir.path(), kind, &lost);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let made = runtime.block_on(cut(&path, MediaTime::ZERO, span(1000, 5000), format, &dir.path().join("out")));
        let clip = made.unwrap();
        let pcm = sound(&clip.media);
        prop_assert!((pcm.len() as f64 / RATE - 4.0).abs() < 0.06, "{} samples", pcm.len());
        for pair in gaps.windows(2) {
            let (from, to) = (f64::from(pair[0].0 + pair[0].1) * packet + 0.05, f64::from(pair[1].0) * packet - 0.05);
            if from > 1.0 && to < 4.9 && to - from > 0.1 {
                let off = late(&pcm, (from - 1.0, to - 1.0), 1.0);
                prop_assert!(off.abs() <= OFF_MAX, "{kind:?} {format:?}: {off} samples from {from} to {to}");
            }
        }
    }
}
