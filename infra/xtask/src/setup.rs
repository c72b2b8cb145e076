//! Makes sure that what a command needs is there: system packages, tools, built binaries.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::say;

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
    let told = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output();
    let told = told.context("cannot run cargo")?;
    if !told.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&told.stdout)?;
    let functions = root().join("functions");
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
            template: root().join(&template).exists().then_some(template),
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
fn binaries() -> anyhow::Result<Vec<String>> {
    let areas = areas()?.into_iter().map(|area| area.package);
    Ok(areas.chain(["clipwright-devstack".to_owned()]).collect())
}

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
    beside("devstack")
}

/// A program that is built beside this one.
pub(crate) fn beside(program: &str) -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program lies")?;
    Ok(exe.with_file_name(program))
}

/// Everything that the local cloud needs to run.
pub(crate) fn cloud() -> anyhow::Result<()> {
    media_tools()?;
    python()?;
    page_tools()?;
    let packages = binaries()?;
    build(&packages.iter().map(String::as_str).collect::<Vec<_>>())
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
