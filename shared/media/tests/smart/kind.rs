//! A source, its cuts, and what has to be true of each of them.

use std::{
    fmt::Debug,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use domain::{cut::Span, quality::Format, time::MediaTime};
use media::{
    engine::Output,
    mp4::{Index, LocalFile},
};
use tracing::field::{Field, Visit};

use crate::kit::{self, BOTH, cut, fetch, frames, lag, psnr, read, sound};

/// Remembers why a smart cut was not made, from the log.
#[derive(Clone, Default)]
struct Reasons(Arc<Mutex<Vec<String>>>);

impl Visit for Reasons {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "reason" {
            self.0.lock().unwrap().push(format!("{value:?}"));
        }
    }
}

impl tracing::Subscriber for Reasons {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Cuts, and tells why it was not a smart cut; empty if it was.
pub(crate) async fn made(input: &Path, origin: MediaTime, span: Span) -> (Output, String) {
    let reasons = Reasons::default();
    let guard = tracing::subscriber::set_default(reasons.clone());
    let output = cut(input, origin, span, Format::Mp4, &input.with_extension("out")).await.unwrap();
    drop(guard);
    let reason = reasons.0.lock().unwrap().join(" ");
    assert_eq!(reason.is_empty(), output.method != "encode", "{reason}");
    (output, reason)
}

/// Decoded pictures in 4:2:0, as they are coded.
pub(crate) struct Pictures {
    pub(crate) list: Vec<Vec<u8>>,
    /// Bits of a sample: 8, or 10 in two bytes.
    pub(crate) depth: u32,
}

/// The pictures of a file.
pub(crate) fn pictures(path: &Path) -> Pictures {
    let name = path.to_str().unwrap();
    let entries = "stream=width,height,pix_fmt";
    let args = ["-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0", name];
    let text = String::from_utf8(read("ffprobe", &args)).unwrap();
    let words: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let depth = if words[2].contains("10le") { 10 } else { 8 };
    let samples = words[0].parse::<usize>().unwrap() * words[1].parse::<usize>().unwrap() * 3 / 2;
    let words = "-map 0:v:0 -fps_mode passthrough -f rawvideo -";
    let mut args = vec!["-noautorotate", "-i", name];
    args.extend(words.split(' '));
    let bytes = samples * if depth == 8 { 1 } else { 2 };
    Pictures { list: read("ffmpeg", &args).chunks_exact(bytes).map(<[u8]>::to_vec).collect(), depth }
}

/// Peak signal-to-noise ratio in dB, of samples with `depth` bits.
pub(crate) fn likeness(a: &[u8], b: &[u8], depth: u32) -> f64 {
    if depth == 8 {
        return psnr(a, b);
    }
    let samples = |bytes: &[u8]| -> Vec<f64> {
        bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]).into()).collect()
    };
    let (a, b) = (samples(a), samples(b));
    let sum: f64 = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum();
    let peak = f64::from(2u32.pow(depth) - 1);
    if sum == 0.0 { 99.0 } else { 10.0 * (peak * peak * a.len() as f64 / sum).log10() }
}

/// FFmpeg's name of the sound's codec.
pub(crate) fn sound_codec(path: &Path) -> String {
    let args = ["-select_streams", "a:0", "-show_entries", "stream=codec_name", "-of", "csv=p=0"];
    let text = String::from_utf8(read("ffprobe", &[&args[..], &[path.to_str().unwrap()]].concat())).unwrap();
    text.trim().to_owned()
}

/// What ffprobe says of the picture.
pub(crate) fn description(path: &Path) -> String {
    let entries = "stream=codec_tag_string,profile,level,pix_fmt,width,height,sample_aspect_ratio,color_range,\
                   color_space,color_transfer,color_primaries,chroma_location,has_b_frames:stream_side_data";
    let args = ["-select_streams", "v:0", "-show_entries", entries, "-of", "default", path.to_str().unwrap()];
    String::from_utf8(read("ffprobe", &args)).unwrap().replace("hev1", "hvc1")
}

/// What lies in the samples of a picture.
pub(crate) struct Units {
    /// The kinds of the NAL units in each sample, lengths of 4 bytes.
    pub(crate) kinds: Vec<Vec<u8>>,
    /// Which samples are sync samples.
    sync: Vec<usize>,
    is_hevc: bool,
}

pub(crate) async fn units(path: &Path) -> Units {
    let track = Index::read(&LocalFile::open(path).unwrap()).await.unwrap().video.unwrap();
    assert!(matches!(&track.codec, b"avc1" | b"hvc1"), "{:?}", track.codec);
    let is_hevc = track.codec == *b"hvc1";
    let (samples, bytes) = (track.samples.unwrap(), std::fs::read(path).unwrap());
    let kinds = |sample: &media::mp4::Sample| {
        let mut rest = &bytes[usize::try_from(sample.offset).unwrap()..][..sample.size as usize];
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            kinds.push(if is_hevc { rest[4] >> 1 & 63 } else { rest[4] & 31 });
            rest = &rest[4 + len..];
        }
        kinds
    };
    let kinds = samples.list.iter().map(kinds).collect::<Vec<_>>();
    let sync =
        samples.sync.map_or((0..kinds.len()).collect(), |sync| sync.iter().map(|n| *n as usize).collect());
    Units { kinds, sync, is_hevc }
}

