//! What the local cloud runs with: ministack, and what the functions' container brings along.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Entry, Models, models, python, system};

/// Python with ministack, the local cloud's Lambda, API Gateway and so on. Answers the folder of its programs.
pub fn ministack(root: &Path) -> anyhow::Result<PathBuf> {
    python::environment("ministack", &root.join("infra/devstack/requirements.txt"), "the local cloud")
}

/// yt-dlp reads web pages. What the functions' container has is what they have here. Answers the folder of its programs.
pub fn yt_dlp(root: &Path) -> anyhow::Result<PathBuf> {
    python::environment("yt-dlp", &yt_dlp_list(root), "yt-dlp")
}

fn yt_dlp_list(root: &Path) -> PathBuf {
    root.join("functions/media/requirements.txt")
}

/// Models that functions run. Answers the folder of their files.
pub fn models(models: Models) -> anyhow::Result<PathBuf> {
    models::get(models)
}

/// The folder of models that are there.
pub fn models_found(models: Models) -> anyhow::Result<Option<PathBuf>> {
    Ok(models::entry(models)?.found())
}

/// The ffmpeg and ffprobe of the functions' container, built as there. Where that is not possible, nothing: the
/// machine's own do, which can more and start more slowly. Answers the folder of the programs.
pub fn ffmpeg(root: &Path) -> anyhow::Result<Option<PathBuf>> {
    if !system::may_install() {
        system::say("the image's FFmpeg can be built as root on Debian only; the system's is used");
        return Ok(None);
    }
    let folder = ffmpeg_entry(root)?.get(|folder| {
        let mut build = Command::new(root.join("functions/media/ffmpeg/build.sh"));
        system::run(build.arg(folder), "building the image's FFmpeg (once, a few minutes)")
    })?;
    Ok(Some(folder.join("bin")))
}

/// It is linked with this Debian's libraries.
fn ffmpeg_entry(root: &Path) -> anyhow::Result<Entry> {
    let recipe = root.join("functions/media/ffmpeg");
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let entry = Entry::new("ffmpeg")?.text(std::env::consts::ARCH).text(&system);
    entry.file(&recipe.join("options.txt"))?.file(&recipe.join("build.sh"))
}

/// The folders of those of the container's programs that are there: they come before the machine's own in `PATH`.
pub fn of_container(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = [ffmpeg_entry(root)?, python::entry("yt-dlp", &yt_dlp_list(root))?];
    Ok(entries.iter().filter_map(Entry::found).map(|folder| folder.join("bin")).collect())
}
