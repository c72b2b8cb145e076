//! `cargo xtask costs` runs this: writes docs/costs.md.

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let file = places::root()?.join("docs/costs.md");
    std::fs::write(&file, costs::document()?).with_context(|| format!("cannot write {}", file.display()))
}
