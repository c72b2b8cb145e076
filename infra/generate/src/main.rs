//! Writes the generated files, or with `--check` fails when one is stale. Run by `cargo xtask generate`, in the checkout,
//! beside the areas' binaries.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

#[allow(clippy::print_stderr)] // a command-line tool
fn main() -> ExitCode {
    let check = std::env::args().any(|argument| argument == "--check");
    match generate(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("generate: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn generate(check: bool) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let binaries = program.parent().context("this program lies nowhere")?;
    let root = Path::new(".");
    for file in generate::files(root, binaries)? {
        let path = root.join(&file.path);
        let is_fresh = std::fs::read_to_string(&path).is_ok_and(|written| written == file.text);
        if check && !is_fresh {
            bail!("{} is stale; run `cargo xtask generate`", file.path.display());
        }
        if !is_fresh {
            std::fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}
