//! Making sources: FFmpeg's words, and what is done to a file's bytes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// How long each source is, in seconds.
pub(crate) const SECONDS: f64 = 12.0;

/// Where all sources come from: numbered frames, 30 a second, and the chirp, both without loss.
pub(crate) fn base(folder: &Path) {
    let picture = format!("{}[v]", crate::kit::numbered("30", SECONDS));
    let sound = format!("{},aformat=channel_layouts=stereo[a]", crate::kit::chirp(SECONDS));
    let graph = format!("{picture};{sound}");
    let mut args: Vec<&str> = vec!["-filter_complex", &graph, "-map", "[v]", "-map", "[a]"];
    args.extend("-c:v ffv1 -c:a pcm_s16le -f matroska".split(' '));
    let path = folder.join("base");
    args.push(path.to_str().unwrap());
    ffmpeg(&args, None);
    // What is copied into many containers is encoded once.
    let words = format!("{X264} -c:a aac -f matroska");
    ffmpeg(&with(&format!("-i {} {words}", path.display()), &folder.join("coded")), None);
}

/// The usual picture: a group of two seconds, and pictures that are decoded in another order than shown.
pub(crate) const X264: &str =
    "-c:v libx264 -preset ultrafast -crf 18 -bf 2 -g 60 -sc_threshold 0 -pix_fmt yuv420p";

/// Makes `out` by FFmpeg's words, in which `BASE` and `CODED` stand for the common sources and `DIR` for the case's folder.
/// With `PIPE` in front FFmpeg writes to a pipe, where it cannot go back to tell the length.
pub(crate) fn by(words: &str, out: &Path) {
    let dir = out.parent().unwrap();
    let common = dir.parent().unwrap();
    let place = |name: &str| common.join(name).display().to_string();
    let words = words
        .replace("BASE", &format!("-i {}", place("base")))
        .replace("CODED", &format!("-i {}", place("coded")))
        .replace("DIR", &dir.display().to_string());
    match words.strip_prefix("PIPE ") {
        Some(words) => ffmpeg(
            &[words.split_whitespace().map(str::to_owned).collect(), vec!["-".to_owned()]].concat(),
            Some(out),
        ),
        None => ffmpeg(&with(&words, out), None),
    }
}

fn with(words: &str, out: &Path) -> Vec<String> {
    words.split_whitespace().map(str::to_owned).chain([out.display().to_string()]).collect()
}

/// Runs FFmpeg, whose warnings are of no interest here.
fn ffmpeg<S: AsRef<std::ffi::OsStr>>(args: &[S], to: Option<&Path>) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(args);
    let output = command.output().unwrap();
    let words: Vec<_> = args.iter().map(AsRef::as_ref).collect();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    if let Some(path) = to {
        std::fs::write(path, output.stdout).unwrap();
    }
}

/// A file beside `path`.
pub(crate) fn beside(path: &Path, name: &str) -> PathBuf {
    path.with_file_name(name)
}

/// Changes a file's bytes.
pub(crate) fn change(path: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, change(bytes)).unwrap();
}

/// Replaces the first `from` in a file.
pub(crate) fn replace(path: &Path, from: &[u8], to: &[u8]) {
    change(path, |mut bytes| {
        let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
        bytes.splice(at..at + from.len(), to.iter().copied());
        bytes
    });
}
