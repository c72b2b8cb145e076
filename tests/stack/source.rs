//! Sources that ffmpeg makes once per run, and the frames of a file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use devstack::fileserver::{Behaviour, FileServer};

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
static MADE: LazyLock<Mutex<HashMap<String, PathBuf>>> = LazyLock::new(Mutex::default);

/// A test picture of `size` at `rate`, whose every frame looks different, with a tone: `seconds` long.
pub(crate) fn lavfi(size: &str, rate: &str, seconds: u32) -> String {
    format!(
        "-f lavfi -i testsrc2=size={size}:rate={rate}:duration={seconds} \
         -f lavfi -i sine=frequency=440:sample_rate=48000:duration={seconds}"
    )
}

/// The usual source: 8 s of 320×180 at 30 frames a second with sound, a key frame every 2 s.
pub(crate) fn usual() -> PathBuf {
    let input = lavfi("320x180", "30", 8);
    made(
        "usual.mp4",
        &format!(
            "{input} -c:v libx264 -preset ultrafast -g 60 -pix_fmt yuv420p -c:a aac -movflags +faststart"
        ),
    )
}

/// Makes `name` with ffmpeg, unless this run has made it before.
pub(crate) fn made(name: &str, arguments: &str) -> PathBuf {
    // A source that could not be made fails its own test only.
    let mut made = MADE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let make = || {
        let path = FOLDER.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ffmpeg(&format!("{arguments} {}", path.display()));
        path
    };
    made.entry(name.to_owned()).or_insert_with(make).clone()
}

/// Runs ffmpeg with these words.
pub(crate) fn ffmpeg(arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .output();
    let output = output.expect("ffmpeg is missing: run the tests with `cargo xtask test`");
    assert!(output.status.success(), "ffmpeg {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Asks ffprobe for one kind of value of the first stream of a kind (`v` or `a`), a line each.
pub(crate) fn ffprobe(path: &Path, stream: &str, entries: &str) -> Vec<String> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", &format!("{stream}:0"), "-show_entries", entries])
        .args(["-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Serves a file as a good web server does.
pub(crate) async fn served(path: &Path) -> FileServer {
    FileServer::start(path, Behaviour::Ranges).await.unwrap()
}

const SIDE: (usize, usize) = (64, 36);

/// A frame, small and grey.
pub(crate) type Frame = Vec<u8>;

/// Every frame of a file as it is shown, small and grey, in order of presentation.
pub(crate) fn frames(path: &Path) -> Vec<Frame> {
    let (width, height) = SIDE;
    let raw = ffmpeg(&format!(
        "-i {} -map 0:v:0 -vsync passthrough -vf scale={width}:{height}:flags=area,format=gray -f rawvideo -",
        path.display()
    ));
    raw.chunks(width * height).map(<[u8]>::to_vec).collect()
}

/// How far two frames are apart: the mean difference of their pixels, of 255.
pub(crate) fn distance(a: &Frame, b: &Frame) -> f64 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}
