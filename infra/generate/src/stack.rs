//! Templates: that of a nested area, which is all generated, and the root, which is written by hand but for the parts
//! between marks.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use yaml_serde::{Mapping, Value};

use crate::api;
use crate::areas::Area;
use crate::functions::{Place, Writer, globals, root_value};
use crate::yaml::{list, map, map_of, print, sub, text};

/// The root template, relative to the checkout.
pub const ROOT: &str = "template.yaml";

/// What every nested stack is told, used or not by the functions themselves.
const ALWAYS: [&str; 6] =
    ["Stack", "Release", "Architecture", "Tracing", "LogRetentionDays", "FunctionBoundary"];

/// The template of an area that answers HTTP.
///
/// # Errors
/// When a value cannot be written.
pub fn nested(area: &Area) -> anyhow::Result<String> {
    let mut out = format!(
        "# Written by `cargo xtask generate` from ENDPOINTS in functions/{}/src/lib.rs. Change that, not this.\n\
         AWSTemplateFormatVersion: \"2010-09-09\"\n\
         Transform: AWS::Serverless-2016-10-31\n\
         Description: The functions of Clipwright's area {}. Parameters are values of the root stack.\n",
        area.name, area.name
    );
    let resources = resources(area)?;
    let parameter = |name: String| (name, map([("Type", text("String"))]));
    let mut section = |name: &str, value: Value| -> anyhow::Result<()> {
        write!(out, "\n{}", print(&map([(name, value)]), 0)?)?;
        Ok(())
    };
    section("Parameters", map_of(values(area).into_iter().map(parameter)))?;
    section("Globals", globals())?;
    writeln!(out, "\nResources:")?;
    for (id, resource) in resources {
        writeln!(out, "{}", print(&map_of([(id, resource)]), 2)?)?;
    }
    Ok(out.trim_end().to_owned() + "\n")
}

fn resources(area: &Area) -> anyhow::Result<Vec<(String, Value)>> {
    let none = Mapping::new();
    let writer = Writer { place: Place::Nested, area, parameters: &none };
    let mut resources = vec![writer.logs()];
    for row in &area.rows {
        resources.extend(writer.resources(row)?);
    }
    Ok(resources)
}

/// The names of all values of the stack that a nested area uses: its parameters.
fn values(area: &Area) -> Vec<String> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for row in &area.rows {
        names.extend(row.env.iter().map(|(_, value)| value.clone()));
        for arn in row.statements.iter().flat_map(|statement| &statement.resources) {
            let inner = arn.split("${").skip(1).filter_map(|part| part.split('}').next());
            names.extend(inner.filter(|name| !name.starts_with("AWS::")).map(str::to_owned));
        }
        if let runtime::CalledBy::Queue(queue) = &row.caller {
            names.insert(format!("{queue}Arn"));
        }
    }
    let always = ALWAYS.map(str::to_owned);
    names.retain(|name| !always.contains(name));
    always.into_iter().chain(names).collect()
}

/// The root template `written` with its generated parts made anew.
///
/// # Errors
/// When a mark is missing, or an area needs a value that the template does not have.
pub fn root(written: &str, areas: &[Area]) -> anyhow::Result<String> {
    let parsed: Value = yaml_serde::from_str(written).context("template.yaml is not valid YAML")?;
    let parameters = parsed["Parameters"].as_mapping().context("template.yaml has no Parameters")?;
    let mut text = written.to_owned();
    for part in Part::ALL {
        let value = part.value(areas, parameters)?;
        text = part.put(&text, &value)?;
    }
    Ok(text)
}

/// A generated part of the root template, between `# <name>` and `# </name>`.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The API's routes.
    Routes,
    /// The nested stacks, and the role that the API calls their functions with.
    Areas,
    /// The functions that stand in the root stack.
    Functions,
    /// The log groups of all areas; stands in two places.
    LogGroups,
}

impl Part {
    const ALL: [Self; 4] = [Self::Routes, Self::Areas, Self::Functions, Self::LogGroups];

    const fn name(self) -> &'static str {
        match self {
            Self::Routes => "generated: routes",
            Self::Areas => "generated: areas",
            Self::Functions => "generated: functions",
            Self::LogGroups => "generated: log groups",
        }
    }

    fn value(self, areas: &[Area], parameters: &Mapping) -> anyhow::Result<Vec<Value>> {
        Ok(match self {
            Self::Routes => vec![map([("DefinitionBody", api::definition(areas))])],
            Self::Areas => {
                let mut resources = vec![map([(api::ROLE, api::role(areas))])];
                for area in areas.iter().filter(|area| area.is_nested()) {
                    resources.push(application(area, parameters)?);
                }
                resources
            }
            Self::Functions => {
                let mut resources = Vec::new();
                for area in areas.iter().filter(|area| !area.is_nested()) {
                    let writer = Writer { place: Place::Root, area, parameters };
                    resources.push(map_of([writer.logs()]));
                    for row in &area.rows {
                        resources.extend(writer.resources(row)?.into_iter().map(|one| map_of([one])));
                    }
                }
                resources
            }
            Self::LogGroups => {
                vec![list(areas.iter().map(|area| sub(format!("/${{AWS::StackName}}/{}", area.name))))]
            }
        })
    }

    /// Replaces what stands between the marks, everywhere. What is written is indented like the first mark, and entries of
    /// a list of resources are set apart by blank lines.
    fn put(self, text: &str, values: &[Value]) -> anyhow::Result<String> {
        let (begin, end) = (format!("# <{}>", self.name()), format!("# </{}>", self.name()));
        let mut out = String::new();
        let mut lines = text.lines();
        let mut found = false;
        while let Some(line) = lines.next() {
            writeln!(out, "{line}")?;
            if line.trim() != begin {
                continue;
            }
            found = true;
            let indent = line.len() - line.trim_start().len();
            let printed: Vec<String> =
                values.iter().map(|value| print(value, indent)).collect::<anyhow::Result<_>>()?;
            out += &printed.join("\n");
            let last = lines.by_ref().find(|line| line.trim() == end);
            writeln!(out, "{}", last.with_context(|| format!("template.yaml lacks the mark {end}"))?)?;
        }
        if !found {
            bail!("template.yaml lacks the mark {begin}");
        }
        Ok(out)
    }
}

/// The nested stack of an area, with the values that it needs.
fn application(area: &Area, parameters: &Mapping) -> anyhow::Result<Value> {
    let mut given = Vec::new();
    for name in values(area) {
        let value = root_value(&name, parameters)?;
        given.push((name, value));
    }
    let application = map([
        ("Type", text("AWS::Serverless::Application")),
        (
            "Properties",
            map([("Location", text(area.template().to_string_lossy())), ("Parameters", map_of(given))]),
        ),
    ]);
    Ok(map_of([(area.logical_id(), application)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::reference;

    #[test]
    fn what_stands_between_the_marks_is_replaced_wherever_they_stand() {
        let text = "a:\n  # <generated: log groups>\n  old\n  # </generated: log groups>\nb: 1\n    # <generated: log groups>\n    # </generated: log groups>\n";
        let put = Part::LogGroups.put(text, &[list([reference("X")])]).unwrap();
        assert_eq!(
            put,
            "a:\n  # <generated: log groups>\n  - !Ref X\n  # </generated: log groups>\nb: 1\n    # <generated: log groups>\n    - !Ref X\n    # </generated: log groups>\n"
        );
        assert!(Part::LogGroups.put("a: 1\n", &[]).is_err());
        assert!(Part::LogGroups.put("# <generated: log groups>\n", &[]).is_err());
    }
}
