//! Files made to hurt: every one ends in an error or a valid index, in bounded time and memory.

#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
#[path = "../kit/mod.rs"]
mod kit;

use std::time::{Duration, Instant};

use cases::{BOXES, End, FRAGMENTED, FRAGMENTS, TABLES};
use domain::{cut::Span, time::MediaTime};
use kit::{
    BOTH, Memory,
    muxer::{Layout, Map, fragmented, plain, small},
    span,
};
use media::mp4::{Index, IndexError, Part, SpanError, SpanFile};

/// Whatever a file says, reading it takes no longer, on a slow machine and without optimisation.
const TIME_MAX: Duration = Duration::from_secs(20);

/// The largest of these files is 50 MB; a hundred times more is asked for by some.
const MEMORY_MAX_KIB: u64 = 256 << 10;

type Outcome = Result<Index, IndexError<&'static str>>;

fn end(outcome: &Outcome) -> End {
    let aside = |index: &Index| index.video.as_ref().is_some_and(|track| track.samples.is_err());
    match outcome {
        Ok(index) if aside(index) => End::Whole,
        Ok(_) => End::Valid,
        Err(IndexError::Malformed(_)) => End::Malformed,
        Err(IndexError::Truncated { .. }) => End::Truncated,
        Err(IndexError::Unsupported(_)) => End::Unsupported,
        Err(error) => panic!("{error:?}"),
    }
}

/// Reads a file in every way, and plans spans of what comes out.
async fn read(bytes: Vec<u8>) -> Outcome {
    let len = bytes.len() as u64;
    let file = Memory(bytes);
    let spans = [span(0, 400), span(300, 700), Span { start: MediaTime(0), end: MediaTime(i64::MAX) }];
    let parts = spans.map(Part::Span).into_iter().chain([Part::Description]);
    for part in parts {
        if let Ok(index) = Index::read_part(&file, part).await {
            plan(&index, &spans, len);
        }
    }
    let whole = Index::read(&file).await;
    whole.inspect(|index| plan(index, &spans, len))
}

fn plan(index: &Index, spans: &[Span], len: u64) {
    let _ = index.info();
    for span in spans {
        match SpanFile::plan(index, *span, BOTH) {
            Ok(plan) => {
                let fetched: u64 = plan.ranges.iter().map(|range| range.end - range.start).sum();
                assert!(plan.ranges.iter().all(|range| range.start < range.end));
                assert!(plan.ranges.last().unwrap().end <= len && fetched <= len);
                assert_eq!(plan.bytes_total, fetched + plan.header.len() as u64);
            }
            Err(SpanError::Nothing | SpanError::NoFrame | SpanError::Unsupported(_)) => {}
        }
    }
}

/// Kilobytes of memory that this process has used at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn files_made_to_hurt() {
    let mut wrong = Vec::new();
    for &(name, make, expected) in [TABLES, BOXES, FRAGMENTS].into_iter().flatten() {
        let file = make();
        let size = file.len();
        let begun = Instant::now();
        let outcome = read(file).await;
        let (took, memory) = (begun.elapsed(), peak());
        if end(&outcome) != expected {
            wrong.push(format!("{name}: {:?}, not {expected:?}", end(&outcome)));
        }
        assert!(took < TIME_MAX, "{name} took {took:?}");
        assert!(memory < MEMORY_MAX_KIB, "{name} took {memory} KiB for a file of {size} bytes");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn a_file_that_ends_anywhere() {
    let layouts = [Map::Sidx, Map::Mfra, Map::None].map(|map| Layout { map, ..FRAGMENTED });
    let files = layouts.map(|layout| fragmented(&small(), layout)).into_iter().chain([plain(&small())]);
    for file in files {
        assert_eq!(end(&read(file.clone()).await), End::Valid);
        for len in 0..file.len() {
            match read(file[..len].to_vec()).await {
                Ok(_) | Err(IndexError::Malformed(_) | IndexError::Truncated { .. }) => {}
                Err(IndexError::NotIsoBmff) => assert!(len < 8, "{len}"),
                Err(error) => panic!("{len}: {error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_file_whose_every_word_lies() {
    let spans = [span(300, 700)];
    for map in [Map::Sidx, Map::Mfra] {
        let file = fragmented(&small(), Layout { map, ..FRAGMENTED });
        for at in 0..file.len() - 4 {
            for value in [0u32, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
                let mut changed = file.clone();
                changed[at..at + 4].copy_from_slice(&value.to_be_bytes());
                let changed = Memory(changed);
                for part in [Part::Whole, Part::Span(spans[0])] {
                    if let Ok(index) = Index::read_part(&changed, part).await {
                        plan(&index, &spans, file.len() as u64);
                    }
                }
            }
        }
    }
}
