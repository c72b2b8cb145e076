//! Reading a JSON body, and saying what is wrong with it in the words of whoever sent it.
//!
//! serde speaks of Rust's types and takes a list for an object, the values in the order of our own fields. Here an object is
//! an object, however deep it lies, and a problem names the field.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Unexpected, Visitor},
};
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment, Track};

/// The longest part of a body that is quoted, in characters.
const QUOTED_CHARS_MAX: usize = 40;

/// Reads `body`.
///
/// # Errors
/// What is wrong, for people.
pub(crate) fn read<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    let read = T::deserialize(serde_path_to_error::Deserializer::new(Strict(&mut json), &mut track));
    match read {
        Ok(read) => json.end().map(|()| read).map_err(|error| told(&error, &Track::new().path())),
        Err(error) => Err(told(&error, &track.path())),
    }
}

fn told(error: &serde_json::Error, path: &Path) -> String {
    match error.classify() {
        Category::Eof => "The body ends before the JSON does.".to_owned(),
        Category::Syntax | Category::Io => {
            let (line, column) = (error.line(), error.column());
            format!("The body is not valid JSON: look at line {line}, column {column}.")
        }
        Category::Data => told_of_data(&error.to_string(), path),
    }
}

/// A problem with what the JSON says, as serde words it.
fn told_of_data(problem: &str, path: &Path) -> String {
    // The place is told by the field's name.
    let problem = problem.rsplit_once(" at line ").map_or(problem, |(problem, _)| problem);
    let quoted = |rest: &str| rest.split('`').nth(1).unwrap_or_default().to_owned();
    let whose = name(path);
    if problem.starts_with("missing field") {
        return format!("The field `{}` is missing.", within(whose.as_deref(), &quoted(problem)));
    }
    if problem.starts_with("duplicate field") {
        return format!("The field `{}` is there twice.", within(whose.as_deref(), &quoted(problem)));
    }
    let subject = match &whose {
        Some(name) => format!("The value of `{name}`"),
        None => "The body".to_owned(),
    };
    if let Some(rest) = problem.strip_prefix("unknown variant ") {
        let known = rest.split_once("expected ").map_or("", |(_, known)| known);
        let known = known.strip_prefix("one of ").unwrap_or(known).replace('`', "");
        let known = known.replace(" or ", ", ");
        return format!("{subject} must be one of {known}, not {}.", shortened(&quoted(rest)));
    }
    let wrong = ["invalid type: ", "invalid value: ", "invalid length "];
    let wrong = wrong.into_iter().find_map(|word| problem.strip_prefix(word));
    match wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("{subject} must be {}, not {}.", wanted(expected), seen(found)),
        // Our own words.
        None => domain::sentence::sentence(&format!("{subject} cannot be read: {problem}")),
    }
}

/// `a.b[2].c`; `None` for the body itself.
fn name(path: &Path) -> Option<String> {
    let mut name = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } => {
                name = within(Some(&name).filter(|name| !name.is_empty()), &shortened(key))
            }
            Segment::Seq { index } => name = format!("{name}[{index}]"),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    (!name.is_empty()).then_some(name)
}

fn within<S: AsRef<str>>(object: Option<S>, field: &str) -> String {
    object.map_or_else(|| field.to_owned(), |object| format!("{}.{field}", object.as_ref()))
}

