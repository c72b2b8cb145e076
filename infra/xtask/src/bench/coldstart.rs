//! `cargo xtask bench coldstart`: builds the areas as they are deployed, and times how they start.

use lexopt::prelude::*;

use crate::setup;

/// Measures, prints, and writes the table into docs/benchmarks.md.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut json, mut rounds) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("json") => json = Some(std::path::absolute(arguments.value()?)?),
            Long("rounds") => rounds = Some(arguments.value()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let folder = setup::local()?.join("bench");
    let python = setup::root()?.join("infra/bench/python");
    let venv = places::python::environment("bench-lambda", &python.join("requirements.txt"), "awslambdaric")?;
    // Those that answer HTTP have a template of their own.
    let http: Vec<setup::Area> = setup::areas()?.into_iter().filter(|area| area.template.is_some()).collect();
    let areas: Vec<&str> = http.iter().flat_map(|area| ["--package", area.package.as_str()]).collect();
    let mut bench = super::program("coldstart", &[areas.as_slice(), &["--example", "minimal"]].concat())?;
    bench.arg("--bin").arg(super::built()?).arg("--folder").arg(folder);
    bench.arg("--venv").arg(venv).arg("--python").arg(python);
    bench.arg("--docs").arg(setup::root()?.join("docs/benchmarks.md"));
    if let Some(file) = json {
        bench.arg("--json").arg(file);
    }
    if let Some(rounds) = rounds {
        bench.arg("--rounds").arg(rounds);
    }
    super::finish(&mut bench)
}
