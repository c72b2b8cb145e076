//! `cargo xtask bench speech`: how well and how fast speech is recognised, beside faster-whisper.

use std::process::Command;

use lexopt::prelude::*;

use crate::setup;

/// Measures, prints, and writes the table into docs/speech.md if it is the whole one.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut quick, mut json) = (false, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("quick") => quick = true,
            Long("json") => json = Some(std::path::absolute(arguments.value()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    setup::media_tools()?;
    setup::speakers()?;
    setup::installed(&["pocketsphinx-testdata"])?;
    let models = places::tools::models(places::Models::Speech)?;
    let python = setup::root()?.join("infra/bench/python");
    let venv = places::python::environment("bench-speech", &python.join("speech.txt"), "faster-whisper")?;
    // What runs models is optimised in every profile, so the recogniser needs no build of its own.
    setup::build(&["clipwright-bench"])?;
    setup::compilers()?;
    let mut build = setup::cargo()?;
    build.args(["build", "--package", "clipwright-speech", "--example", "recognise"]);
    setup::run(&mut build, "building the recogniser (ten minutes the first time)")?;
    let mut bench = Command::new(setup::beside("bench")?);
    bench.arg("speech").arg("--folder").arg(setup::local()?.join("bench/speech"));
    bench.arg("--recognise").arg(setup::beside("examples/recognise")?);
    bench.arg("--models").arg(models).arg("--venv").arg(venv).arg("--python").arg(python);
    if quick {
        bench.arg("--quick");
    } else {
        bench.arg("--docs").arg(setup::root()?.join("docs/speech.md"));
    }
    if let Some(file) = json {
        bench.arg("--json").arg(file);
    }
    super::finish(&mut bench)
}
