//! The programs that tests were built into, and running them side by side.
//!
//! Most tests compute: as many of their programs run at once as there are processors. Those of the whole stack come after
//! them: they have deadlines, which programs that compute beside them would make them miss.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::Value as Json;

use super::events::Outcome;
use super::words::Words;
use crate::{say, setup};

/// The package whose tests wait for the local cloud.
const STACK: &str = "clipwright-tests";
/// How many of these run at once, for each processor. With two, jobs missed their deadlines: the local cloud computes, too.
const STACK_THREADS_PER_PROCESSOR: usize = 1;
/// So that the harness tells the time of each test; see `events`.
const HARNESS: [&str; 5] = ["--format", "json", "--report-time", "-Z", "unstable-options"];

/// A program full of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    /// The package, and the target unless it is the package's library.
    name: String,
    package: String,
    file: PathBuf,
    /// The package's folder.
    folder: PathBuf,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Programs(Vec<Program>);

impl Programs {
    /// Builds the tests that `words` choose, and what the local cloud runs.
    pub(crate) fn build(words: &Words) -> anyhow::Result<Self> {
        if words.whole_workspace() {
            // All at once: chosen by their names, the same dependencies would be built with other features.
            let mut build = setup::cargo()?;
            build.args(["build", "--workspace", "--bins"]);
            setup::run(&mut build, "building the binaries (a few minutes the first time)")?;
        } else {
            setup::build_cloud()?;
        }
        let mut cargo = setup::cargo()?;
        cargo.args(["test", "--no-run", "--message-format", "json-render-diagnostics"]).args(&words.cargo);
        let mut child =
            cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
        let output = child.stdout.take().context("cargo has no output")?;
        let mut programs = Vec::new();
        for line in BufReader::new(output).lines() {
            programs.extend(program(&line?)?);
        }
        if !child.wait()?.success() {
            bail!("the tests do not build; the reason is above");
        }
        Ok(Self(programs))
    }

    /// Runs them all, to the end, whatever fails.
    pub(crate) fn run(
        &self,
        words: &Words,
        environment: &[(&str, OsString)],
    ) -> anyhow::Result<Vec<Outcome>> {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let (waiting, computing): (Vec<&Program>, Vec<_>) =
            self.0.iter().partition(|program| program.package == STACK);
        let run = |program: &Program, threads: usize| -> anyhow::Result<Outcome> {
            let mut command = Command::new(&program.file);
            bound(&mut command, threads);
            command.args(HARNESS).args(&words.program).current_dir(&program.folder);
            command.env("CARGO_MANIFEST_DIR", &program.folder).envs(environment.iter().cloned());
            outcome(&program.name, &mut command)
        };
        let queue = Mutex::new(VecDeque::from(computing));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let outcomes = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let work = || -> anyhow::Result<()> {
                while let Some(program) = next() {
                    let outcome = run(program, processors)?;
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
                Ok(())
            };
            let workers: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                worker.join().map_err(|_| anyhow::anyhow!("lost sight of the tests"))??;
            }
            anyhow::Ok(())
        })?;
        let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        for program in waiting {
            outcomes.push(run(program, processors * STACK_THREADS_PER_PROCESSOR)?);
        }
        Ok(outcomes)
    }

    /// Runs the examples in the documentation of the libraries that have any; cargo builds these while it runs them.
    pub(crate) fn examples(
        &self,
        words: &Words,
        environment: &[(&str, OsString)],
    ) -> anyhow::Result<Vec<Outcome>> {
        let mut packages: Vec<&Program> = Vec::new();
        for program in &self.0 {
            let known = packages.iter().any(|known| known.package == program.package);
            let library = program.folder.join("src");
            // The tests of the stack are a package without a library.
            if !known && library.is_dir() && has_examples(&library)? {
                packages.push(program);
            }
        }
        let mut outcomes = Vec::new();
        for program in packages {
            let mut cargo = setup::cargo()?;
            cargo.args(["test", "--quiet", "--doc", "--package", &program.package, "--"]);
            cargo.args(HARNESS).args(&words.program).envs(environment.iter().cloned());
            cargo.env("RUSTC_BOOTSTRAP", "1");
            outcomes.push(outcome(&format!("{} (documentation)", program.package), &mut cargo)?);
        }
        Ok(outcomes)
    }
}

