//! The index of a video is read once, however many clips are cut from it.

use std::ops::Range;
use std::path::{Path, PathBuf};

use devstack::fileserver::FileServer;
use domain::download::DownloadSpec;
use domain::job::Job;
use domain::money::Amount;
use serde_json::json;

use crate::stack::cloud::now;
use crate::stack::queue::{accept_job, accepted};
use crate::stack::source::{ffprobe, lavfi, made, served};
use crate::stack::{Account, cloud};

/// What every job reads of a source to know what it is.
const HEAD: u64 = 16 << 10;

/// Where the `moov` of a file lies (ISO/IEC 14496-12, 4.2).
fn moov(path: &Path) -> Range<u64> {
    let bytes = std::fs::read(path).unwrap();
    let mut at = 0;
    loop {
        let field = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if &bytes[at + 4..at + 8] == b"moov" {
            return at as u64..(at + field(at)) as u64;
        }
        at += field(at);
    }
}

/// Cuts a clip. Gives how often some of `place` was asked for, and how many bytes were in all.
async fn cut(account: &Account, server: &FileServer, span: Range<u32>, place: &Range<u64>) -> (usize, u64) {
    account.clip(&json!({ "url": server.url(), "start": span.start, "end": span.end })).await;
    let ranges = server.take_ranges();
    let touching = ranges.iter().filter(|range| range.start < place.end && place.start < range.end);
    (touching.count(), ranges.iter().map(|range| range.end - range.start).sum())
}

/// Bytes of the packets from the last key frame at or before `start` until `end`.
fn own_bytes(path: &Path, start: f64, end: f64) -> u64 {
    let of = |stream: &str, key_frames: bool| {
        let packets: Vec<(f64, u64, bool)> = ffprobe(path, stream, "packet=pts_time,size,flags")
            .iter()
            .map(|line| {
                let field: Vec<&str> = line.split(',').collect();
                (field[0].parse().unwrap(), field[1].parse().unwrap(), field[2].starts_with('K'))
            })
            .collect();
        let starts = packets.iter().filter(|(at, _, key)| *at <= start && (*key || !key_frames));
        let from = starts.map(|packet| packet.0).fold(f64::MIN, f64::max);
        packets.iter().filter(|(at, ..)| *at >= from && *at < end).map(|packet| packet.1).sum::<u64>()
    };
    of("v", true) + of("a", false)
}

/// A file with its index at the end, which is larger than a look.
fn long(name: &str) -> (PathBuf, Range<u64>) {
    let input = lavfi("320x180", "30", 150);
    let video = "-c:v libx264 -preset ultrafast -b:v 2M -minrate 2M -maxrate 2M -bufsize 2M -x264-params nal-hrd=cbr -g 30 -c:a aac";
    let path = made(name, &format!("{input} {video}"));
    let place = moov(&path);
    assert!(place.start > HEAD && place.end - place.start > 2 * HEAD);
    (path, place)
}

/// What the acceptance has kept of the index is gone when the job begins: it is read and kept again.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_lost_is_kept_again() {
    let (path, place) = long("lost.mp4");
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&path).await;
    let like = accepted(&account, server.url());
    let spec = DownloadSpec::new(server.url(), None, None, false).unwrap();
    let (source, price) = (like.source, (like.price_book, Amount::cents(5)));
    let job = Job::accepted(like.id, account.id.clone(), spec, source, price, now());
    let job = accept_job(&account, job, 5).await;
    assert!(cloud().table().set_due(&job.id, now().plus_ms(-1)).await.unwrap());
    cloud().invoke("SweepFunction", &json!({})).await;
    let answer = account.finish(&job.id).await;
    assert_eq!((&answer["status"], &answer["method"]), (&json!("complete"), &json!("copy")), "{answer}");
    drop(server.take_ranges());
    let (reads, _) = cut(&account, &server, 20..21, &place).await;
    assert_eq!(reads, 0, "a clip of the same file reads none of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_read_once() {
    let (path, place) = long("twice.mp4");
    let account = cloud().account(Amount::cents(100)).await;
    let server = served(&path).await;

    let (reads, _) = cut(&account, &server, 20..21, &place).await;
    assert!((1..=2).contains(&reads), "the look reads the index, the job does not: {reads}");
    let (reads, bytes) = cut(&account, &server, 60..120, &place).await;
    assert_eq!(reads, 0, "the second clip reads none of it");
    let own = own_bytes(&path, 60.0, 120.0);
    assert!(bytes * 100 <= own * 105, "{bytes} bytes for {own} of the clip");

    // Another version of the file has another index.
    let file = std::fs::File::options().append(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(7)).unwrap();
    let (reads, _) = cut(&account, &server, 20..21, &place).await;
    assert!((1..=2).contains(&reads), "{reads} reads of a new version's index");
}
