//! Streams whose groups of pictures are open: behind a key frame come pictures that need the group before.

use std::path::{Path, PathBuf};

use crate::stack::exact::check_from;
use crate::stack::source::{lavfi, made, served};

/// 12 s with a key frame every 2 s, of which only the first closes its group.
fn base(name: &str, codec: &str) -> PathBuf {
    let words = format!("{} {codec} -pix_fmt yuv420p -c:a aac", lavfi("320x180", "30", 12));
    made(&format!("open/{name}.mp4"), &words)
}

const X264: &str =
    "-c:v libx264 -preset veryfast -x264-params open-gop=1:keyint=60:min-keyint=60:scenecut=0:bframes=3";
const X265: &str = "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params open-gop=1:keyint=60:min-keyint=60:scenecut=0:bframes=3:log-level=none";

fn hls(base: &Path, name: &str, options: &str) -> PathBuf {
    let words = format!("-i {} -c copy -f hls -hls_time 2 -hls_playlist_type vod {options}", base.display());
    made(&format!("{name}/index.m3u8"), &words)
}

/// A span that begins and ends within groups, one that begins at a key frame, the ends of the video.
const SPANS: [(f64, f64); 5] = [(5.017, 7.83), (4.0, 6.0), (3.95, 4.4), (0.0, 1.55), (10.22, 12.0)];

async fn all_are_exact(name: &str, playlist: &Path, reference: &Path) {
    let server = served(playlist).await;
    for (start, end) in SPANS {
        check_from(&server, name, reference, start, end).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_in_fragments() {
    let base = base("hevc", X265);
    all_are_exact("open hevc", &hls(&base, "open-hevc", "-hls_segment_type fmp4 -tag:v hvc1"), &base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_in_fragments() {
    let base = base("h264", X264);
    all_are_exact("open h264", &hls(&base, "open-h264", "-hls_segment_type fmp4"), &base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h264_in_transport_streams() {
    let base = base("h264", X264);
    all_are_exact("open ts", &hls(&base, "open-ts", ""), &base).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hevc_in_transport_streams() {
    let base = base("hevc", X265);
    all_are_exact("open hevc ts", &hls(&base, "open-hevc-ts", ""), &base).await;
}
