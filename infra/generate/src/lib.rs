//! Writes what follows from the tables of endpoints: a template for each area that answers HTTP, the generated part of the
//! root `template.yaml`, `infra/openapi.json`, and the state machines from their sources.
//!
//! Nothing here names an area. Which there are is cargo's word (`functions/*`); what is in them is told by their own
//! binaries, which print their table when they are started with `--describe`.

pub mod api;
pub mod areas;
pub mod functions;
pub mod machine;
pub mod openapi;
mod refine;
pub mod stack;
mod yaml;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use areas::Area;

/// A generated file: where it lies in the checkout, and what it has to say.
#[derive(Debug)]
pub struct File {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// Every generated file of the checkout at `root`. The areas' binaries lie in `binaries`.
///
/// # Errors
/// When an area cannot be described, or an endpoint says too little of itself; the error says what to do.
pub fn files(root: &Path, binaries: &Path) -> anyhow::Result<Vec<File>> {
    let areas = areas::described(root, binaries)?;
    let mut files = Vec::new();
    for area in areas.iter().filter(|area| area.is_nested()) {
        files.push(File { path: area.template(), text: stack::nested(area)? });
    }
    let template = root.join(stack::ROOT);
    let written =
        std::fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    files.push(File { path: stack::ROOT.into(), text: stack::root(&written, &areas)? });
    let mut text = serde_json::to_string_pretty(&openapi::document(&areas)?)?;
    text.push('\n');
    files.push(File { path: openapi::FILE.into(), text });
    files.extend(machine::files(root)?);
    Ok(files)
}
