//! `cargo xtask bench load`: a local cloud with many jobs and many readers at once.

use std::process::Command;

use lexopt::prelude::*;

use crate::setup;

/// Runs the load, prints what came of it, and writes docs/load.md if it is the whole one.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut jobs, mut reads, mut json) = (500_u32, 20_000_u32, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("jobs") => jobs = arguments.value()?.parse()?,
            Long("reads") => reads = arguments.value()?.parse()?,
            Long("json") => json = Some(std::path::absolute(arguments.value()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    setup::media_tools()?;
    places::tools::ffmpeg(&setup::root()?)?;
    let folder = setup::local()?.join("load");
    // Beside the functions that the local cloud runs, which are not optimised either.
    setup::build(&["clipwright-bench"])?;
    let mut bench = Command::new(setup::devstack()?.with_file_name("bench"));
    bench.arg("load");
    // Held until the load is over.
    let (_cloud, info) = super::cloud(&folder, &["--count-calls"])?;
    bench.arg("--folder").arg(&folder).arg("--info").arg(info.to_string());
    bench.args(["--jobs", &jobs.to_string(), "--reads", &reads.to_string()]);
    // A small one is for trying out.
    if jobs >= 500 && reads >= 20_000 {
        bench.arg("--docs").arg(setup::root()?.join("docs/load.md"));
    }
    if let Some(file) = json {
        bench.arg("--json").arg(file);
    }
    super::finish(&mut bench)
}
