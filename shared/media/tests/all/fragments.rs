//! Fragmented files: the same samples as ffprobe sees, found with few reads.

#![allow(clippy::unwrap_used, clippy::panic)]

use crate::kit;

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use kit::{BOTH, Counting, read, remake, same_pictures, source, span};
use media::mp4::{Index, LocalFile, Part, ReadAt, SpanFile, Track};

/// How FFmpeg writes fragments.
const MUXERS: [&str; 12] = [
    "frag_keyframe",
    "frag_keyframe+empty_moov",
    "frag_keyframe+empty_moov+default_base_moof",
    "frag_keyframe+empty_moov+omit_tfhd_offset",
    "frag_keyframe+empty_moov+separate_moof",
    "frag_keyframe+delay_moov",
    "frag_keyframe+delay_moov+negative_cts_offsets",
    "frag_keyframe+dash+global_sidx",
    "frag_keyframe+dash+delay_moov+global_sidx",
    "dash+delay_moov",
    "cmaf",
    "frag_keyframe+cmaf+delay_moov+global_sidx",
];

async fn index(path: &Path, part: Part) -> Index {
    Index::read_part(&LocalFile::open(path).unwrap(), part).await.unwrap()
}

/// Presentation time, decoding time, size, place and kind of every packet, in the order of the file.
fn packets(path: &Path, stream: &str) -> Vec<(i64, i64, u32, u64, bool)> {
    let name = path.to_str().unwrap();
    let entries = "packet=pts,dts,size,pos,flags";
    let args = ["-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0", name];
    let text = String::from_utf8(read("ffprobe", &args)).unwrap();
    let row = |line: &str| {
        let field: Vec<&str> = line.split(',').collect();
        assert!(!field[4].contains('D'), "{name}: nothing is thrown away");
        let number = |n: usize| field[n].parse::<i64>().unwrap();
        (number(0), number(1), number(2) as u32, number(3) as u64, field[4].starts_with('K'))
    };
    text.lines().filter(|line| !line.is_empty()).map(row).collect()
}

fn samples(track: &Track) -> Vec<(i64, i64, u32, u64, bool)> {
    let samples = track.samples.as_ref().unwrap();
    let sync = |n: usize| samples.sync.as_ref().is_none_or(|sync| sync.contains(&(n as u32)));
    let row = |(n, sample): (usize, &media::mp4::Sample)| {
        (sample.pts(), sample.dts, sample.size, sample.offset, sync(n))
    };
    samples.list.iter().enumerate().map(row).collect()
}

/// A source for each way to write it, made once. The clock begins before zero, at zero and behind it.
static ALL: LazyLock<(tempfile::TempDir, Vec<PathBuf>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let list = all(dir.path());
    (dir, list)
});

fn all(dir: &Path) -> Vec<PathBuf> {
    let x264 = "-c:v libx264 -preset veryfast -c:a aac -g 25";
    let sources = [
        source(dir, "plain.mp4", "25", 6.0, &format!("{x264} -bf 0")),
        source(dir, "b.mp4", "30000/1001", 6.0, &format!("{x264} -bf 3")),
        source(dir, "open.mp4", "25", 6.0, &format!("{x264} -x264-params open-gop=1:bframes=3:scenecut=0")),
        source(dir, "silent.mp4", "24", 6.0, &format!("{x264} -bf 2 -an")),
    ];
    let mut list = Vec::new();
    for path in sources {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for (number, flags) in MUXERS.iter().enumerate() {
            let name = format!("{stem}-{number}.mp4");
            list.push(remake(&path, &name, "", &format!("-c copy -movflags {flags}")));
        }
        let late = format!("-c copy -movflags {}", MUXERS[5]);
        list.push(remake(&path, &format!("{stem}-late.mp4"), "-itsoffset 1.3", &late));
        let short = format!("-c copy -frag_duration 300000 -movflags {}", MUXERS[2]);
        list.push(remake(&path, &format!("{stem}-short.mp4"), "", &short));
    }
    list
}

