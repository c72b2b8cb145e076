//! What was asked for on the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use lexopt::prelude::*;

use super::settings;
use crate::image;

/// The command line.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) guided: bool,
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
    /// The section of `samconfig.toml`.
    pub(crate) environment: String,
    pub(crate) architecture: Architecture,
    /// Images that were pushed before, by area.
    pub(crate) images: BTreeMap<&'static str, String>,
    /// A checkout that was built before, to be deployed as it is.
    pub(crate) built: Option<PathBuf>,
    /// Where the packaged template is written to, in place of a deployment.
    pub(crate) package: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> anyhow::Result<Self> {
        let mut options = Self {
            guided: false,
            dry_run: false,
            yes: false,
            environment: settings::DEFAULT.to_owned(),
            architecture: Architecture::Arm64,
            images: BTreeMap::new(),
            built: None,
            package: None,
        };
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("guided") => options.guided = true,
                Long("dry-run") => options.dry_run = true,
                Long("yes") => options.yes = true,
                Long("config-env") => options.environment = arguments.value()?.string()?,
                Long("arch") => options.architecture = Architecture::parse(&arguments.value()?.string()?)?,
                Long("image") => drop(options.images.insert("media", arguments.value()?.string()?)),
                Long("speech-image") => drop(options.images.insert("speech", arguments.value()?.string()?)),
                // Relative to where we were called, not to the checkout.
                Long("built") => options.built = Some(std::path::absolute(arguments.value()?)?),
                Long("package") => options.package = Some(std::path::absolute(arguments.value()?)?),
                other => return Err(other.unexpected().into()),
            }
        }
        if options.dry_run && (options.package.is_some() || options.yes) {
            bail!("--dry-run goes with neither --package nor --yes");
        }
        if !options.images.is_empty() && options.images.len() < image::AREAS.len() {
            bail!(
                "--image and --speech-image go together: either both are built here, or both were pushed before"
            );
        }
        if options.built.is_some() && options.images.is_empty() {
            bail!("--built builds no images either: name them with --image and --speech-image");
        }
        Ok(options)
    }
}

/// What the functions run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    Arm64,
    X86,
}

impl Architecture {
    fn parse(name: &str) -> anyhow::Result<Self> {
        match name {
            "arm64" => Ok(Self::Arm64),
            "x86_64" => Ok(Self::X86),
            _ => bail!("--arch takes arm64 or x86_64"),
        }
    }

    /// Lambda's word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86 => "x86_64",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Arm64 => Self::X86,
            Self::X86 => Self::Arm64,
        }
    }

    /// Rust's.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Arm64 => "aarch64-unknown-linux-gnu",
            Self::X86 => "x86_64-unknown-linux-gnu",
        }
    }

    /// Docker's.
    pub(crate) const fn platform(self) -> &'static str {
        match self {
            Self::Arm64 => "linux/arm64",
            Self::X86 => "linux/amd64",
        }
    }

    /// ELF's.
    pub(crate) const fn elf_machine(self) -> u16 {
        match self {
            Self::Arm64 => 183,
            Self::X86 => 62,
        }
    }

    /// Whether an image for it can be built here: it runs programs of its architecture while it is built.
    pub(crate) fn buildable(self) -> anyhow::Result<()> {
        let (emulated, here) = match self {
            Self::Arm64 => ("qemu-aarch64", "aarch64"),
            Self::X86 => ("qemu-x86_64", "x86_64"),
        };
        let emulator = std::path::Path::new("/proc/sys/fs/binfmt_misc").join(emulated);
        if cfg!(target_os = "linux") && std::env::consts::ARCH != here && !emulator.exists() {
            bail!(
                "the image for {} cannot be built on {}: build on such a machine (GitHub has runners), deploy with \
                 --arch {}, or let this one run its programs (Debian: qemu-user-static; it takes an hour)",
                self.name(),
                std::env::consts::ARCH,
                self.other().name(),
            );
        }
        Ok(())
    }
}
