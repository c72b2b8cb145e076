//! Reads a template together with its nested applications, as one: the local CloudFormation is given a single stack.
//!
//! A resource of a nested stack is called by the application's name and its own (`Clips` and `GetFunction` become
//! `ClipsGetFunction`); its parameters become what the root template gives them; what its `Globals` say is said of each of
//! its functions.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value as Json, json};

use crate::template;

/// The kind of resource that is a template of its own.
const APPLICATION: &str = "AWS::Serverless::Application";

/// The template at `path` with everything that is nested in it.
///
/// # Errors
/// When a file cannot be read, or a nested template uses a parameter that it is not given.
pub fn read(path: &Path) -> anyhow::Result<Json> {
    let mut root = file(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let Some(resources) = root.get_mut("Resources").and_then(Json::as_object_mut) else { return Ok(root) };
    let (nested, own): (Map<_, _>, Map<_, _>) =
        std::mem::take(resources).into_iter().partition(|(_, resource)| resource["Type"] == APPLICATION);
    *resources = own;
    for (id, application) in nested {
        let location = application["Properties"]["Location"].as_str();
        let location = location.with_context(|| format!("{id} has no Location"))?;
        let given = application["Properties"]["Parameters"].as_object().cloned().unwrap_or_default();
        let inner = flattened(file(&folder.join(location))?, &id, &given)
            .with_context(|| format!("the nested template {location}"))?;
        resources.extend(inner);
    }
    Ok(root)
}

fn file(path: &Path) -> anyhow::Result<Json> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    template::parse(&text)
}

/// The resources of a nested template as the root would have them.
fn flattened(template: Json, prefix: &str, given: &Map<String, Json>) -> anyhow::Result<Map<String, Json>> {
    let resources = template["Resources"].as_object().cloned().unwrap_or_default();
    let own: Vec<String> = resources.keys().cloned().collect();
    let scope = Scope { prefix, own: &own, given };
    let globals = template["Globals"]["Function"].clone();
    let mut flat = Map::new();
    for (id, mut resource) in resources {
        if resource["Type"] == "AWS::Serverless::Function" {
            let mut properties = globals.clone();
            merge(&mut properties, resource["Properties"].take());
            resource["Properties"] = properties;
        }
        scope.rename(&mut resource).with_context(|| format!("resource {id}"))?;
        flat.insert(format!("{prefix}{id}"), resource);
    }
    Ok(flat)
}

/// Lays `over` on `under`, objects within objects too.
fn merge(under: &mut Json, over: Json) {
    match (under, over) {
        (Json::Object(under), Json::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key).or_insert(Json::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}

/// What names mean in a nested template.
struct Scope<'a> {
    prefix: &'a str,
    own: &'a [String],
    given: &'a Map<String, Json>,
}

impl Scope<'_> {
    /// Gives every reference below `node` its meaning in the root template.
    fn rename(&self, node: &mut Json) -> anyhow::Result<()> {
        match node {
            Json::Object(object) => {
                if let Some(name) = object.get("Ref").and_then(Json::as_str) {
                    *node = self.value(name)?;
                    return Ok(());
                }
                for (key, value) in object.iter_mut() {
                    match (key.as_str(), &mut *value) {
                        ("DependsOn", Json::String(id)) => *id = format!("{}{id}", self.prefix),
                        ("Fn::GetAtt", Json::Array(path)) => {
                            if let Some(Json::String(id)) = path.first_mut() {
                                *id = format!("{}{id}", self.prefix);
                            }
                        }
                        ("Fn::Sub", Json::String(text)) => *text = self.text(text)?,
                        _ => self.rename(value)?,
                    }
                }
                Ok(())
            }
            Json::Array(items) => items.iter_mut().try_for_each(|item| self.rename(item)),
            _ => Ok(()),
        }
    }

    /// What `Ref name` is.
    fn value(&self, name: &str) -> anyhow::Result<Json> {
        if name.starts_with("AWS::") {
            return Ok(json!({ "Ref": name }));
        }
        // `Function.Alias`, `Function.Version`
        if self.own.iter().any(|id| Some(id.as_str()) == name.split('.').next()) {
            return Ok(json!({ "Ref": format!("{}{name}", self.prefix) }));
        }
        self.given.get(name).cloned().with_context(|| format!("the parameter {name} is not given"))
    }

    /// A text of `Fn::Sub` with the root's names.
    fn text(&self, text: &str) -> anyhow::Result<String> {
        let mut parts = text.split("${");
        let mut done = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').context("a name without an end")?;
            done += &in_text(&self.value(name)?)?;
            done += rest;
        }
        Ok(done)
    }
}

/// A reference as it is written within a text.
fn in_text(value: &Json) -> anyhow::Result<String> {
    if let Some(name) = value["Ref"].as_str() {
        return Ok(format!("${{{name}}}"));
    }
    if let (Some(id), Some(attribute)) = (value["Fn::GetAtt"][0].as_str(), value["Fn::GetAtt"][1].as_str()) {
        return Ok(format!("${{{id}.{attribute}}}"));
    }
    match value.as_str().or_else(|| value["Fn::Sub"].as_str()) {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{value} cannot stand within a text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_template_reads_as_if_it_stood_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "root.yaml",
            "Resources:\n  Table: {Type: T}\n  Area:\n    Type: AWS::Serverless::Application\n    Properties:\n      \
             Location: inner.yaml\n      Parameters: {Stack: !Ref AWS::StackName, TableArn: !GetAtt Table.Arn}\n",
        );
        write(
            "inner.yaml",
            "Globals: {Function: {Timeout: 29, Environment: {Variables: {A: !Sub 'x/${Stack}'}}}}\nResources:\n  \
             Logs: {Type: L}\n  F:\n    Type: AWS::Serverless::Function\n    DependsOn: Logs\n    Properties:\n      \
             Timeout: 5\n      Environment: {Variables: {B: !Ref TableArn}}\n      Log: !Ref Logs\n      \
             Arn: !Sub '${TableArn}/index/${AWS::Region}/${Logs}'\n      V: !GetAtt F.Version.Version\n",
        );
        let flat = read(&folder.path().join("root.yaml")).unwrap();
        assert_eq!(
            flat["Resources"].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["AreaF", "AreaLogs", "Table"]
        );
        let function = &flat["Resources"]["AreaF"];
        assert_eq!(function["DependsOn"], "AreaLogs");
        assert_eq!(
            function["Properties"],
            json!({
                "Timeout": 5,
                "Environment": {"Variables": {
                    "A": {"Fn::Sub": "x/${AWS::StackName}"},
                    "B": {"Fn::GetAtt": ["Table", "Arn"]},
                }},
                "Log": {"Ref": "AreaLogs"},
                "Arn": {"Fn::Sub": "${Table.Arn}/index/${AWS::Region}/${AreaLogs}"},
                "V": {"Fn::GetAtt": ["AreaF", "Version.Version"]},
            })
        );
        write("inner.yaml", "Resources: {F: {Type: X, Properties: {A: !Ref Nobody}}}\n");
        let error = read(&folder.path().join("root.yaml")).unwrap_err();
        assert!(format!("{error:#}").contains("Nobody is not given"), "{error:#}");
    }
}
