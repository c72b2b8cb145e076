//! Parameters: `application/x-www-form-urlencoded` with Stripe's brackets, `a[b][0][c]=d`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::ApiError;

/// Deeper nesting than Stripe's API has anywhere.
const DEPTH_MAX: usize = 8;
const METADATA_KEYS_MAX: usize = 50;
const METADATA_KEY_CHARS_MAX: usize = 40;
const METADATA_VALUE_CHARS_MAX: usize = 500;

/// A parameter: text, or parameters by name or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    Tree(BTreeMap<String, Node>),
}

/// Parameters, and where among a call's they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params {
    at: String,
    tree: BTreeMap<String, Node>,
}

impl Params {
    /// Reads a query or a body.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, ApiError> {
        let mut params = Self::default();
        for (name, value) in url::form_urlencoded::parse(text) {
            let malformed = || ApiError::form(format!("Invalid parameter name: {name}")).param(&name);
            let (first, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
            let mut path = vec![first];
            if !rest.is_empty() {
                let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                path.extend(inner.ok_or_else(malformed)?.split("]["));
            }
            if first.is_empty() || path.len() > DEPTH_MAX || path.iter().any(|part| part.contains(['[', ']']))
            {
                return Err(malformed());
            }
            insert(&mut params.tree, &path, value.into_owned()).ok_or_else(malformed)?;
        }
        Ok(params)
    }

    /// Refuses what is not among `known`: paths as `a`, `a.b`, `a[].b`; `a.*` is anything below `a`.
    pub(crate) fn only(&self, known: &[&[&str]]) -> Result<(), ApiError> {
        let mut unknown = Vec::new();
        for (name, node) in &self.tree {
            collect_unknown(node, name.clone(), name.clone(), known, &mut unknown);
        }
        let Some(first) = unknown.first() else { return Ok(()) };
        let several = if unknown.len() == 1 { "" } else { "s" };
        let message = format!("Received unknown parameter{several}: {}", unknown.join(", "));
        Err(ApiError::form(message).code("parameter_unknown").param(first))
    }

