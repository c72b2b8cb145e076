//! The methods that are compared: ours, and what else a person could use.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::corpus::Case;
use crate::measure::{self, Cost, Sampling};
use crate::server::Server;
use crate::stack::Cloud;

/// The engine as a program: what the ratios are against.
pub(crate) const OURS: &str = "ours";
/// Our engine, when the video was cut before.
pub(crate) const CACHED: &str = "ours-cached";

/// A way to make a clip.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    how: How,
}

#[derive(Debug)]
enum How {
    /// One program.
    Command(fn(&Setup, &Job<'_>) -> Command),
    /// A request to the whole local stack.
    Stack,
}

/// What the methods need.
#[derive(Debug)]
pub(crate) struct Setup {
    /// This program.
    pub(crate) exe: PathBuf,
    /// The programs of the peers' Python environment.
    pub(crate) venv: PathBuf,
    /// The programs of the image, as far as they are there.
    pub(crate) tools: Option<PathBuf>,
    /// A script that is called as `python FILE URL START END OUT`.
    pub(crate) prototype: Option<PathBuf>,
    /// The local cloud, if the whole stack is measured.
    pub(crate) cloud: Option<Cloud>,
}

/// A clip to make.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) case: &'a Case,
    pub(crate) url: &'a str,
    pub(crate) out: &'a Path,
}

/// What one run cost. CPU and memory of the stack cannot be told: its processes also serve others, and outlive it.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Run {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: Option<f64>,
    pub(crate) memory_bytes: Option<u64>,
    /// Bytes of bodies that the source's server sent.
    pub(crate) bytes_read: u64,
}

const METHODS: [Method; 10] = [
    Method {
        name: OURS,
        about: "the engine alone, as a program (`bench cut`), with the image's FFmpeg",
        how: How::Command(ours),
    },
    Method {
        name: "ours-system",
        about: "the same, with the system's FFmpeg, which the others use too",
        how: How::Command(ours_system),
    },
    Method {
        name: CACHED,
        about: "ours, with the index kept from an earlier clip of the video",
        how: How::Command(ours_cached),
    },
    Method {
        name: "ours-stack",
        about: "the whole local stack, from `POST /v1/clip` to `complete`",
        how: How::Stack,
    },
    Method { name: "copy", about: "`ffmpeg -ss S -i URL -t D -c copy`", how: How::Command(copy) },
    Method {
        name: "veryfast",
        about: "`ffmpeg -ss S -i URL -t D -c:v libx264 -preset veryfast -crf 20 -c:a aac`",
        how: How::Command(veryfast),
    },
    Method {
        name: "download",
        about: "`curl` the whole file, then `-c copy` of it: the least that downloading first costs",
        how: How::Command(download),
    },
    Method { name: "smartcut", about: "smartcut from PyPI, `--keep S,E`", how: How::Command(smartcut) },
    Method {
        name: "yt-dlp",
        about: "yt-dlp from PyPI, `--download-sections *S-E --force-keyframes-at-cuts`",
        how: How::Command(yt_dlp),
    },
    Method { name: "prototype", about: "the script given by `--prototype`", how: How::Command(prototype) },
];

/// The names of all methods.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|method| method.name)
}

/// The methods that can be run with this setup, ours first.
pub(crate) fn available(setup: &Setup) -> Vec<&'static Method> {
    let can = |method: &&Method| match method.name {
        "prototype" => setup.prototype.is_some(),
        _ => !matches!(method.how, How::Stack) || setup.cloud.is_some(),
    };
    METHODS.iter().filter(can).collect()
}