/// Bounds how many tests of a program run at once.
fn bound(command: &mut Command, threads: usize) {
    // What somebody has said counts.
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        command.env("RUST_TEST_THREADS", threads.to_string());
    }
    // The harness takes its unstable options from a stable compiler only so.
    command.env("RUSTC_BOOTSTRAP", "1");
}

/// Runs one program to its end.
fn outcome(name: &str, command: &mut Command) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let outcome =
        Outcome::follow(name, child.stdout.take().context("the tests have no output")?, say::answer)?;
    let well = child.wait()?.success();
    Ok(outcome.closed(well, begun.elapsed().as_secs_f64()))
}

/// The program of tests that a line of cargo tells of, if it does.
fn program(line: &str) -> anyhow::Result<Option<Program>> {
    // Lines that are not cargo's are build scripts' and the like.
    let Ok(built) = serde_json::from_str::<Json>(line) else { return Ok(None) };
    let path = |name: &str| built[name].as_str().map(PathBuf::from);
    let (Some(manifest), Some(file)) = (path("manifest_path"), path("executable")) else { return Ok(None) };
    if built["reason"] != "compiler-artifact" || built["profile"]["test"] != true {
        return Ok(None);
    }
    let text =
        std::fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let package =
        toml::from_str::<toml::Table>(&text)?["package"]["name"].as_str().unwrap_or_default().to_owned();
    let target = built["target"]["name"].as_str().unwrap_or_default();
    let name = match built["target"]["kind"][0].as_str() {
        Some("lib") => package.clone(),
        Some("bin") => format!("{package} bin {target}"),
        _ => format!("{package} {target}"),
    };
    let folder = manifest.parent().map(Path::to_owned).unwrap_or_default();
    Ok(Some(Program { name, package, file, folder }))
}

/// Whether a library's documentation may have examples: what begins a block of code in a comment, or comes from elsewhere.
fn has_examples(folder: &Path) -> anyhow::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            has_examples(&path)?
        } else {
            path.extension() == Some(OsStr::new("rs"))
                && std::fs::read_to_string(&path)?.lines().any(is_example)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_example(line: &str) -> bool {
    let line = line.trim_start();
    let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
    let block = |text: &str| text.contains("```") || text.contains("~~~") || text.starts_with("     ");
    comment.is_some_and(block)
        || line.starts_with("#[doc")
        || line.starts_with("#![doc")
        || line.starts_with("/**")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_which_programs_are_tests() {
        let root = setup::root().unwrap();
        let line = |kind: &str, name: &str, test: bool| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": root.join("shared/store/Cargo.toml"),
                "executable": "/t/debug/deps/x-1", "target": {"name": name, "kind": [kind]},
                "profile": {"test": test, "opt_level": "0"},
            })
            .to_string()
        };
        let store = program(&line("lib", "store", true)).unwrap().unwrap();
        assert_eq!((store.name.as_str(), &store.folder), ("clipwright-store", &root.join("shared/store")));
        assert_eq!(program(&line("test", "books", true)).unwrap().unwrap().name, "clipwright-store books");
        assert_eq!(program(&line("bin", "devstack", false)).unwrap(), None, "built, but not of tests");
        assert_eq!(program("words of a build script").unwrap(), None);
        assert_eq!(program(r#"{"reason": "build-finished", "success": true}"#).unwrap(), None);
    }

    #[test]
    fn examples_in_comments_are_found() {
        let examples = ["/// ```", "    //! ```no_run", "///     code()", "#[doc = include_str!(\"a.md\")]"];
        assert!(examples.iter().all(|line| is_example(line)));
        let others = ["// ```", "let text = \"```\";", "/// Text.", "///   - an item of a list"];
        assert!(!others.iter().any(|line| is_example(line)));
    }
}
