//! Makes sure that what a command needs is there: system packages, tools, built binaries.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use places::system::{self, found, install};
use places::tools;

/// An area of functions.
#[derive(Debug)]
pub(crate) struct Area {
    /// The name of its folder.
    pub(crate) name: String,
    /// Its cargo package.
    pub(crate) package: String,
    /// Its cargo binary.
    pub(crate) binary: String,
    /// Whether its functions are a container's; those of all others are zips.
    pub(crate) is_container: bool,
    /// Its template, if it has one of its own; relative to the checkout.
    pub(crate) template: Option<String>,
}

/// The areas, as cargo knows them: the packages of `functions/*`.
pub(crate) fn areas() -> anyhow::Result<Vec<Area>> {
    let told = cargo()?.args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let told = told.context("cannot run cargo")?;
    if !told.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&told.stdout)?;
    let root = root()?;
    let functions = root.join("functions");
    let mut areas = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let Some(folder) = manifest.parent().filter(|folder| folder.parent() == Some(&functions)) else {
            continue;
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let targets = package["targets"].as_array();
        let binary = targets.into_iter().flatten().find(|target| target["kind"][0] == "bin");
        let template = format!("functions/{name}/template.yaml");
        areas.push(Area {
            package: text(&package["name"]),
            binary: binary.map(|target| text(&target["name"])).unwrap_or_default(),
            is_container: folder.join("Dockerfile").exists(),
            template: root.join(&template).exists().then_some(template),
            name,
        });
    }
    areas.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(areas)
}

/// `clips` as `Clips`: what the root template calls an area's stack.
pub(crate) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

/// The packages whose binaries the local cloud runs.
pub(crate) fn binaries() -> anyhow::Result<Vec<String>> {
    let areas = areas()?.into_iter().map(|area| area.package);
    Ok(areas.chain(["clipwright-devstack".to_owned()]).collect())
}

/// The checkout.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    places::root()
}

/// What belongs to this checkout and is never committed: data, logs, what was measured. What is downloaded or built once per
/// machine lies in [`places::cache`].
pub(crate) fn local() -> anyhow::Result<PathBuf> {
    Ok(root()?.join(".local"))
}

/// The cargo that runs us, in the checkout.
pub(crate) fn cargo() -> anyhow::Result<Command> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()?);
    Ok(cargo)
}

/// The `devstack` program, built beside this one.
pub(crate) fn devstack() -> anyhow::Result<PathBuf> {
    beside("devstack")
}

/// A program that is built beside this one.
pub(crate) fn beside(program: &str) -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program lies")?;
    Ok(exe.with_file_name(program))
}

/// Everything that the local cloud needs to run.
pub(crate) fn cloud() -> anyhow::Result<()> {
    // Cargo takes half a second to see that there is nothing to do, Python a quarter to say who it is.
    std::thread::scope(|scope| {
        let programs = scope.spawn(programs);
        build_cloud()?;
        programs.join().map_err(|_| anyhow::anyhow!("the setup broke off"))?
    })
}

/// What the local cloud runs, as far as it is not ours.
pub(crate) fn programs() -> anyhow::Result<()> {
    let root = root()?;
    media_tools()?;
    tools::ministack(&root)?;
    tools::yt_dlp(&root)?;
    for models in [places::Models::Finder, places::Models::Speech] {
        tools::models(models)?;
    }
    Ok(())
}

/// Builds the programs that the local cloud runs, and the local cloud.
pub(crate) fn build_cloud() -> anyhow::Result<()> {
    let packages = binaries()?;
    build(&packages.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Builds the packages, with cargo's own words on the screen.
pub(crate) fn build(packages: &[&str]) -> anyhow::Result<()> {
    compilers()?;
    let mut build = cargo()?;
    build.arg("build");
    for package in packages {
        build.args(["--package", package]);
    }
    run(&mut build, "building the binaries (a few minutes the first time)")
}

/// What cargo builds the recogniser of speech with, which is written in C++.
pub(crate) fn compilers() -> anyhow::Result<()> {
    if found("cmake") && found("g++") { Ok(()) } else { install(&["cmake", "g++", "make"]) }
}

/// ffmpeg and ffprobe cut and check the clips.
pub(crate) fn media_tools() -> anyhow::Result<()> {
    if found("ffmpeg") && found("ffprobe") { Ok(()) } else { install(&["ffmpeg"]) }
}

/// Where programs are found, yt-dlp first.
pub(crate) fn path() -> anyhow::Result<std::ffi::OsString> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let tools = tools::yt_dlp(&root()?)?;
    Ok(std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&own)))?)
}

/// What speaks where a test or a benchmark listens.
pub(crate) fn speakers() -> anyhow::Result<()> {
    if found("espeak-ng") && found("flite") { Ok(()) } else { install(&["espeak-ng", "flite"]) }
}

/// One of the clients in tests/conformance, and what the benchmark downloads with.
pub(crate) fn curl() -> anyhow::Result<()> {
    if found("curl") { Ok(()) } else { install(&["curl"]) }
}

/// What runs the clients in tests/conformance; npm also brings one of the tools.
pub(crate) fn clients() -> anyhow::Result<()> {
    curl()?;
    if found("node") && found("npm") {
        return Ok(());
    }
    install(&["nodejs", "npm"])
}

/// The browser that plays clips in tests/stack/browser.
pub(crate) fn browser() -> anyhow::Result<()> {
    if found("chromium") { Ok(()) } else { install(&["chromium"]) }
}

/// Debian packages that are needed as they are, and not only a program of theirs.
pub(crate) fn installed(packages: &[&str]) -> anyhow::Result<()> {
    let query = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}\\n"])
        .args(packages)
        .output();
    let all =
        |text: Vec<u8>| String::from_utf8_lossy(&text).lines().filter(|line| *line == "installed").count();
    if query.is_ok_and(|output| all(output.stdout) == packages.len()) { Ok(()) } else { install(packages) }
}

/// Runs a step; its output is about what is being done, so it all goes to stderr.
pub(crate) fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    system::run(command, format!("xtask: {what}"))
}
