//! `cargo xtask costs` runs this: writes docs/costs.md.

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/costs.md");
    std::fs::write(&file, costs::document()?).with_context(|| format!("cannot write {}", file.display()))
}