/// What serde expects, in words.
fn wanted(expected: &str) -> String {
    let words = match expected {
        "u64" | "usize" | "u128" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "f32" | "f64" => "a number",
        "a string" | "a borrowed string" | "string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" | "map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    words.to_owned()
}

/// What serde found, in words.
fn seen(found: &str) -> String {
    let literal =
        || found.split_once('`').and_then(|(_, rest)| rest.rsplit_once('`')).map(|(inner, _)| inner);
    match found {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        "null" | "unit value" | "Option value" => "null".to_owned(),
        _ if found.starts_with("string ") => shortened(&found["string ".len()..]),
        _ => literal().map_or_else(|| found.to_owned(), shortened),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A deserializer, and all within it, that takes no list for an object.
struct Strict<D>(D);

/// What a visitor sees of it.
struct Watched<V> {
    visitor: V,
    wants_object: bool,
}

macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* Watched { visitor, wants_object: false })
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    pass_on!(
        deserialize_any(),
        deserialize_bool(),
        deserialize_i8(),
        deserialize_i16(),
        deserialize_i32(),
        deserialize_i64(),
        deserialize_i128(),
        deserialize_u8(),
        deserialize_u16(),
        deserialize_u32(),
        deserialize_u64(),
        deserialize_u128(),
        deserialize_f32(),
        deserialize_f64(),
        deserialize_char(),
        deserialize_str(),
        deserialize_string(),
        deserialize_bytes(),
        deserialize_byte_buf(),
        deserialize_option(),
        deserialize_unit(),
        deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str),
        deserialize_seq(),
        deserialize_tuple(len: usize),
        deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_map(),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
        deserialize_identifier(),
        deserialize_ignored_any(),
    );

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Watched { visitor, wants_object: true })
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident: $type:ty),* $(,)?) => {
        $(fn $method<E: de::Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watched<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    visit!(
        visit_bool: bool,
        visit_i8: i8,
        visit_i16: i16,
        visit_i32: i32,
        visit_i64: i64,
        visit_i128: i128,
        visit_u8: u8,
        visit_u16: u16,
        visit_u32: u32,
        visit_u64: u64,
        visit_u128: u128,
        visit_f32: f32,
        visit_f64: f64,
        visit_char: char,
        visit_str: &str,
        visit_borrowed_str: &'de str,
        visit_string: String,
        visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8],
        visit_byte_buf: Vec<u8>,
    );

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<V::Value, A::Error> {
        if self.wants_object {
            return Err(de::Error::invalid_type(Unexpected::Seq, &"a map"));
        }
        self.visitor.visit_seq(Strict(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Strict(object))
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, choice: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(choice)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::{account::Scope, sentence::is_sentence};
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        on: Option<bool>,
        off: Option<bool>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Body {
        url: String,
        count: Option<u64>,
        seconds: Option<f64>,
        small: Option<u32>,
        inner: Option<Inner>,
        #[serde(default)]
        scopes: Vec<Scope>,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        any: BTreeMap<String, serde_json::Value>,
    }

    fn problem(body: &str) -> String {
        read::<Body>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_right_is_read() {
        let body: Body = read(
            br#"{"url":"a","inner":{"on":true},"list":[{}],"any":{"x":[1,[2],{"y":null}]},"of_tomorrow":[]}"#,
        )
        .unwrap();
        assert_eq!(body.inner, Some(Inner { on: Some(true), off: None }));
        assert_eq!((body.list.len(), body.any["x"].to_string()), (1, r#"[1,[2],{"y":null}]"#.to_owned()));
        assert_eq!(read::<Option<Inner>>(b"null"), Ok(None));
    }

    #[test]
    fn problems_are_told_in_the_words_of_json() {
        for (body, told) in [
            (r"{}", "The field `url` is missing."),
            (r#"{"url":5}"#, "The value of `url` must be text, not 5."),
            (r#"{"url":null}"#, "The value of `url` must be text, not null."),
            (r#"{"url":"a","url":"b"}"#, "The field `url` is there twice."),
            (
                r#"{"url":"a","count":"7"}"#,
                "The value of `count` must be a whole number, 0 or more, not \"7\".",
            ),
            (r#"{"url":"a","count":-7}"#, "The value of `count` must be a whole number, 0 or more, not -7."),
            (
                r#"{"url":"a","count":7.5}"#,
                "The value of `count` must be a whole number, 0 or more, not 7.5.",
            ),
            (
                r#"{"url":"a","small":4294967296}"#,
                "The value of `small` must be a whole number from 0 to 4294967295, not 4294967296.",
            ),
            (r#"{"url":"a","seconds":[]}"#, "The value of `seconds` must be a number, not a list."),
            (
                r#"{"url":"a","inner":{"on":"yes"}}"#,
                "The value of `inner.on` must be true or false, not \"yes\".",
            ),
            (r#"{"url":"a","inner":[true,null]}"#, "The value of `inner` must be an object, not a list."),
            (r#"{"url":"a","list":{}}"#, "The value of `list` must be a list, not an object."),
            (
                r#"{"url":"a","list":[{},[null,null]]}"#,
                "The value of `list[1]` must be an object, not a list.",
            ),
            (
                r#"{"url":"a","scopes":["billing","all"]}"#,
                "The value of `scopes[1]` must be one of clips:read, clips:write, billing, webhooks, not all.",
            ),
            (r#"[null,null]"#, "The body must be an object, not a list."),
            (r#"{"url":"a""#, "The body ends before the JSON does."),
            (r#"{"url":"a"} x"#, "The body is not valid JSON: look at line 1, column 13."),
            ("{\n'url': 1}", "The body is not valid JSON: look at line 2, column 1."),
            (r#"{"url":NaN}"#, "The body is not valid JSON: look at line 1, column 8."),
        ] {
            assert_eq!(problem(body), told, "{body}");
        }
        let long = format!("{{\"url\":\"a\",\"count\":\"{}\"}}", "ä".repeat(1000));
        assert!(problem(&long).len() < 200);
    }

    /// A part of JSON of which about anything may be wrong.
    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "[ -~]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let name = prop_oneof![
                Just("url"),
                Just("count"),
                Just("seconds"),
                Just("small"),
                Just("inner"),
                Just("on"),
                Just("scopes"),
                Just("list"),
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
                prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nobody_hears_of_rusts_types(value in value()) {
            if let Err(problem) = read::<Body>(value.to_string().as_bytes()) {
                prop_assert!(is_sentence(&problem), "{}", problem);
                let words = problem.split('"').next().unwrap_or_default();
                for word in ["u64", "u32", "f64", "struct", "variant", "sequence", "expected", "line 1 "] {
                    prop_assert!(!words.contains(word), "{}", problem);
                }
            }
        }
    }
}
