//! `cargo xtask image`: builds the images of the areas that have one, says what they weigh, and runs the functions in them.
//!
//! They run as on Lambda: in the image's own files, which nothing can be written to, as a user that it does not know, behind
//! the Runtime API of the local cloud (`infra/devstack/sandbox.sh`). So a library, a certificate or a folder that is missing
//! in the image is found here.
//!
//! That of `media` has one layer each for FFmpeg, for yt-dlp with Deno, and for the functions' binary, which is built in it.
//! Unpacked it is about 300 MB, of which Debian is 170, Deno 96 and FFmpeg 20; Lambda takes 10 GB. That of `speech` has one
//! for the models, 280 MB, and one for the binary.

pub(crate) mod engine;
mod weight;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;

use self::engine::Engine;
use crate::{say, setup, test};

/// The areas that have one.
pub(crate) const AREAS: [&str; 2] = ["media", "speech"];

/// What an area's image is called on the machine that built it.
pub(crate) fn name(area: &str) -> String {
    format!("localhost/clipwright/{area}")
}

/// Where its recipe is.
pub(crate) fn recipe(area: &str) -> String {
    format!("functions/{area}/Dockerfile")
}

/// The parameter of the stack that names it.
pub(crate) fn parameter(area: &str) -> String {
    format!("{}Image", setup::capital(area))
}

/// What Lambda takes, unpacked.
const BYTES_MAX: u64 = 10_000_000_000;

/// The tests that together run every program in the images: ffmpeg both ways, MP3 and GIF, ffprobe, yt-dlp with Deno, and
/// the models.
const TESTS: [&str; 5] =
    ["stack::exact", "stack::formats", "stack::source", "stack::transcript", "stack::speech"];

/// Asked of the image of `media` itself; each must answer.
const QUESTIONS: [(&str, &[&str]); 5] = [
    ("ffmpeg", &["ffmpeg", "-version"]),
    ("ffprobe", &["ffprobe", "-version"]),
    ("yt-dlp", &["yt-dlp", "--version"]),
    ("Deno", &["deno", "--version"]),
    (
        "certificates",
        &[
            "python3",
            "-c",
            "import ssl; print(len(ssl.create_default_context().get_ca_certs()) or exit('none'))",
        ],
    ),
];
/// Answers with whatever a program or library in the image lacks.
const MISSING: &str = "find /opt /usr/local -type f \\( -perm /111 -o -name '*.so*' \\) -exec ldd {} + 2>/dev/null | \
                       grep 'not found' || true";

/// Builds, weighs and runs it.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let mut no_tests = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("no-tests") => no_tests = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let engine = Engine::found().unwrap_or_else(Engine::buildah);
    let all = setup::local()?.join("images");
    for area in AREAS {
        engine.build(area, platform()?)?;
        let folder = unpacked(&engine, area, &all)?;
        let weight = weight::of(&folder.join("root"))?;
        say::answer(&format!("{area}: {weight}"))?;
        if weight.bytes > BYTES_MAX {
            bail!("Lambda takes images of at most {} GB", BYTES_MAX / 1_000_000_000);
        }
        let questions: &[(&str, &[&str])] = if area == "media" { &QUESTIONS } else { &[] };
        look_inside(&folder, questions)?;
    }
    if no_tests {
        return Ok(());
    }
    let mut tests: Vec<_> = ["-p", "clipwright-tests", "--"].map(Into::into).into();
    tests.extend(TESTS.map(Into::into));
    test::with(tests, Some(&all))
}

/// An image's files, below the folder that devstack takes as `--image`.
fn unpacked(engine: &Engine, area: &str, all: &Path) -> anyhow::Result<PathBuf> {
    let (folder, name) = (all.join(area), name(area));
    let (mark, id) = (folder.join("id"), engine.id(&name)?);
    if std::fs::read_to_string(&mark).is_ok_and(|unpacked| unpacked == id) {
        return Ok(folder);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    engine.unpack(&name, &folder.join("root"), &folder.join("config.json"))?;
    std::fs::write(mark, id)?;
    Ok(folder)
}

fn look_inside(folder: &Path, questions: &[(&str, &[&str])]) -> anyhow::Result<()> {
    for (what, command) in questions {
        let answer = inside(folder, command)?;
        say::answer(&format!("{what:<14}{}", answer.lines().next().unwrap_or_default()))?;
    }
    let missing = inside(folder, &["sh", "-c", MISSING])?;
    if !missing.is_empty() {
        bail!("libraries are missing in the image:\n{missing}");
    }
    Ok(())
}

/// Runs a command in the image as a function is run, and answers what it says.
fn inside(folder: &Path, command: &[&str]) -> anyhow::Result<String> {
    let config = std::fs::read_to_string(folder.join("config.json"))?;
    let config: serde_json::Value = serde_json::from_str(&config)?;
    let mut sandbox = Command::new(setup::root()?.join("infra/devstack/sandbox.sh"));
    sandbox.arg(folder.join("root")).arg("env");
    sandbox.args(config["Env"].as_array().into_iter().flatten().filter_map(|name| name.as_str()));
    let output = sandbox.args(command).output().context("cannot run the sandbox")?;
    if !output.status.success() {
        bail!("{} in the image: {}", command.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Docker's word for this machine.
fn platform() -> anyhow::Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("linux/amd64"),
        "aarch64" => Ok("linux/arm64"),
        other => bail!("Lambda has no {other}"),
    }
}
