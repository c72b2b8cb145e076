//! Makes sure that what a command needs is there: system packages, tools, built binaries.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::say;

/// The packages whose binaries the local cloud runs.
const BINARIES: [&str; 7] = [
    "clipwright-accounts",
    "clipwright-clips",
    "clipwright-stages",
    "clipwright-media-functions",
    "clipwright-pages",
    "clipwright-webhooks",
    "clipwright-devstack",
];

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// What is made on this machine and never committed.
pub(crate) fn local() -> PathBuf {
    root().join(".local")
}

/// The cargo that runs us, in the checkout.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// The `devstack` program, built beside this one.
pub(crate) fn devstack() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program lies")?;
    Ok(exe.with_file_name("devstack"))
}

/// Everything that the local cloud needs to run.
pub(crate) fn cloud() -> anyhow::Result<()> {
    media_tools()?;
    python()?;
    page_tools()?;
    build(&BINARIES)
}

/// Builds the packages, with cargo's own words on the screen.
pub(crate) fn build(packages: &[&str]) -> anyhow::Result<()> {
    let mut build = cargo();
    build.arg("build");
    for package in packages {
        build.args(["--package", package]);
    }
    run(&mut build, "building the binaries (a few minutes the first time)")
}

/// ffmpeg and ffprobe cut and check the clips.
pub(crate) fn media_tools() -> anyhow::Result<()> {
    if works("ffmpeg", &["-version"]) && works("ffprobe", &["-version"]) {
        return Ok(());
    }
    install(&["ffmpeg"])
}

/// The ffmpeg and ffprobe of the functions' container, built as there; devstack puts them before the machine's own. Where
/// that is not possible the machine's own do, which can more and start more slowly.
pub(crate) fn image_tools() -> anyhow::Result<PathBuf> {
    let (folder, recipe) = (local().join("ffmpeg"), root().join("functions/media/ffmpeg"));
    if !may_install() {
        say::line("xtask: the image's FFmpeg can be built as root on Debian only; the system's is used");
        return Ok(folder.join("bin"));
    }
    kept(&folder, &[&recipe.join("options.txt"), &recipe.join("build.sh")], || {
        let mut build = Command::new(recipe.join("build.sh"));
        run(build.arg(&folder), "building the image's FFmpeg (once, a few minutes)")
    })?;
    Ok(folder.join("bin"))
}

/// Whether we are root where packages are Debian's.
fn may_install() -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && works("apt-get", &["--version"])
}

/// yt-dlp reads web pages. What the functions' container has is what they have here; devstack puts the folder into their
/// `PATH`.
pub(crate) fn page_tools() -> anyhow::Result<()> {
    let list = root().join("functions/media/requirements.txt");
    venv(&local().join("yt-dlp"), &list, "yt-dlp").map(drop)
}

/// Where programs are found, those of [`page_tools`] first.
pub(crate) fn path() -> anyhow::Result<std::ffi::OsString> {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let tools = local().join("yt-dlp/bin");
    Ok(std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&own)))?)
}

/// Python with venv runs ministack and yt-dlp.
pub(crate) fn python() -> anyhow::Result<()> {
    if works("python3", &["-c", "import ensurepip, venv"]) {
        return Ok(());
    }
    install(&["python3", "python3-venv"])
}

/// One of the clients in tests/conformance, and what the benchmark downloads with.
pub(crate) fn curl() -> anyhow::Result<()> {
    if works("curl", &["--version"]) { Ok(()) } else { install(&["curl"]) }
}

/// What runs the clients in tests/conformance; npm also brings one of the tools.
pub(crate) fn clients() -> anyhow::Result<()> {
    curl()?;
    if works("node", &["--version"]) && works("npm", &["--version"]) {
        return Ok(());
    }
    install(&["nodejs", "npm"])
}

/// The browser that plays clips in tests/stack/browser.
pub(crate) fn browser() -> anyhow::Result<()> {
    if works("chromium", &["--version"]) { Ok(()) } else { install(&["chromium"]) }
}

/// Keeps what `make` made in `folder` for as long as the lists it was made from stay the same.
pub(crate) fn kept(
    folder: &Path,
    lists: &[&Path],
    make: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut wanted = String::new();
    for list in lists {
        wanted +=
            &std::fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    }
    let mark = folder.join("made-from");
    if std::fs::read_to_string(&mark).is_ok_and(|made| made == wanted) {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    make()?;
    Ok(std::fs::write(mark, wanted)?)
}

/// The programs of a Python environment in `folder` that holds what `list` names. `what` is told while it is made.
pub(crate) fn venv(folder: &Path, list: &Path, what: &str) -> anyhow::Result<PathBuf> {
    kept(folder, &[list], || {
        let mut venv = Command::new("python3");
        run(
            venv.args(["-m", "venv"]).arg(folder),
            &format!("making a Python environment for {what} (once)"),
        )?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(list);
        run(&mut pip, &format!("installing {what} (once)"))
    })?;
    Ok(folder.join("bin"))
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
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

/// Installs Debian packages if we may, otherwise says what to type.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    if !may_install() {
        bail!("{list} needed. On Debian or Ubuntu: sudo apt-get install --no-install-recommends {list}");
    }
    run(Command::new("apt-get").args(["update", "-q"]), "looking up system packages")?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-q", "-y", "--no-install-recommends"]).args(packages);
    run(install.env("DEBIAN_FRONTEND", "noninteractive"), &format!("installing {list}"))
}

/// Runs a step; its output is about what is being done, so it all goes to stderr.
pub(crate) fn run(command: &mut Command, what: &str) -> anyhow::Result<()> {
    use std::os::fd::AsFd as _;
    say::line(&format!("xtask: {what}"));
    let stderr = std::io::stderr().as_fd().try_clone_to_owned()?;
    let status = command.stdin(Stdio::null()).stdout(stderr).status();
    let status = status.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        bail!("{what}: failed ({status})");
    }
    Ok(())
}
