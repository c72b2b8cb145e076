//! The zip functions' programs, built for Lambda by cargo-lambda into `target/lambda/<area>/bootstrap`, where
//! `template.yaml` looks for them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::Architecture;
use crate::{say, setup, tools};

/// The areas whose functions are zips.
fn areas() -> anyhow::Result<impl Iterator<Item = setup::Area>> {
    Ok(setup::areas()?.into_iter().filter(|area| !area.is_container))
}

/// The C library of `provided.al2023`. A program that wants a newer one does not start there.
const GLIBC: (u32, u32) = (2, 34);

/// Builds them all.
pub(crate) fn build(architecture: Architecture) -> anyhow::Result<()> {
    let target = architecture.target();
    if !has_target(target)? {
        bail!(
            "Rust cannot build for {} here yet: rustup target add {target} (or deploy with --arch {})",
            architecture.name(),
            architecture.other().name(),
        );
    }
    let cargo_lambda = tools::cargo_lambda()?;
    let mut build = Command::new(cargo_lambda.join("cargo-lambda"));
    build.current_dir(setup::root()?).args(["lambda", "build", "--release", "--locked"]);
    // The version of the C library is told to the linker, which is zig.
    build.args(["--target", &format!("{target}.{}.{}", GLIBC.0, GLIBC.1)]);
    for area in areas()? {
        build.args(["--package", &area.package]);
    }
    // zig is in the same environment.
    let own = std::env::var_os("PATH").unwrap_or_default();
    build.env("PATH", std::env::join_paths([cargo_lambda].into_iter().chain(std::env::split_paths(&own)))?);
    setup::run(&mut build, "building the functions for Lambda (ten minutes the first time)")
}

/// That Lambda can start what was built.
pub(crate) fn check(root: &Path, architecture: Architecture) -> anyhow::Result<()> {
    for area in areas()? {
        check_program(&root.join("target/lambda").join(&area.binary).join("bootstrap"), architecture)?;
    }
    Ok(())
}

fn has_target(target: &str) -> anyhow::Result<bool> {
    let sysroot = Command::new("rustc").current_dir(setup::root()?).args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.context("cannot run rustc")?.stdout)?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(target).join("lib").is_dir())
}

fn check_program(program: &Path, architecture: Architecture) -> anyhow::Result<()> {
    let bytes = std::fs::read(program).with_context(|| format!("{} was not built", program.display()))?;
    // The machine's number in an ELF header.
    if bytes.get(18..20) != Some(&architecture.elf_machine().to_le_bytes()) {
        bail!("{} is not for {}", program.display(), architecture.name());
    }
    if let Some((major, minor)) = newest_glibc(&bytes).filter(|newest| *newest > GLIBC) {
        bail!("{} wants glibc {major}.{minor}, Lambda has {}.{}", program.display(), GLIBC.0, GLIBC.1);
    }
    say::line(&format!("xtask: {} {:.1} MB", program.display(), bytes.len() as f64 / 1e6));
    Ok(())
}

/// The newest version of the C library that is asked for by name.
fn newest_glibc(bytes: &[u8]) -> Option<(u32, u32)> {
    const PREFIX: &[u8] = b"\0GLIBC_";
    let names = bytes.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX);
    let versions = names.filter_map(|(at, _)| {
        let name = bytes[at + PREFIX.len()..].split(|byte| *byte == 0).next()?;
        let mut numbers = std::str::from_utf8(name).ok()?.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    versions.max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts_as_a_number() {
        let program = b"\0GLIBC_2.9\0x\0GLIBC_2.17\0GLIBC_2.2.5\0GLIBC_PRIVATE\0GLIBC_2";
        assert_eq!(newest_glibc(program), Some((2, 17)));
        assert_eq!(newest_glibc(b"static"), None);
    }
}