    /// The name that an error gives a parameter of these.
    pub(crate) fn name(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}[{name}]", self.at) }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tree.contains_key(name)
    }

    /// A text that is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.tree.get(name) {
            None => Ok(None),
            Some(Node::Text(text)) if text.is_empty() => {
                let name = self.name(name);
                let message = format!(
                    "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a \
                     parameter; however '{name}' cannot be unset. You should remove '{name}' from your request or \
                     supply a non-empty value."
                );
                Err(ApiError::form(message).code("parameter_invalid_empty").param(&name))
            }
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Tree(_)) => {
                let name = self.name(name);
                Err(ApiError::form(format!("Invalid string: {name}")).param(&name))
            }
        }
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)?.ok_or_else(|| ApiError::missing(&self.name(name)))
    }

    /// A text that an empty one unsets: nothing, null or the text.
    pub(crate) fn clearable(&self, name: &str) -> Result<Option<Value>, ApiError> {
        match self.tree.get(name) {
            Some(Node::Text(text)) if text.is_empty() => Ok(Some(Value::Null)),
            _ => Ok(self.text(name)?.map(|text| json!(text))),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let code = ApiError::form(format!("Invalid integer: {text}")).code("parameter_invalid_integer");
            code.param(&self.name(name))
        })
    }

    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(ApiError::form(format!("Invalid boolean: {other}")).param(&self.name(name))),
        }
    }

    /// One of these words.
    pub(crate) fn choice(
        &self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Ok(Some(word));
        }
        let name = self.name(name);
        let message = format!("Invalid {name}: must be one of {}", words.join(", "));
        Err(ApiError::form(message).param(&name))
    }

    /// The parameters below one; none if it is not there.
    pub(crate) fn below(&self, name: &str) -> Result<Self, ApiError> {
        let at = self.name(name);
        match self.tree.get(name) {
            None => Ok(Self { at, tree: BTreeMap::new() }),
            Some(Node::Tree(tree)) => Ok(Self { at, tree: tree.clone() }),
            Some(Node::Text(_)) => Err(ApiError::form(format!("Invalid object: {at}")).param(&at)),
        }
    }

    /// The members of a list, each as parameters.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<Self>, ApiError> {
        let list = self.below(name)?;
        let mut members = Vec::new();
        for index in list.indexes()? {
            members.push(list.below(&index)?);
        }
        Ok(members)
    }

    /// The members of a list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let list = self.below(name)?;
        list.indexes()?.iter().map(|index| list.required(index).map(str::to_owned)).collect()
    }

    fn indexes(&self) -> Result<Vec<String>, ApiError> {
        let mut indexes = Vec::new();
        for name in self.tree.keys() {
            let index: u32 = name
                .parse()
                .map_err(|_| ApiError::form(format!("Invalid array: {}", self.at)).param(&self.at))?;
            indexes.push((index, name.clone()));
        }
        indexes.sort();
        Ok(indexes.into_iter().map(|(_, name)| name).collect())
    }

    /// The names and texts below these, for what is kept as it comes.
    pub(crate) fn value(&self) -> Map<String, Value> {
        self.tree.iter().map(|(name, node)| (name.clone(), value(node))).collect()
    }

    /// Metadata: what is given is set, an empty text takes a key away, and an empty `metadata` all of them.
    pub(crate) fn metadata(&self, before: &Value) -> Result<Value, ApiError> {
        let mut metadata = before.as_object().cloned().unwrap_or_default();
        if matches!(self.tree.get("metadata"), Some(Node::Text(text)) if text.is_empty()) {
            return Ok(json!({}));
        }
        let given = self.below("metadata")?;
        for (key, node) in &given.tree {
            let param = given.name(key);
            let Node::Text(text) = node else {
                return Err(ApiError::form("Metadata values must be strings.").param(&param));
            };
            if key.chars().count() > METADATA_KEY_CHARS_MAX {
                let message = format!("Metadata keys can have up to {METADATA_KEY_CHARS_MAX} characters.");
                return Err(ApiError::form(message).param(&self.name("metadata")));
            }
            let length = text.chars().count();
            if length > METADATA_VALUE_CHARS_MAX {
                let message = format!(
                    "Metadata values can have up to {METADATA_VALUE_CHARS_MAX} characters, but you passed in a \
                     value that is {length} characters."
                );
                return Err(ApiError::form(message).param(&self.name("metadata")));
            }
            if text.is_empty() {
                metadata.remove(key);
            } else {
                metadata.insert(key.clone(), json!(text));
            }
        }
        if metadata.len() > METADATA_KEYS_MAX {
            let message = format!("Metadata can have up to {METADATA_KEYS_MAX} keys.");
            return Err(ApiError::form(message).param(&self.name("metadata")));
        }
        Ok(Value::Object(metadata))
    }

    /// A text by which two calls with the same parameters are known.
    pub(crate) fn canonical(&self) -> String {
        Value::Object(self.value()).to_string()
    }
}

fn value(node: &Node) -> Value {
    match node {
        Node::Text(text) => json!(text),
        Node::Tree(tree) => tree.iter().map(|(name, node)| (name.clone(), value(node))).collect(),
    }
}

/// Nothing if the path contradicts another one.
fn insert(tree: &mut BTreeMap<String, Node>, path: &[&str], text: String) -> Option<()> {
    let (first, rest) = path.split_first()?;
    // `a[]` is the next one.
    let name = if first.is_empty() { tree.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        tree.insert(name, Node::Text(text));
        return Some(());
    }
    match tree.entry(name).or_insert_with(|| Node::Tree(BTreeMap::new())) {
        Node::Tree(below) => insert(below, rest, text),
        Node::Text(_) => None,
    }
}

