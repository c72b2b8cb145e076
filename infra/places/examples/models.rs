//! Puts all models that functions run into the folder that is named, for an image to be built with them:
//! `cargo run -p clipwright-places --example models -- FOLDER`.

use std::path::PathBuf;

use anyhow::Context as _;
use places::{Models, tools};

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).context("which folder?")?;
    for models in [Models::Finder, Models::Speech] {
        models.lay(&tools::models(models)?, &folder, |from, to| std::fs::copy(from, to).map(drop))?;
    }
    Ok(())
}
