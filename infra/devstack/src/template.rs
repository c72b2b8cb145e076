//! Reads a CloudFormation template: YAML with short tags (`!Ref`, `!Sub` …) into JSON with the long forms.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value as Json, json};
use yaml_serde::Value as Yaml;

/// Parses the template text.
///
/// # Errors
/// When it is not YAML, or a mapping has a key that is no text.
pub fn parse(text: &str) -> anyhow::Result<Json> {
    let yaml: Yaml = yaml_serde::from_str(text).context("the template is not valid YAML")?;
    to_json(yaml)
}

fn to_json(yaml: Yaml) -> anyhow::Result<Json> {
    Ok(match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => Json::Bool(value),
        Yaml::Number(number) => serde_json::to_value(number)?,
        Yaml::String(text) => Json::String(text),
        Yaml::Sequence(items) => Json::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Yaml::Mapping(mapping) => {
            let mut object = Map::new();
            for (key, value) in mapping {
                object.insert(key_text(key)?, to_json(value)?);
            }
            Json::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            long_form(tag.trim_start_matches('!'), to_json(tagged.value)?)
        }
    })
}

/// Keys may be written without quotes and look like something else (`200:` under `Responses`).
fn key_text(key: Yaml) -> anyhow::Result<String> {
    Ok(match key {
        Yaml::String(text) => text,
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(value) => value.to_string(),
        other => bail!("a mapping key of the template is not text: {other:?}"),
    })
}

fn long_form(tag: &str, value: Json) -> Json {
    match (tag, &value) {
        ("Ref" | "Condition", _) => json!({ tag: value }),
        // The short form writes the attribute after a dot, the long form is a list of two.
        ("GetAtt", Json::String(path)) => match path.split_once('.') {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => json!({ "Fn::GetAtt": value }),
        },
        _ => json!({ format!("Fn::{tag}"): value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_become_long_forms_at_any_depth() {
        let parsed = parse(
            "A: !Ref Table\nB: !GetAtt Queue.Arn\nC: !Sub 'x-${Table}'\nD: !If [IsPublic, !Ref A, !GetAtt B.C]\n\
             E:\n  - !Join ['', [a, !Ref B]]\nF: {Condition: !Equals [!Ref P, 'true']}\n200: ok\n",
        )
        .unwrap();
        assert_eq!(parsed["A"], json!({"Ref": "Table"}));
        assert_eq!(parsed["B"], json!({"Fn::GetAtt": ["Queue", "Arn"]}));
        assert_eq!(parsed["C"], json!({"Fn::Sub": "x-${Table}"}));
        assert_eq!(parsed["D"], json!({"Fn::If": ["IsPublic", {"Ref": "A"}, {"Fn::GetAtt": ["B", "C"]}]}));
        assert_eq!(parsed["E"], json!([{"Fn::Join": ["", ["a", {"Ref": "B"}]]}]));
        assert_eq!(parsed["F"]["Condition"], json!({"Fn::Equals": [{"Ref": "P"}, "true"]}));
        assert_eq!(parsed["200"], "ok");
    }
}
