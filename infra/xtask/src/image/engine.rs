//! What builds the images: docker, podman, or, where no image registry is reached, buildah on stand-ins
//! for the base images.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use places::Entry;
use serde_json::Value as Json;

use crate::setup;

/// A program that builds images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    program: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Docker, or podman, which takes the same words.
    Docker,
    /// Without a registry: see `bases.sh`. It cannot push, and builds for this machine's architecture alone.
    Buildah,
}

impl Engine {
    /// The engine that answers: docker, else podman.
    pub(crate) fn found() -> Option<Self> {
        ["docker", "podman"].map(Self::docker).into_iter().find(|engine| engine.said(&["info"]).is_ok())
    }

    /// The program, which takes Docker's words.
    pub(crate) fn docker(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), kind: Kind::Docker }
    }

    /// buildah, which wants no registry and no daemon.
    pub(crate) fn buildah() -> Self {
        Self { program: "buildah".into(), kind: Kind::Buildah }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        // Outside a checkout there is nothing to build, which is said before an engine is asked for.
        command.current_dir(setup::root().unwrap_or_default());
        command
    }

    /// Builds the image of an area and gives it its name. `platform` is Docker's word for the architecture.
    pub(crate) fn build(&self, area: &str, platform: &str) -> anyhow::Result<()> {
        let mut build = self.command();
        match self.kind {
            Kind::Docker => build.args(["build", "--platform", platform]),
            Kind::Buildah => {
                let [debian, rust] = bases()?;
                // Namespaces are not to be had everywhere, and what is built is our own.
                build.args(["build", "--isolation", "chroot", "--layers"]);
                build.args([
                    "--build-arg",
                    &format!("DEBIAN={debian}"),
                    "--build-arg",
                    &format!("RUST={rust}"),
                ])
            }
        };
        build.args(["--file", &super::recipe(area), "--tag", &super::name(area), "."]);
        setup::run(&mut build, &format!("building the image of {area} (ten minutes the first time)"))
    }

    /// What identifies the image: its digest here, without `sha256:`.
    pub(crate) fn id(&self, name: &str) -> anyhow::Result<String> {
        let answer = match self.kind {
            Kind::Buildah => {
                self.said(&["inspect", "--type", "image", "--format", "{{.FromImageID}}", name])?
            }
            Kind::Docker => self.said(&["image", "inspect", "--format", "{{.Id}}", name])?,
        };
        Ok(answer.trim_start_matches("sha256:").to_owned())
    }

    /// Writes the image's files to `root` and its configuration, as JSON, to `config`.
    pub(crate) fn unpack(&self, name: &str, root: &Path, config: &Path) -> anyhow::Result<()> {
        std::fs::write(config, self.config(name)?.to_string())?;
        std::fs::create_dir_all(root)?;
        let container = match self.kind {
            Kind::Buildah => self.said(&["from", name])?,
            Kind::Docker => self.said(&["create", name, "none"])?,
        };
        let unpacked = match self.kind {
            Kind::Buildah => {
                let files = self.said(&["mount", &container])?;
                let mut copy = Command::new("cp");
                setup::run(copy.arg("--archive").arg(format!("{files}/.")).arg(root), "unpacking the image")
            }
            Kind::Docker => self.export(&container, root),
        };
        self.said(&["rm", &container])?;
        // What an engine lays over them when it runs an image.
        for file in ["etc/hosts", "etc/resolv.conf"] {
            let file = root.join(file);
            if !file.exists() {
                std::fs::write(file, "")?;
            }
        }
        unpacked
    }

    /// The image's own configuration: `Env`, `Entrypoint`.
    fn config(&self, name: &str) -> anyhow::Result<Json> {
        let answer = match self.kind {
            Kind::Buildah => self.said(&["inspect", "--type", "image", name])?,
            Kind::Docker => self.said(&["image", "inspect", name])?,
        };
        let answer: Json = serde_json::from_str(&answer).context("the engine answered strangely")?;
        Ok(match self.kind {
            Kind::Buildah => answer["OCIv1"]["config"].clone(),
            Kind::Docker => answer[0]["Config"].clone(),
        })
    }

    fn export(&self, container: &str, root: &Path) -> anyhow::Result<()> {
        let mut export = self.command().args(["export", container]).stdout(Stdio::piped()).spawn()?;
        let files = export.stdout.take().context("the engine has no output")?;
        let unpacked =
            Command::new("tar").args(["--extract", "--directory"]).arg(root).stdin(files).status()?;
        if !export.wait()?.success() || !unpacked.success() {
            bail!("cannot unpack the image into {}", root.display());
        }
        Ok(())
    }

    /// What it answers on stdout.
    pub(crate) fn said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command().args(arguments).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("cannot run {}", self.program.display()))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{} {}: {}", self.program.display(), arguments.join(" "), words.trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// Stand-ins for the two base images, made once and anew when their recipe or the Rust changes.
fn bases() -> anyhow::Result<[String; 2]> {
    let names = ["debian", "rust"].map(|name| format!("localhost/clipwright/{name}"));
    let root = setup::root()?;
    let (recipe, toolchain) = (root.join("infra/xtask/tools/bases.sh"), root.join("rust-toolchain.toml"));
    // buildah keeps the images themselves, for the machine as well; the entry says that it has them.
    Entry::new("image-bases")?.file(&recipe)?.file(&toolchain)?.get(|_| {
        setup::installed(&["buildah", "debootstrap"])?;
        let mut make = Command::new(&recipe);
        make.current_dir(&root).args(&names);
        setup::run(&mut make, "making stand-ins for the base images (once, two minutes)")
    })?;
    Ok(names)
}