impl Method {
    /// Makes the clip once, with nothing left of an earlier run.
    pub(crate) fn run(
        &self,
        setup: &Setup,
        job: &Job<'_>,
        server: &Server,
        sampling: Sampling,
    ) -> anyhow::Result<Run> {
        if job.out.exists() {
            std::fs::remove_file(job.out)?;
        }
        let sent = server.bytes();
        let (wall_s, cpu_s, memory_bytes) = match &self.how {
            How::Stack => {
                let cloud = setup.cloud.as_ref().context("there is no local cloud")?;
                (cloud.clip(job)?, None, None)
            }
            How::Command(command) => {
                let log = job.out.with_extension("log");
                let Cost { wall_s, cpu_s, memory_bytes } =
                    measure::run(&mut command(setup, job), &log, sampling)?;
                (wall_s, Some(cpu_s), Some(memory_bytes))
            }
        };
        anyhow::ensure!(job.out.is_file(), "it ended well, but left no clip");
        Ok(Run { wall_s, cpu_s, memory_bytes, bytes_read: server.bytes() - sent })
    }
}

/// Seconds as all of the programs read them.
fn seconds(time: f64) -> String {
    format!("{time:.3}")
}

fn ours_system(setup: &Setup, job: &Job<'_>) -> Command {
    let mut command = Command::new(&setup.exe);
    command.args(["cut", job.url, &seconds(job.case.start), &seconds(job.case.end)]).arg(job.out);
    command
}

fn ours(setup: &Setup, job: &Job<'_>) -> Command {
    let mut command = ours_system(setup, job);
    let own = std::env::var_os("PATH").unwrap_or_default();
    let folders = setup.tools.iter().cloned().chain(std::env::split_paths(&own));
    // What cannot be put into one PATH is not looked into.
    command.env("PATH", std::env::join_paths(folders).unwrap_or(own));
    command
}

/// The index lies beside the clips; what the first run keeps there, the others find.
fn ours_cached(setup: &Setup, job: &Job<'_>) -> Command {
    let index = job.out.with_file_name(format!("{}.index", job.case.name));
    let mut command = ours(setup, job);
    command.arg("--index").arg(&index);
    if !index.exists() {
        // A failure shows in the run that is measured.
        let _ =
            ours(setup, job).arg("--index").arg(index).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    command
}

/// The beginning that all of `ffmpeg`'s ways have in common.
fn ffmpeg(case: &Case, input: &str) -> Command {
    let mut command = Command::new("ffmpeg");
    let length = seconds(case.end - case.start);
    command.args(["-v", "error", "-nostdin", "-y", "-ss", &seconds(case.start), "-i", input, "-t", &length]);
    command
}

fn copy(_: &Setup, job: &Job<'_>) -> Command {
    let mut command = ffmpeg(job.case, job.url);
    command.args(["-c", "copy"]).arg(job.out);
    command
}

fn veryfast(_: &Setup, job: &Job<'_>) -> Command {
    let mut command = ffmpeg(job.case, job.url);
    command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-c:a", "aac"]).arg(job.out);
    command
}

fn download(_: &Setup, job: &Job<'_>) -> Command {
    let script = r#"curl -sSf -o "$1" "$2" && ffmpeg -v error -nostdin -y -ss "$3" -i "$1" -t "$4" -c copy "$5" && rm "$1""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(job.out.with_extension("whole")).arg(job.url);
    command.args([seconds(job.case.start), seconds(job.case.end - job.case.start)]).arg(job.out);
    command
}

fn smartcut(setup: &Setup, job: &Job<'_>) -> Command {
    let mut command = Command::new(setup.venv.join("smartcut"));
    command.arg(job.url).arg(job.out).arg("--keep");
    command.arg(format!("{},{}", seconds(job.case.start), seconds(job.case.end)));
    command
}

fn yt_dlp(setup: &Setup, job: &Job<'_>) -> Command {
    let mut command = Command::new(setup.venv.join("yt-dlp"));
    let section = format!("*{}-{}", seconds(job.case.start), seconds(job.case.end));
    command.args([
        "--ignore-config",
        "--quiet",
        "--force-keyframes-at-cuts",
        "--download-sections",
        &section,
    ]);
    command.args(["--force-overwrites", "--output"]).arg(job.out).arg(job.url);
    command
}

fn prototype(setup: &Setup, job: &Job<'_>) -> Command {
    let mut command = Command::new(setup.venv.join("python"));
    command.args(setup.prototype.as_deref()).arg(job.url);
    command.args([seconds(job.case.start), seconds(job.case.end)]).arg(job.out);
    command
}