fn collect_unknown(node: &Node, shown: String, path: String, known: &[&[&str]], unknown: &mut Vec<String>) {
    let known_as = |wanted: &str| known.iter().any(|list| list.contains(&wanted));
    if known_as(&format!("{path}.*")) || known_as(&format!("{path}[]")) {
        return;
    }
    match node {
        Node::Tree(tree) if !tree.is_empty() => {
            let within = |pattern: &&str| {
                pattern.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']))
            };
            if !known.iter().any(|list| list.iter().any(within)) && !known_as(&path) {
                unknown.push(shown);
                return;
            }
            for (name, below) in tree {
                let index = name.bytes().all(|byte| byte.is_ascii_digit());
                let path = if index { format!("{path}[]") } else { format!("{path}.{name}") };
                collect_unknown(below, format!("{shown}[{name}]"), path, known, unknown);
            }
        }
        _ => {
            // An empty text where something is expected below unsets it.
            let unsets = matches!(node, Node::Text(text) if text.is_empty())
                && known
                    .iter()
                    .any(|list| list.iter().any(|pattern| pattern.starts_with(&format!("{path}."))));
            if !known_as(&path) && !unsets {
                unknown.push(shown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn brackets_nest_and_lists_are_numbered() {
        let params = parse("a=1&b[c]=x%26y&l[0][p]=q&l[1][p]=r&e[]=s&e[]=t");
        assert_eq!(params.integer("a").unwrap(), Some(1));
        assert_eq!(params.below("b").unwrap().text("c").unwrap(), Some("x&y"));
        assert_eq!(params.texts("e").unwrap(), ["s", "t"]);
        let members = params.list("l").unwrap();
        assert_eq!(members[1].required("p").unwrap(), "r");
        assert_eq!(members[1].required("z").unwrap_err().error["param"], "l[1][z]");
    }

    #[test]
    fn ten_members_keep_their_order() {
        let text: Vec<String> = (0..12).map(|index| format!("e[{index}]={index}")).collect();
        let wanted: Vec<String> = (0..12).map(|index| index.to_string()).collect();
        assert_eq!(parse(&text.join("&")).texts("e").unwrap(), wanted);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["a[=1", "a]=1", "=1", "a=1&a[b]=2", "[a]=1", "a[b]c=1"] {
            assert_eq!(Params::parse(text.as_bytes()).unwrap_err().status, 400, "{text}");
        }
        for (text, code) in [("n=25.5", "parameter_invalid_integer"), ("n=", "parameter_invalid_empty")] {
            assert_eq!(parse(text).integer("n").unwrap_err().error["code"], code);
        }
        assert!(parse("b=yes").boolean("b").is_err());
        assert!(parse("m=x").choice("m", &["y", "z"]).is_err());
    }

    #[test]
    fn unknown_parameters_are_named_as_they_were_written() {
        let known: &[&[&str]] = &[&["a", "b.c", "l[].p.q", "m.*", "expand[]"]];
        for fine in ["a=1&b[c]=2&l[0][p][q]=3&m[x]=y&expand[]=z", "m="] {
            assert!(parse(fine).only(known).is_ok(), "{fine}");
        }
        let error = parse("a=1&b[d]=2&l[0][p][z]=3&z=1").only(known).unwrap_err();
        assert_eq!(error.error["message"], "Received unknown parameters: b[d], l[0][p][z], z");
        assert_eq!(error.error["code"], "parameter_unknown");
        assert_eq!(error.error["param"], "b[d]");
        assert_eq!(error.effect, crate::error::Effect::Nothing);
    }

    #[test]
    fn metadata_is_merged_and_bounded() {
        let before = json!({ "a": "1", "b": "2" });
        let after = parse("metadata[a]=&metadata[c]=3").metadata(&before).unwrap();
        assert_eq!(after, json!({ "b": "2", "c": "3" }));
        assert_eq!(parse("metadata=").metadata(&before).unwrap(), json!({}));
        assert_eq!(parse("").metadata(&before).unwrap(), before);
        let long = "x".repeat(501);
        assert!(parse(&format!("metadata[a]={long}")).metadata(&before).is_err());
        assert!(parse(&format!("metadata[{long}]=a")).metadata(&before).is_err());
    }
}
