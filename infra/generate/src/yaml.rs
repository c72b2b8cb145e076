//! YAML with CloudFormation's short tags, made of plain values.

use yaml_serde::value::{Tag, TaggedValue};
use yaml_serde::{Mapping, Value};

/// A mapping in the order of its entries.
pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Mapping(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}

/// A mapping of named entries.
pub(crate) fn map_of(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Mapping(entries.into_iter().map(|(key, value)| (Value::String(key), value)).collect::<Mapping>())
}

/// A text.
pub(crate) fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// A number.
pub(crate) fn number(number: u32) -> Value {
    Value::Number(number.into())
}

/// A list.
pub(crate) fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Sequence(items.into_iter().collect())
}

/// `!Ref name`.
pub(crate) fn reference(name: &str) -> Value {
    tagged("Ref", text(name))
}

/// `!Sub text`.
pub(crate) fn sub(template: impl Into<String>) -> Value {
    tagged("Sub", text(template))
}

/// `!tag value`.
pub(crate) fn tagged(tag: &str, value: Value) -> Value {
    Value::Tagged(Box::new(TaggedValue { tag: Tag::new(tag), value }))
}

/// As text, `indent` spaces further right.
pub(crate) fn print(value: &Value, indent: usize) -> anyhow::Result<String> {
    // The one text of ours that other readers of YAML take for a date.
    let plain = yaml_serde::to_string(value)?.replace("Version: 2012-10-17", "Version: \"2012-10-17\"");
    let front = " ".repeat(indent);
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("{front}{line}\n") };
    Ok(plain.lines().map(line).collect())
}
