//! `cargo xtask bench gif`: how large our GIFs are, beside those of FFmpeg and gifski.

use std::path::PathBuf;

use lexopt::prelude::*;

use super::{finish, program};
use crate::setup;

/// Runs it. `--gifski PROGRAM` compares with that, `--video FILE` with a film of one's own; `--json FILE` writes the numbers.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let mut given: Vec<(&str, PathBuf)> = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("gifski") => given.push(("--gifski", arguments.value()?.into())),
            Long("video") => given.push(("--video", arguments.value()?.into())),
            Long("json") => given.push(("--json", arguments.value()?.into())),
            other => return Err(other.unexpected().into()),
        }
    }
    let mut bench = program("gif", &[])?;
    bench.arg("--folder").arg(setup::local()?.join("bench/gif"));
    for (name, path) in given {
        bench.arg(name).arg(path);
    }
    finish(&mut bench)
}
