//! What is deployed where: one environment of `samconfig.toml`, in the form that `sam` reads, too.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use toml::{Table, Value};

/// The section that `sam` takes when it is not told another.
pub(crate) const DEFAULT: &str = "default";

/// One stack in one region of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) stack: String,
    pub(crate) region: String,
    /// Parameters that differ from the template's defaults.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The file, which is the operator's own.
pub(crate) const FILE: &str = "samconfig.toml";

impl Settings {
    /// Reads the section `environment`; `None` if it has not been written yet.
    pub(crate) fn read(file: &Path, environment: &str) -> anyhow::Result<Option<Self>> {
        let section = match whole(file)?.remove(environment) {
            None => return Ok(None),
            Some(section) => section,
        };
        let text = |name: &str| {
            // `deploy` wins over `global`, as it does for sam.
            let found = ["deploy", "global"].iter().find_map(|command| {
                section.get(command)?.get("parameters")?.get(name)?.as_str().map(str::to_owned)
            });
            found.with_context(|| format!("{} names no {name} for {environment}", file.display()))
        };
        let overrides =
            section.get("deploy").and_then(|deploy| deploy.get("parameters")?.get("parameter_overrides"));
        let parameters = match overrides {
            None => BTreeMap::new(),
            Some(Value::Array(list)) => list.iter().map(pair).collect::<anyhow::Result<_>>()?,
            Some(_) => bail!(
                "{}: parameter_overrides of {environment} must be a list: [\"Name=value\", …]",
                file.display()
            ),
        };
        Ok(Some(Self { stack: text("stack_name")?, region: text("region")?, parameters }))
    }

    /// Writes the section `environment`; others, and what it says of other commands, stay as they are.
    pub(crate) fn write(&self, file: &Path, environment: &str) -> anyhow::Result<()> {
        let mut all = whole(file)?;
        all.entry("version").or_insert(Value::Float(0.1));
        let list = self.parameters.iter().map(|(name, value)| Value::String(format!("{name}={value}")));
        let list = list.collect();
        let global = parameters_of(&mut all, environment, "global")?;
        global.insert("stack_name".to_owned(), Value::String(self.stack.clone()));
        global.insert("region".to_owned(), Value::String(self.region.clone()));
        let deploy = parameters_of(&mut all, environment, "deploy")?;
        deploy.insert("parameter_overrides".to_owned(), Value::Array(list));
        std::fs::write(file, toml::to_string_pretty(&all)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

fn whole(file: &Path) -> anyhow::Result<Table> {
    match std::fs::read_to_string(file) {
        Ok(text) => text.parse().with_context(|| format!("{} is not valid TOML", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Table::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// The table `[environment.command.parameters]`, made if it is not there.
fn parameters_of<'a>(all: &'a mut Table, environment: &str, command: &str) -> anyhow::Result<&'a mut Table> {
    let mut table = all;
    for name in [environment, command, "parameters"] {
        let entry = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().with_context(|| format!("{name} in samconfig.toml is no table"))?;
    }
    Ok(table)
}

fn pair(entry: &Value) -> anyhow::Result<(String, String)> {
    let split = entry.as_str().and_then(|text| text.split_once('='));
    let (name, value) =
        split.with_context(|| format!("{entry} in samconfig.toml is not of the form \"Name=value\""))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn settings() -> Settings {
        let parameters = [("MailFrom", "Clips \"R\" Us <no-reply@example.com>"), ("ClipSlots", "7")];
        Settings {
            stack: "clips".to_owned(),
            region: "eu-central-1".to_owned(),
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-settings-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is_lost() {
        let folder = folder("written");
        let file = folder.join("samconfig.toml");
        assert_eq!(Settings::read(&file, DEFAULT).unwrap(), None);
        std::fs::write(
            &file,
            "version = 0.1\n[other.deploy.parameters]\nstack_name = \"x\"\nregion = \"y\"\n",
        )
        .unwrap();
        settings().write(&file, DEFAULT).unwrap();
        assert_eq!(Settings::read(&file, DEFAULT).unwrap(), Some(settings()));
        let other = Settings::read(&file, "other").unwrap().unwrap();
        assert_eq!((other.stack.as_str(), other.region.as_str()), ("x", "y"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_section_that_cannot_be_read_says_why() {
        let folder = folder("refused");
        let file = folder.join("samconfig.toml");
        for (text, reason) in [
            ("[default.deploy.parameters]\nstack_name = \"x\"\n", "names no region"),
            (
                "[default.deploy.parameters]\nstack_name = \"x\"\nregion = \"y\"\nparameter_overrides = \"A=b\"\n",
                "must be a list",
            ),
            ("[default", "not valid TOML"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = format!("{:#}", Settings::read(&file, DEFAULT).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
