//! The checkout, found when a program runs: a path that was compiled in would be wrong after a move.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What lies at the root of a checkout and nowhere else.
const MARKS: [&str; 2] = ["template.yaml", "infra/xtask/Cargo.toml"];

/// The root of the checkout: above the package that cargo runs, or else above the working directory.
pub fn root() -> anyhow::Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = std::env::current_dir().context("cannot tell the working directory")?;
    let found = package.iter().map(PathBuf::as_path).chain([here.as_path()]).find_map(above);
    found
        .with_context(|| format!("no checkout of Clipwright at or above {}; change into one", here.display()))
}

fn above(folder: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| MARKS.iter().all(|mark| folder.join(mark).is_file());
    folder.ancestors().find(is_root).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_within_and_only_there() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("infra/xtask");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("Cargo.toml"), "").unwrap();
        assert_eq!(above(&deep), None, "half of the marks are not a checkout");
        std::fs::write(folder.path().join("template.yaml"), "").unwrap();
        assert_eq!(above(&deep).as_deref(), Some(folder.path()));
        assert_eq!(above(folder.path()).as_deref(), Some(folder.path()));
        assert!(root().unwrap().join("infra/places/src/checkout.rs").is_file());
    }
}
