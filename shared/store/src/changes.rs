//! Update expressions and their conditions.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::table::StoreError;

/// An update expression in the making. Names and values are always placeholders, so that no attribute can clash
/// with DynamoDB's reserved words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    sections: Vec<(&'static str, String)>,
    pub(crate) condition: Option<String>,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Changes {
    pub(crate) fn set<T: Serialize>(self, name: &str, value: &T) -> Result<Self, StoreError> {
        let value = serde_dynamo::to_attribute_value(value)?;
        Ok(self.change("SET", name, Some(value)))
    }

    /// Sets one member of the map `map`, which must be there, and leaves the others alone.
    pub(crate) fn set_in<T: Serialize>(
        mut self,
        map: &str,
        member: &str,
        value: &T,
    ) -> Result<Self, StoreError> {
        self.sections.push(("SET", format!("#{map}.#{member} = :new_{member}")));
        self.names.extend([map, member].map(|name| (format!("#{name}"), name.to_owned())));
        self.values.insert(format!(":new_{member}"), serde_dynamo::to_attribute_value(value)?);
        Ok(self)
    }

    /// Whether it changes nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Puts `member` into a set of strings.
    pub(crate) fn add_member(self, name: &str, member: &str) -> Self {
        self.change("ADD", name, Some(AttributeValue::Ss(vec![member.to_owned()])))
    }

    /// Counts one more.
    pub(crate) fn count(self, name: &str) -> Self {
        self.add(name, 1)
    }

    /// Adds a number to an attribute; one that is not there counts as nothing.
    pub(crate) fn add(self, name: &str, number: i64) -> Self {
        self.change("ADD", name, Some(AttributeValue::N(number.to_string())))
    }

    /// Takes `member` out of a set of strings.
    pub(crate) fn delete_member(self, name: &str, member: &str) -> Self {
        self.change("DELETE", name, Some(AttributeValue::Ss(vec![member.to_owned()])))
    }

    pub(crate) fn remove(self, name: &str) -> Self {
        self.change("REMOVE", name, None)
    }

    /// Adds a condition; all of them must hold. `values` are named `:name` in `expression`, attributes `#name`.
    pub(crate) fn when<const N: usize, const M: usize>(
        mut self,
        expression: &str,
        names: [&str; N],
        values: [(&str, AttributeValue); M],
    ) -> Self {
        self.names.extend(names.map(|name| (format!("#{name}"), name.to_owned())));
        self.values.extend(values.map(|(name, value)| (format!(":{name}"), value)));
        self.condition = Some(match self.condition {
            None => format!("({expression})"),
            Some(so_far) => format!("{so_far} AND ({expression})"),
        });
        self
    }

    fn change(mut self, section: &'static str, name: &str, value: Option<AttributeValue>) -> Self {
        let (attribute, placeholder) = (format!("#{name}"), format!(":new_{name}"));
        let text = match (section, value.is_some()) {
            ("SET", _) => format!("{attribute} = {placeholder}"),
            (_, true) => format!("{attribute} {placeholder}"),
            (_, false) => attribute.clone(),
        };
        self.sections.push((section, text));
        self.names.insert(attribute, name.to_owned());
        if let Some(value) = value {
            self.values.insert(placeholder, value);
        }
        self
    }

    pub(crate) fn expression(&self) -> String {
        let part = |section: &str| {
            let parts: Vec<&str> =
                self.sections.iter().filter(|(s, _)| *s == section).map(|(_, text)| text.as_str()).collect();
            (!parts.is_empty()).then(|| format!("{section} {}", parts.join(", ")))
        };
        ["SET", "REMOVE", "ADD", "DELETE"].into_iter().filter_map(part).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_expression_has_each_section_once() {
        let changes = Changes::default()
            .set("status", &"failed")
            .unwrap()
            .remove("open")
            .set("progress", &100)
            .unwrap()
            .add_member("running", "a")
            .when("#status <> :done", ["status"], [("done", AttributeValue::S("complete".to_owned()))])
            .when("attribute_exists(pk)", [], []);
        assert_eq!(
            changes.expression(),
            "SET #status = :new_status, #progress = :new_progress REMOVE #open ADD #running :new_running"
        );
        assert_eq!(changes.condition.as_deref(), Some("(#status <> :done) AND (attribute_exists(pk))"));
        assert_eq!(changes.names["#open"], "open");
        assert_eq!(changes.values.len(), 4);
    }
}