#[tokio::test]
async fn samples_are_those_that_ffprobe_sees() {
    for path in &ALL.1 {
        let index = index(path, Part::Whole).await;
        let name = path.file_name().unwrap().display();
        for (stream, track) in [("v", &index.video), ("a", &index.audio)] {
            let wanted = packets(path, stream);
            assert_eq!(wanted.is_empty(), track.is_none(), "{name} {stream}");
            if let Some(track) = track {
                let found = samples(track);
                let differs = found.iter().zip(&wanted).position(|(a, b)| a != b);
                assert_eq!(differs.map(|n| (n, found[n], wanted[n])), None, "{name} {stream}");
                assert_eq!(found.len(), wanted.len(), "{name} {stream}");
            }
        }
    }
}

#[tokio::test]
async fn a_span_reads_its_own_fragments_and_finds_the_same() {
    let spans = [span(0, 400), span(1_500, 4_250), span(3_000, 3_500), span(5_310, 6_900)];
    for path in &ALL.1 {
        let whole = index(path, Part::Whole).await;
        let name = path.file_name().unwrap().display();
        for span in spans {
            let part = index(path, Part::Span(span)).await;
            let (a, b) = (SpanFile::plan(&whole, span, BOTH), SpanFile::plan(&part, span, BOTH));
            let told = |plan: Result<SpanFile, _>| plan.map(|plan| (plan.frames, plan.origin, plan.ranges));
            assert_eq!(told(a), told(b), "{name} {span:?}");
        }
        let told = index(path, Part::Description).await.info();
        let off = told.duration.0.abs_diff(whole.duration().0);
        assert!(off < 100_000, "{name}: {} and {}", told.duration, whole.duration());
        assert_eq!((told.picture, told.has_audio), (whole.info().picture, whole.info().has_audio), "{name}");
    }
}

#[tokio::test]
async fn pictures_are_identical_to_the_whole_files() {
    for path in ALL.1.iter().skip(MUXERS.len() + 2).step_by(3) {
        for span in [span(1_200, 1_700), span(2_500, 4_250)] {
            same_pictures(path, span).await;
        }
    }
}

#[tokio::test]
async fn what_a_span_costs() {
    let dir = tempfile::tempdir().unwrap();
    let options = "-c:v libx264 -preset ultrafast -crf 4 -g 25 -bf 2 -c:a aac";
    let base = source(dir.path(), "base.mp4", "25", 60.0, options);
    let span = span(30_500, 32_500);
    for (flags, reads, told) in [
        ("frag_keyframe+dash+global_sidx", 12, 3),
        ("frag_keyframe+empty_moov+default_base_moof", 13, 4),
        // Without any index each fragment is looked at.
        ("frag_keyframe+dash+delay_moov+skip_trailer", 64, 64),
    ] {
        let path = remake(&base, "f.mp4", "", &format!("-c copy -movflags {flags}"));
        let file = Counting::open(&path);
        let index = Index::read_part(&file, Part::Span(span)).await.unwrap();
        let (count, bytes) = file.read();
        assert!(count <= reads, "{flags}: {count} reads");
        assert!(bytes <= (64 << 10) + count * (5 << 10) + (16 << 10), "{flags}: {bytes} bytes");
        let plan = SpanFile::plan(&index, span, BOTH).unwrap();
        let fetched: u64 = plan.ranges.iter().map(|range| range.end - range.start).sum();
        let share = fetched as f64 / file.len() as f64;
        assert!(share > 2.0 / 60.0 && share < 3.0 / 60.0 * 1.15, "{flags}: {share:.3} of the file");
        let file = Counting::open(&path);
        let info = Index::read_part(&file, Part::Description).await.unwrap().info();
        assert!(info.duration.0.abs_diff(60_000_000) < 100_000, "{flags}: {}", info.duration);
        assert!(file.read().0 <= told, "{flags}: {} reads", file.read().0);
    }
}
