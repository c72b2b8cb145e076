//! `bench gif`: how large GIFs become and how near they stay to their source, beside FFmpeg's best and gifski.
//!
//! Gifski is a program of its own, compared with where it is installed (`cargo install gifski`); nothing of it is part of
//! the product.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use domain::cut::Span;
use domain::quality::{Format, Quality};
use domain::time::MediaTime;
use lexopt::prelude::*;
use media::engine::{self, Cut};
use media::ffmpeg::Tools;

use crate::say;

/// Pictures a second of all.
const RATE: u32 = 15;

/// What becomes a GIF: two seconds each, at 720p.
const SOURCES: [(&str, &str); 4] = [
    ("screen", "testsrc2=s=1280x720:r=30:d=4"),
    ("film", "mandelbrot=s=1280x720:r=30:start_scale=2:end_scale=0.05:maxiter=300"),
    ("noise", "testsrc2=s=1280x720:r=30:d=4,noise=alls=12:allf=t"),
    ("still", "smptehdbars=s=1280x720:r=30:d=4,noise=alls=4:allf=t"),
];

struct Row {
    source: String,
    method: &'static str,
    bytes: u64,
    seconds: f64,
    psnr: f64,
}

pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut folder, mut gifski, mut video, mut json) = (None, None, None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("folder") => folder = Some(PathBuf::from(arguments.value()?)),
            Long("gifski") => gifski = Some(PathBuf::from(arguments.value()?)),
            Long("video") => video = Some(PathBuf::from(arguments.value()?)),
            Long("json") => json = Some(PathBuf::from(arguments.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let folder = folder.context("--folder is missing")?;
    std::fs::create_dir_all(&folder)?;
    let mut sources = Vec::new();
    for (name, graph) in SOURCES {
        let path = folder.join(format!("{name}.mp4"));
        let words =
            format!("-f lavfi -i {graph} -t 4 -c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p");
        ffmpeg(&words, &path)?;
        sources.push((name.to_owned(), path));
    }
    if let Some(video) = video {
        sources.push(("video".to_owned(), video));
    }
    let mut rows = Vec::new();
    for (name, path) in &sources {
        // What all are compared with.
        let wanted = folder.join("wanted.mkv");
        let scale = "scale=-2:'min(720,ih)'";
        ffmpeg(&format!("-ss 1 -t 2 -i {} -an -vf fps={RATE},{scale} -c:v ffv1", path.display()), &wanted)?;
        for (method, out) in [("ours", "ours.gif"), ("ffmpeg", "ffmpeg.gif"), ("gifski", "gifski.gif")] {
            let out = folder.join(out);
            let begun = Instant::now();
            match method {
                "ours" => ours(path, &out, &folder)?,
                "ffmpeg" => best_of_ffmpeg(&wanted, &out)?,
                _ => {
                    let Some(gifski) = &gifski else { continue };
                    of_gifski(gifski, &wanted, &out, &folder)?;
                }
            }
            let seconds = begun.elapsed().as_secs_f64();
            let bytes = std::fs::metadata(&out)?.len();
            rows.push(Row { source: name.clone(), method, bytes, seconds, psnr: psnr(&out, &wanted)? });
        }
    }
    tell(&rows)?;
    if let Some(json) = json {
        let rows = rows.iter().map(|row| {
            serde_json::json!({ "source": row.source, "method": row.method, "bytes": row.bytes, "seconds": row.seconds, "psnr": row.psnr })
        });
        std::fs::write(json, serde_json::to_vec_pretty(&rows.collect::<Vec<_>>())?)?;
    }
    Ok(())
}

fn tell(rows: &[Row]) -> anyhow::Result<()> {
    let mut table = String::from("| source | method | kB | s | PSNR in dB |\n|---|---|--:|--:|--:|\n");
    for Row { source, method, bytes, seconds, psnr } in rows {
        table.push_str(&format!("| {source} | {method} | {} | {seconds:.1} | {psnr:.1} |\n", bytes / 1000));
    }
    say::answer(&table)
}

fn ours(path: &Path, out: &Path, folder: &Path) -> anyhow::Result<()> {
    let job = Cut {
        input: path,
        origin: MediaTime::ZERO,
        span: Span { start: MediaTime(1_000_000), end: MediaTime(3_000_000) },
        pace: None,
        format: Format::Gif,
        quality: Quality::P720,
        audio: None,
        bytes_max: None,
        encode: false,
        out_dir: folder,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let output = runtime.block_on(engine::cut(&Tools::default(), &job, &|_| {}))?;
    std::fs::rename(output.media, out)?;
    Ok(())
}

/// A palette for what changes, and the dithering that looks best.
fn best_of_ffmpeg(wanted: &Path, out: &Path) -> anyhow::Result<()> {
    let graph =
        "split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=sierra2_4a:diff_mode=rectangle";
    ffmpeg(&format!("-i {} -filter_complex {graph}", wanted.display()), out)
}

fn of_gifski(gifski: &Path, wanted: &Path, out: &Path, folder: &Path) -> anyhow::Result<()> {
    let frames = folder.join("frames");
    std::fs::create_dir_all(&frames)?;
    ffmpeg(&format!("-i {}", wanted.display()), &frames.join("%04d.png"))?;
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&frames)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    names.sort();
    let mut command = Command::new(gifski);
    command.args(["--quiet", "--fps", &RATE.to_string(), "-W", "4096", "-o"]).arg(out).args(&names);
    let status = command.status().context("cannot run gifski")?;
    ensure!(status.success(), "gifski failed");
    std::fs::remove_dir_all(&frames)?;
    Ok(())
}

/// How near a GIF is to its source.
fn psnr(gif: &Path, wanted: &Path) -> anyhow::Result<f64> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-i"])
        .arg(gif)
        .arg("-i")
        .arg(wanted)
        .args([
            "-lavfi",
            "[0:v]fps=15,format=yuv444p[a];[1:v]fps=15,format=yuv444p[b];[a][b]psnr",
            "-f",
            "null",
            "-",
        ])
        .output()
        .context("cannot run ffmpeg")?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let average = words.split("average:").nth(1).and_then(|rest| rest.split_whitespace().next());
    average.and_then(|value| value.parse().ok()).with_context(|| format!("no PSNR: {words}"))
}

fn ffmpeg(words: &str, out: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-y"]).args(words.split_whitespace()).arg(out);
    let output = command.output().context("cannot run ffmpeg")?;
    if !output.status.success() {
        bail!("ffmpeg {words}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
