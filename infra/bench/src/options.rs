//! What was asked for on the command line.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use lexopt::prelude::*;

use crate::corpus::{CASES, Case};
use crate::methods::{self, Method, Setup};
use crate::stack::Cloud;

/// Rounds, of which the median is told.
const ROUNDS: usize = 5;
const ROUNDS_QUICK: usize = 3;

/// The options of `bench clip`.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) folder: PathBuf,
    pub(crate) venv: PathBuf,
    pub(crate) tools: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) docs: Option<PathBuf>,
    pub(crate) prototype: Option<PathBuf>,
    /// As a person types it, for the report.
    pub(crate) command: String,
    quick: bool,
    only: Vec<String>,
    base_url: Option<String>,
    key: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &mut lexopt::Parser) -> anyhow::Result<Self> {
        let (mut options, mut folder, mut venv) = (Self::default(), None, None);
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("folder") => folder = Some(PathBuf::from(arguments.value()?)),
                Long("venv") => venv = Some(PathBuf::from(arguments.value()?)),
                Long("tools") => options.tools = Some(arguments.value()?.into()),
                Long("base-url") => options.base_url = Some(arguments.value()?.string()?),
                Long("key") => options.key = Some(arguments.value()?.string()?),
                Long("json") => options.json = Some(arguments.value()?.into()),
                Long("docs") => options.docs = Some(arguments.value()?.into()),
                Long("prototype") => options.prototype = Some(arguments.value()?.into()),
                Long("quick") => options.quick = true,
                Long("only") => {
                    let names = arguments.value()?.string()?;
                    options.only = names.split(',').map(|name| name.trim().to_owned()).collect();
                }
                other => return Err(other.unexpected().into()),
            }
        }
        // Absolute, because FFmpeg reads the paths in a list as beside the list.
        options.folder = std::path::absolute(folder.context("--folder is missing")?)?;
        options.venv = venv.context("--venv is missing")?;
        if let Some(file) = options.prototype.as_ref().filter(|file| !file.is_file()) {
            bail!("--prototype: {} is no file", file.display());
        }
        let known: Vec<&str> = CASES.iter().map(|case| case.name).chain(methods::names()).collect();
        if let Some(name) = options.only.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("--only: {name} is neither a case nor a method; there are {}", known.join(", "));
        }
        options.command = options.typed();
        Ok(options)
    }

    fn typed(&self) -> String {
        let mut command = "cargo xtask bench clip".to_owned();
        if self.quick {
            command += " --quick";
        }
        if !self.only.is_empty() {
            command = format!("{command} --only {}", self.only.join(","));
        }
        if self.prototype.is_some() {
            command += " --prototype FILE";
        }
        command
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { ROUNDS_QUICK } else { ROUNDS }
    }

    pub(crate) fn cloud(&self) -> Option<Cloud> {
        self.base_url.clone().zip(self.key.clone()).map(|(base_url, key)| Cloud { base_url, key })
    }

    /// Those named, else all; the first alone if it has to be quick.
    pub(crate) fn cases(&self) -> Vec<&'static Case> {
        let named: Vec<_> = CASES.iter().filter(|case| self.names(case.name)).collect();
        match named.is_empty() {
            false => named,
            true if self.quick => CASES.iter().take(1).collect(),
            true => CASES.iter().collect(),
        }
    }

    /// Those named, else all that can be run; ours always, because all others are told in its measure.
    pub(crate) fn methods(&self, setup: &Setup) -> Vec<&'static Method> {
        let all = methods::available(setup);
        let any = all.iter().any(|method| self.names(method.name));
        all.into_iter()
            .filter(|method| !any || method.name == methods::OURS || self.names(method.name))
            .collect()
    }

    fn names(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> anyhow::Result<Options> {
        let words = ["--folder", "f", "--venv", "v"].iter().chain(more);
        Options::parse(&mut lexopt::Parser::from_args(words))
    }

    #[test]
    fn the_demo_account_can_pay_for_all_clips() {
        let price = |case: &&Case| if case.quality() == "4k" { 20 } else { 10 };
        let cents = parse(&[]).unwrap().cases().iter().map(price).sum::<usize>() * ROUNDS;
        assert!(cents <= 500, "a fresh local cloud's demo account has $5.00, this takes {cents} cents");
    }

    #[test]
    fn cases_and_methods_are_chosen_by_name() {
        let setup =
            Setup { exe: PathBuf::new(), venv: PathBuf::new(), tools: None, prototype: None, cloud: None };
        let chosen = |options: &Options| {
            let cases: Vec<_> = options.cases().iter().map(|case| case.name).collect();
            (cases, options.methods(&setup).iter().map(|method| method.name).collect::<Vec<_>>())
        };
        let (cases, methods) = chosen(&parse(&["--only", "vfr,copy"]).unwrap());
        assert_eq!((cases, methods), (vec!["vfr"], vec!["ours", "copy"]));
        let quick = parse(&["--quick"]).unwrap();
        assert_eq!(chosen(&quick).0, ["hour-2s"]);
        assert!(!chosen(&quick).1.contains(&"ours-stack") && chosen(&quick).1.len() > 4);
        assert_eq!(chosen(&parse(&[]).unwrap()).0.len(), CASES.len());
        let error = parse(&["--only", "vrf"]).unwrap_err().to_string();
        assert!(error.contains("vrf is neither") && error.contains("hour-2s-middle"), "{error}");
    }
}
