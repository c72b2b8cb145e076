//! The template's parameters, as somebody who is asked for them sees them.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use yaml_serde::Value as Yaml;

/// What `cargo xtask deploy` fills in by itself, or what is not for AWS.
const NOT_ASKED: [&str; 5] = ["AllowPrivateSources", "Architecture", "MediaImage", "Release", "SpeechImage"];

/// One parameter of the template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) description: String,
    /// `None` if one must be given.
    pub(crate) default: Option<String>,
    number: bool,
    min: Option<String>,
    max: Option<String>,
    values: Vec<String>,
    pattern: Option<String>,
}

/// The parameters that are asked for, in the template's order.
pub(crate) fn asked(template: &str) -> anyhow::Result<Vec<Parameter>> {
    let template: Yaml = yaml_serde::from_str(template).context("template.yaml is not valid YAML")?;
    let all = template.get("Parameters").and_then(Yaml::as_mapping).context("it has no Parameters")?;
    let named = all.iter().filter_map(|(name, facts)| Some((name.as_str()?, facts)));
    Ok(named
        .filter(|(name, _)| !NOT_ASKED.contains(name))
        .map(|(name, facts)| parameter(name, facts))
        .collect())
}

fn parameter(name: &str, facts: &Yaml) -> Parameter {
    let field = |field: &str| facts.get(field).and_then(text);
    Parameter {
        name: name.to_owned(),
        description: field("Description").unwrap_or_default().trim().to_owned(),
        default: field("Default"),
        number: field("Type").is_some_and(|kind| kind == "Number"),
        min: field("MinValue").or_else(|| field("MinLength")),
        max: field("MaxValue").or_else(|| field("MaxLength")),
        values: facts
            .get("AllowedValues")
            .and_then(Yaml::as_sequence)
            .map(|values| values.iter().filter_map(text).collect())
            .unwrap_or_default(),
        pattern: field("AllowedPattern"),
    }
}

fn text(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

impl Parameter {
    /// Whether CloudFormation will take the value, so that a slip is told at once and not after the build.
    pub(crate) fn check(&self, value: &str) -> anyhow::Result<()> {
        if !self.values.is_empty() && !self.values.iter().any(|allowed| allowed == value) {
            bail!("{} takes one of: {}", self.name, self.values.join(", "));
        }
        if let Some(pattern) = &self.pattern {
            // A pattern that only CloudFormation can read is left to it.
            let whole = regex_lite::Regex::new(&format!("^(?:{pattern})$"));
            if whole.is_ok_and(|whole| !whole.is_match(value)) {
                bail!("{} must be of the form {pattern}", self.name);
            }
        }
        if self.number {
            let number: f64 = value.parse().with_context(|| format!("{} takes a number", self.name))?;
            let bound = |bound: &Option<String>| bound.as_ref().and_then(|bound| bound.parse::<f64>().ok());
            let (min, max) = (bound(&self.min), bound(&self.max));
            if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
                let (min, max) = (self.min.as_deref().unwrap_or("…"), self.max.as_deref().unwrap_or("…"));
                bail!("{} takes {min} to {max}", self.name);
            }
        }
        Ok(())
    }
}

/// Names that the template has not, and values that it does not take.
pub(crate) fn check(known: &[Parameter], given: &BTreeMap<String, String>) -> anyhow::Result<()> {
    for (name, value) in given {
        let parameter = known.iter().find(|parameter| parameter.name == *name);
        parameter.with_context(|| format!("the template has no parameter {name} to be set"))?.check(value)?;
    }
    let missing = known.iter().filter(|known| known.default.is_none() && !given.contains_key(&known.name));
    let missing: Vec<&str> = missing.map(|parameter| parameter.name.as_str()).collect();
    if !missing.is_empty() {
        bail!("still needed: {}; run cargo xtask deploy --guided", missing.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  Architecture: { Type: String, Default: arm64 }
  Slots: { Type: Number, Default: 5, MinValue: 1, MaxValue: 10, Description: How many. }
  MailFrom: { Type: String, AllowedPattern: '.*@.*' }
  Tracing: { Type: String, Default: 'true', AllowedValues: ['true', 'false'] }
Resources:
  A: { Type: B, Value: !Sub '${Slots}' }
";

    #[test]
    fn parameters_are_read_and_values_checked_as_cloudformation_does() {
        let known = asked(TEMPLATE).unwrap();
        let names: Vec<&str> = known.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["Slots", "MailFrom", "Tracing"]);
        assert_eq!((known[0].default.as_deref(), known[0].description.as_str()), (Some("5"), "How many."));
        let checked = |given: &[(&str, &str)]| {
            let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            check(&known, &given).map_err(|error| error.to_string())
        };
        assert_eq!(checked(&[("MailFrom", "a@b.c"), ("Slots", "10")]), Ok(()));
        for (given, reason) in [
            (&[("Slots", "11"), ("MailFrom", "a@b.c")][..], "Slots takes 1 to 10"),
            (&[("Slots", "many"), ("MailFrom", "a@b.c")], "Slots takes a number"),
            (&[("MailFrom", "nobody")], "MailFrom must be of the form .*@.*"),
            (&[("MailFrom", "a@b.c"), ("Tracing", "yes")], "Tracing takes one of: true, false"),
            (&[("MailFrom", "a@b.c"), ("Slot", "1")], "the template has no parameter Slot to be set"),
            (&[], "still needed: MailFrom; run cargo xtask deploy --guided"),
        ] {
            assert_eq!(checked(given), Err(reason.to_owned()));
        }
    }

    #[test]
    fn the_templates_own_parameters_can_be_read() {
        let template = std::fs::read_to_string(crate::setup::root().unwrap().join("template.yaml")).unwrap();
        let known = asked(&template).unwrap();
        assert!(known.iter().any(|parameter| parameter.name == "MailFrom"));
        for parameter in known {
            assert!(!parameter.description.is_empty(), "{} says not what it is", parameter.name);
            if let Some(default) = &parameter.default {
                parameter.check(default).unwrap();
            }
        }
    }
}
