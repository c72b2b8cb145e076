//! What somebody wants to be tested, in the words of `cargo test`.

use std::ffi::OsString;

use anyhow::bail;

/// Options of `cargo test` that take a value as the next word.
const WITH_VALUE: [&str; 17] = [
    "-p",
    "--package",
    "--exclude",
    "--test",
    "--bin",
    "--bench",
    "--example",
    "--features",
    "-F",
    "--profile",
    "--target",
    "--target-dir",
    "--manifest-path",
    "-j",
    "--jobs",
    "--color",
    "--config",
];
/// Options of `cargo test` that are about how tests run, which is ours to say.
const OURS: [&str; 3] = ["--no-run", "--message-format", "--no-fail-fast"];

/// The words, by whom they are for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// For cargo, which builds the tests' programs.
    pub(crate) cargo: Vec<OsString>,
    /// For each of these programs.
    pub(crate) program: Vec<OsString>,
}

impl Words {
    /// Sorts them. A word that is no option, and no option's value, is part of tests' names.
    pub(crate) fn parse(words: Vec<OsString>) -> anyhow::Result<Self> {
        let mut sorted = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let Some(text) = word.to_str() else { bail!("{word:?} is not valid UTF-8") };
            let name = text.split('=').next().unwrap_or_default();
            if OURS.contains(&name) {
                bail!("{name} is what `cargo xtask test` decides itself; leave it out");
            }
            if text == "--" {
                sorted.program.extend(words.by_ref());
            } else if !text.starts_with('-') {
                sorted.program.push(word);
            } else {
                let takes_value = WITH_VALUE.contains(&text);
                sorted.cargo.push(word);
                if takes_value {
                    sorted.cargo.extend(words.next());
                }
            }
        }
        // `--workspace` would win over a choice of packages.
        let chosen = |word: &OsString| {
            let text = word.to_str().unwrap_or_default();
            text.starts_with("-p") || text.starts_with("--package")
        };
        if !sorted.cargo.iter().any(chosen) {
            sorted.cargo.push("--workspace".into());
        }
        Ok(sorted)
    }

    /// Whether every package is meant.
    pub(crate) fn whole_workspace(&self) -> bool {
        self.cargo.iter().any(|word| word == "--workspace")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        let Words { cargo, program } = Words::parse(words.iter().map(OsString::from).collect())?;
        let text = |words: Vec<OsString>| words.into_iter().map(|word| word.into_string().unwrap()).collect();
        Ok((text(cargo), text(program)))
    }

    #[test]
    fn a_name_is_told_from_an_options_value() {
        let (cargo, program) =
            parse(&["-p", "clipwright-tests", "stack::crash", "--", "--nocapture"]).unwrap();
        assert_eq!(cargo, ["-p", "clipwright-tests"]);
        assert_eq!(program, ["stack::crash", "--nocapture"]);
        let (cargo, program) = parse(&["money", "--test", "books", "--locked"]).unwrap();
        assert_eq!(cargo, ["--test", "books", "--locked", "--workspace"]);
        assert_eq!(program, ["money"]);
        assert_eq!(parse(&["--package=xtask"]).unwrap().0, ["--package=xtask"]);
        assert_eq!(parse(&[]).unwrap(), (vec!["--workspace".to_owned()], vec![]));
    }

    #[test]
    fn what_is_ours_to_decide_is_refused() {
        assert!(parse(&["--message-format=short"]).unwrap_err().to_string().contains("leave it out"));
        assert!(parse(&["--no-run"]).is_err());
    }
}
