//! The areas: what cargo knows of them, and what their binaries tell.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use cargo_metadata::MetadataCommand;
use runtime::Described;

/// The folder of areas in the checkout.
const FOLDER: &str = "functions";

/// An area: one crate, one binary, a row for each of its endpoints.
#[derive(Clone, Debug)]
pub struct Area {
    /// The name of its folder, of its handlers' first part, and of its logs.
    pub name: String,
    /// The cargo package.
    pub package: String,
    /// The cargo binary.
    pub binary: String,
    /// Whether its functions are a container's.
    pub is_container: bool,
    /// Its table.
    pub rows: Vec<Described>,
}

impl Area {
    /// Whether it is a stack of its own. Those that answer HTTP are; all others stand in the root stack, because the state
    /// machine names their versions.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.rows.iter().any(|row| !row.routes.is_empty())
    }

    /// The template of a nested area, relative to the checkout.
    #[must_use]
    pub fn template(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name).join("template.yaml")
    }

    /// The parameter that names the image of a container's functions.
    #[must_use]
    pub fn image(&self) -> String {
        format!("{}Image", camel(&self.name))
    }

    /// What it is called in the root template.
    #[must_use]
    pub fn logical_id(&self) -> String {
        camel(&self.name)
    }
}

/// The areas of the checkout at `root`, in alphabetic order, without their tables.
///
/// # Errors
/// When cargo cannot tell.
pub fn list(root: &Path) -> anyhow::Result<Vec<Area>> {
    let metadata = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec()?;
    let folder = metadata.workspace_root.join(FOLDER);
    let mut areas = Vec::new();
    for package in metadata.workspace_packages() {
        let Some(own) = package.manifest_path.parent().filter(|own| own.parent() == Some(folder.as_path()))
        else {
            continue;
        };
        let name = own.file_name().context("an area without a folder")?.to_owned();
        let binary = package.targets.iter().find(|target| target.is_bin());
        let binary = binary.with_context(|| format!("{} has no binary", package.name))?.name.clone();
        areas.push(Area {
            is_container: own.join("Dockerfile").exists(),
            package: package.name.to_string(),
            name,
            binary,
            rows: Vec::new(),
        });
    }
    areas.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(areas)
}

/// The areas with their tables, as the binaries in `binaries` tell them.
///
/// # Errors
/// When a binary is not built, or its table has rows of another area.
pub fn described(root: &Path, binaries: &Path) -> anyhow::Result<Vec<Area>> {
    let mut areas = list(root)?;
    for area in &mut areas {
        let program = binaries.join(&area.binary);
        let told = Command::new(&program).arg("--describe").output();
        let told = told.with_context(|| {
            format!("{} is not built: run `cargo build --package {}`", program.display(), area.package)
        })?;
        if !told.status.success() {
            bail!("{} --describe: {}", area.binary, String::from_utf8_lossy(&told.stderr));
        }
        area.rows = serde_json::from_slice(&told.stdout)
            .with_context(|| format!("{} is not a debug build of this checkout", program.display()))?;
        if let Some(row) = area.rows.iter().find(|row| row.area() != area.name) {
            bail!("{} stands in the area {}: a handler is `area.name`", row.handler, area.name);
        }
    }
    Ok(areas)
}

/// `upload_get` as `UploadGet`.
pub(crate) fn camel(words: &str) -> String {
    let of_word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    words.split(['_', '-']).filter_map(of_word).collect()
}