impl Units {
    /// No parameter set lies in a sample, and sync samples are IDR pictures; the first and the one
    /// behind the head are.
    fn check(&self, head: usize) {
        let (sets, idr) = if self.is_hevc { (32..=34, 19..=20) } else { (7..=8, 5..=5) };
        assert!(self.kinds.iter().flatten().all(|kind| !sets.contains(kind)), "a set lies in a sample");
        let is_idr = |n: &usize| self.kinds[*n].iter().any(|kind| idr.contains(kind));
        assert!(self.sync.iter().all(is_idr), "sync samples are IDR pictures");
        assert!(self.sync.contains(&0) && self.sync.contains(&head));
    }
}

/// A source and what is known of it.
pub(crate) struct Kind {
    pub(crate) path: PathBuf,
    pub(crate) frames: kit::Frames,
    pub(crate) pictures: Pictures,
    /// By how many seconds the chirp begins after the first frame; `None` without sound.
    pub(crate) sound: Option<f64>,
    /// Whether the sound's packets are copied.
    pub(crate) is_copied: bool,
    /// The most that the sound may be off, in samples of 48 kHz.
    pub(crate) lag_max: i32,
}

impl Kind {
    pub(crate) fn new(path: PathBuf) -> Self {
        let (frames, pictures) = (frames(&path, "null"), pictures(&path));
        Self { path, frames, pictures, sound: Some(0.0), is_copied: true, lag_max: 1 }
    }

    /// Cuts `span` from the whole file and from its own bytes alone. `encoded` are the number of frames in the head
    /// and the most there may be in the tail; everything between must be identical.
    pub(crate) async fn check(&self, span: Span, encoded: (usize, usize)) -> PathBuf {
        let (local, plan) = fetch(&self.path, span, BOTH).await;
        self.check_one(&self.path, MediaTime::ZERO, span, encoded).await;
        self.check_one(&local, plan.origin, span, encoded).await
    }

    pub(crate) async fn check_one(
        &self,
        input: &Path,
        origin: MediaTime,
        span: Span,
        (head, tail): (usize, usize),
    ) -> PathBuf {
        println!("{span:?} of {input:?}");
        let (output, reason) = made(input, origin, span).await;
        assert!(matches!(output.method, "copy" | "smart"), "{reason}");
        assert!(!output.media.with_extension("parts").exists());
        let clip = frames(&output.media, "null");
        let (zero, tail) = self.compare(&clip, &pictures(&output.media), span, (head, tail));
        assert_eq!(output.method == "copy", head + tail == 0);
        assert_eq!(description(&output.media), description(&self.path));
        units(&output.media).await.check(head);
        let length = (span.end.0 as f64 / 1e6 - zero) * 48_000.0;
        assert!((output.verified.duration.0 as f64 / 1e6 * 48_000.0 - length).abs() < 480.0);
        for at in [0.0, 0.3, 0.5, 0.8] {
            let at = format!("{:.3}", at * output.verified.duration.seconds());
            read("ffmpeg", &["-ss", &at, "-i", output.media.to_str().unwrap(), "-f", "null", "-"]);
        }
        let Some(after) = self.sound else { return output.media };
        let codec = if self.is_copied { sound_codec(&self.path) } else { "aac".to_owned() };
        assert_eq!(sound_codec(&output.media), codec);
        let pcm = sound(&output.media);
        // FFmpeg decodes the last packet to its end: up to 1536 samples, for AC-3.
        assert!((pcm.len() as f64 - length).abs() <= 1536.0, "{} samples instead of {length}", pcm.len());
        if pcm.len() > 20_000 {
            let first = self.frames.micros(self.frames.list[0].pts) as f64 / 1e6;
            let lag = lag(&pcm, zero - first - after);
            assert!(lag.abs() <= self.lag_max, "the sound is {lag} samples late");
        }
        output.media
    }

    /// Frame count, ticks, identity and likeness. Gives the source's time of the clip's zero in seconds, and the
    /// number of frames in the tail.
    fn compare(
        &self,
        clip: &kit::Frames,
        made: &Pictures,
        span: Span,
        (head, tail_max): (usize, usize),
    ) -> (f64, usize) {
        let all = &self.frames;
        let within = |frame: &kit::Frame| (span.start.0..span.end.0).contains(&all.micros(frame.pts));
        let first = all.list.iter().position(within).unwrap();
        let count = all.list.iter().filter(|frame| within(frame)).count();
        assert_eq!((clip.list.len(), made.list.len()), (count, count), "frame count");
        let zero = all.list[first].pts;
        for (n, (out, wanted)) in clip.list.iter().zip(&all.list[first..]).enumerate() {
            assert_eq!(out.pts * clip.num * all.den, (wanted.pts - zero) * all.num * clip.den, "frame {n}");
        }
        let (made, source) = (&made.list, &self.pictures.list[first..]);
        let differs = |n: &usize| made[*n] != source[*n];
        let tail = (head..count).rev().take_while(differs).count();
        assert!(tail <= tail_max, "{tail} frames are encoded in the tail");
        assert!((0..head).all(|n| differs(&n)), "the head is thought to be encoded");
        let unlike = (head..count - tail).find(differs);
        assert_eq!(unlike, None, "not identical to the source's frame");
        let ends = (0..head).chain(count - tail..count);
        let worst = ends.map(|n| likeness(&made[n], &source[n], self.pictures.depth)).fold(99.0, f64::min);
        println!("{head} + {} + {tail} frames, {worst:.1} dB", count - head - tail);
        assert!(worst >= 42.0, "{worst:.1} dB");
        (all.micros(zero) as f64 / 1e6, tail)
    }
}
