//! `cargo xtask image`: builds the image of the area `media`, says what it weighs, and runs the functions in it.
//!
//! They run as on Lambda: in the image's own files, which nothing can be written to, as a user that it does not know, behind
//! the Runtime API of the local cloud (`infra/devstack/sandbox.sh`). So a library, a certificate or a folder that is missing
//! in the image is found here.
//!
//! The image has one layer each for FFmpeg, for yt-dlp with Deno, and for the functions' binary, which is built in it.
//! Unpacked it is about 300 MB, of which Debian is 170, Deno 96 and FFmpeg 20; Lambda takes 10 GB.

pub(crate) mod engine;
mod weight;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;

use self::engine::Engine;
use crate::{say, setup, test};

/// What the image is called on the machine that built it.
pub(crate) const NAME: &str = "localhost/clipwright/media";
/// What Lambda takes, unpacked.
const BYTES_MAX: u64 = 10_000_000_000;

/// The tests that together run every program in the image: ffmpeg both ways, MP3 and GIF, ffprobe, and yt-dlp with Deno.
const TESTS: [&str; 4] = ["stack::exact", "stack::formats", "stack::source", "stack::transcript"];

/// Asked of the image itself; each must answer.
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
    engine.build(NAME, platform()?)?;
    let folder = unpacked(&engine)?;
    let weight = weight::of(&folder.join("root"))?;
    say::answer(&weight.to_string())?;
    if weight.bytes > BYTES_MAX {
        bail!("Lambda takes images of at most {} GB", BYTES_MAX / 1_000_000_000);
    }
    look_inside(&folder)?;
    if no_tests {
        return Ok(());
    }
    let mut tests: Vec<_> = ["-p", "clipwright-tests", "--"].map(Into::into).into();
    tests.extend(TESTS.map(Into::into));
    test::with(tests, Some(&folder))
}

/// The image's files, in the folder that devstack takes as `--image`.
fn unpacked(engine: &Engine) -> anyhow::Result<PathBuf> {
    let folder = setup::local()?.join("image");
    let (mark, id) = (folder.join("id"), engine.id(NAME)?);
    if std::fs::read_to_string(&mark).is_ok_and(|unpacked| unpacked == id) {
        return Ok(folder);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    engine.unpack(NAME, &folder.join("root"), &folder.join("config.json"))?;
    std::fs::write(mark, id)?;
    Ok(folder)
}

fn look_inside(folder: &Path) -> anyhow::Result<()> {
    for (what, command) in QUESTIONS {
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
