//! `cargo xtask bench clip`: sets up what the benchmark needs, the local cloud included, and runs it.

use std::path::PathBuf;

use lexopt::prelude::*;

use crate::setup;

/// What was asked for on the command line.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    json: Option<PathBuf>,
    only: Option<String>,
    prototype: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &mut lexopt::Parser) -> anyhow::Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("quick") => options.quick = true,
                Long("json") => options.json = Some(arguments.value()?.into()),
                Long("only") => options.only = Some(arguments.value()?.string()?),
                Long("prototype") => options.prototype = Some(arguments.value()?.into()),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    /// Whether the whole stack is measured: by its name, or because everything is.
    fn needs_cloud(&self) -> bool {
        let Some(only) = &self.only else { return !self.quick };
        only.split(',').any(|name| name.trim() == "ours-stack")
    }
}

/// Measures, and writes the document unless it has to be quick.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    setup::media_tools()?;
    // As it is deployed.
    let tools = places::tools::ffmpeg(&setup::root()?)?;
    setup::curl()?;
    let folder = setup::local()?.join("bench");
    let peers = setup::root()?.join("infra/bench/requirements.txt");
    let venv = places::python::environment("bench", &peers, "smartcut and yt-dlp")?;
    let mut bench = super::program("clip", &[])?;
    bench.arg("--folder").arg(&folder).arg("--venv").arg(venv);
    if let Some(tools) = tools {
        bench.arg("--tools").arg(tools);
    }
    for (name, file) in [("--json", &options.json), ("--prototype", &options.prototype)] {
        if let Some(file) = file {
            // Relative to where we were called, not to the checkout.
            bench.arg(name).arg(std::path::absolute(file)?);
        }
    }
    if options.quick {
        bench.arg("--quick");
    }
    if let Some(only) = &options.only {
        bench.args(["--only", only]);
    }
    if !options.quick {
        bench.arg("--docs").arg(setup::root()?.join("docs/benchmarks.md"));
    }
    // Held until the benchmark is over.
    let cloud = if options.needs_cloud() { Some(super::cloud(&folder, &[])?) } else { None };
    if let Some((_, info)) = &cloud {
        let text = |name: &str| info[name].as_str().unwrap_or_default().to_owned();
        bench.args(["--base-url", &text("base_url"), "--key", &text("demo_api_key")]);
    }
    super::finish(&mut bench)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_is_started_only_where_it_is_measured() {
        let needs = |words: &[&str]| {
            let mut arguments = lexopt::Parser::from_args(words);
            Options::parse(&mut arguments).unwrap().needs_cloud()
        };
        assert!(needs(&[]));
        assert!(!needs(&["--quick"]));
        assert!(!needs(&["--only", "vfr,copy"]));
        assert!(needs(&["--quick", "--only", "vfr, ours-stack"]));
    }
}
