//! Asks for what the first deployment has to know.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use anyhow::{Context as _, bail};

use super::Settings;
use super::parameters::Parameter;

/// Asks `from`, in words that go to `to`; what was set before, or the template's default, is what Enter means.
pub(crate) fn ask(
    before: Option<&Settings>,
    parameters: &[Parameter],
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> anyhow::Result<Settings> {
    writeln!(to, "Enter keeps what stands in brackets; a blank and Enter empties it.\n")?;
    let stack = before.map_or("clipwright", |before| &before.stack);
    let stack = answer(from, to, "Name of the stack", Some(stack), stack_name)?;
    let region = before.map(|before| before.region.clone()).or_else(|| std::env::var("AWS_REGION").ok());
    let region = answer(from, to, "Region, for example eu-central-1", region.as_deref(), region_name)?;
    let mut values = BTreeMap::new();
    for parameter in parameters {
        writeln!(to, "\n{}", parameter.description)?;
        let kept = before.and_then(|before| before.parameters.get(&parameter.name));
        let default = kept.or(parameter.default.as_ref()).map(String::as_str);
        let value = answer(from, to, &parameter.name, default, |value| parameter.check(value))?;
        // What the template says anyway stays the template's to change.
        if parameter.default.as_ref() != Some(&value) {
            values.insert(parameter.name.clone(), value);
        }
    }
    Ok(Settings { stack, region, parameters: values })
}

fn answer(
    from: &mut impl BufRead,
    to: &mut impl Write,
    question: &str,
    default: Option<&str>,
    check: impl Fn(&str) -> anyhow::Result<()>,
) -> anyhow::Result<String> {
    loop {
        write!(to, "{question} [{}]: ", default.unwrap_or_default())?;
        to.flush()?;
        let mut line = String::new();
        if from.read_line(&mut line).context("cannot read the answer")? == 0 {
            bail!("nobody answers; --guided is for a terminal, and what it asks is kept in samconfig.toml");
        }
        let line = line.trim_end_matches(['\r', '\n']);
        let value = if line.is_empty() { default.unwrap_or_default() } else { line.trim() };
        match check(value) {
            Ok(()) => return Ok(value.to_owned()),
            Err(error) => writeln!(to, "  {error}")?,
        }
    }
}

/// A name that the bucket and the image repository can carry on.
fn stack_name(name: &str) -> anyhow::Result<()> {
    let fits = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits
        || name.len() > 20
        || !name.starts_with(|first: char| first.is_ascii_lowercase())
        || name.ends_with('-')
    {
        bail!("1 to 20 small letters, digits and hyphens, beginning with a letter");
    }
    Ok(())
}

fn region_name(name: &str) -> anyhow::Result<()> {
    let parts = name.split('-').collect::<Vec<_>>();
    let number = parts.last().is_some_and(|last| last.parse::<u8>().is_ok());
    if parts.len() < 3 || !number {
        bail!("a region looks like eu-central-1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::parameters::asked;

    const TEMPLATE: &str = "
Parameters:
  Slots: { Type: Number, Default: 5, MinValue: 1, MaxValue: 10, Description: How many. }
  MailFrom: { Type: String, AllowedPattern: '.*@.*', Description: Who sends. }
";

    fn asked_with(before: Option<&Settings>, answers: &str) -> (anyhow::Result<Settings>, String) {
        let mut words = Vec::new();
        let settings = ask(before, &asked(TEMPLATE).unwrap(), &mut answers.as_bytes(), &mut words);
        (settings, String::from_utf8(words).unwrap())
    }

    #[test]
    fn answers_become_settings_and_slips_are_asked_again() {
        let (settings, words) =
            asked_with(None, "My Stack\nclips\nthe moon\neu-west-1\n12\n\nnobody\na@b.c\n");
        let settings = settings.unwrap();
        assert_eq!((settings.stack.as_str(), settings.region.as_str()), ("clips", "eu-west-1"));
        assert_eq!(settings.parameters, [("MailFrom".to_owned(), "a@b.c".to_owned())].into());
        for slip in ["small letters", "looks like eu-central-1", "Slots takes 1 to 10", "must be of the form"]
        {
            assert!(words.contains(slip), "{words}");
        }
        // The second time everything is there already.
        let (again, _) = asked_with(Some(&settings), "\n\n\n\n");
        assert_eq!(again.unwrap(), settings);
    }

    #[test]
    fn silence_is_no_answer() {
        let (settings, _) = asked_with(None, "clips\n");
        assert!(settings.unwrap_err().to_string().contains("nobody answers"));
    }
}
