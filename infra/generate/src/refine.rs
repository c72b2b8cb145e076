//! What the types do not say of themselves: of two fields one, the words that a field takes, bounds and formats.
//!
//! Bounds and words are the domain's own, so that the description cannot promise something else.

use std::collections::BTreeMap;

use domain::{
    account::{KEY_NAME_CHARS_MAX, Scope},
    clip::Precision,
    download,
    ledger::EntryKind,
    library::NAME_CHARS_MAX,
    limits::URL_BYTES_MAX,
    money::WalletKind,
    payment,
    quality::{Format, Quality},
    reload,
    storage::PURCHASE_GB_MAX,
    upload::{FILE_BYTES_MAX, NAME_BYTES_MAX},
    webhook::{self, Topic},
};
use serde_json::{Map, Value, json};

/// Names of properties that are instants.
const INSTANTS: [&str; 10] = [
    "at",
    "created",
    "expires_at",
    "failing_since",
    "former_secret_until",
    "last_used",
    "locked_until",
    "next_attempt",
    "updated",
    "until",
];

/// Completes all schemas.
pub(crate) fn refine(schemas: &mut BTreeMap<String, Value>) {
    for (name, schema) in schemas {
        refine_one(name, schema);
    }
}

fn refine_one(name: &str, schema: &mut Value) {
    for list in ["allOf", "anyOf", "oneOf"] {
        for part in schema.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            refine_one(name, part);
        }
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (property, of) in properties.iter_mut() {
        for (word, value) in known(name, property) {
            complete(of, &word, value);
        }
    }
    let has = |all: &[&str]| all.iter().all(|property| properties.contains_key(*property));
    if has(&["url", "file_id"]) {
        schema["oneOf"] = json!([given(&["url"]), given(&["file_id"])]);
    } else if has(&["token", "email", "code"]) {
        schema["oneOf"] = json!([given(&["token"]), given(&["email", "code"])]);
    }
}

/// These fields are there, and are not null.
fn given(fields: &[&str]) -> Value {
    let text: Map<_, _> =
        fields.iter().map(|field| ((*field).to_owned(), json!({ "type": "string" }))).collect();
    json!({ "required": fields, "properties": text })
}

/// Adds a keyword to a property, where its type has it: of a list to its items, and with null among the words where that is
/// allowed.
fn complete(property: &mut Value, keyword: &str, mut value: Value) {
    if let Some(items) = property.get_mut("items") {
        return complete(items, keyword, value);
    }
    let is_nullable = property["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
    if let (true, Some(words)) = (is_nullable, value.as_array_mut()) {
        words.push(Value::Null);
    }
    property[keyword] = value;
}

/// The keywords of a property.
fn known(schema: &str, property: &str) -> Map<String, Value> {
    let is_request = schema.ends_with("Request") || schema.ends_with("Change");
    let keywords = match (schema, property) {
        (_, property) if INSTANTS.contains(&property) => json!({ "format": "date-time" }),
        (_, property) if property.ends_with("_url") => json!({ "format": "uri" }),
        ("WebhookRequest" | "WebhookChange", "url") | (_, "webhook") if is_request => {
            json!({ "format": "uri", "pattern": "^https://", "maxLength": webhook::URL_BYTES_MAX })
        }
        (_, "url") if is_request => json!({ "format": "uri", "maxLength": URL_BYTES_MAX }),
        (_, "email") => json!({ "format": "email" }),
        ("VerifyRequest", "code") => json!({ "pattern": "^[0-9]{6}$" }),
        (_, "file_id") => json!({ "pattern": "^[a-z0-9]{16}$" }),
        ("DownloadRequest", "format") => json!({ "enum": download::FORMATS.map(Format::extension) }),
        (_, "format") => json!({ "enum": Format::ALL.map(Format::extension) }),
        (_, "quality") if is_request => json!({ "enum": Quality::WORDS }),
        (_, "precision") => json!({ "enum": Precision::WORDS }),
        (_, "scopes") => json!({ "enum": Scope::ALL.map(Scope::word) }),
        (_, "events") => json!({ "enum": Topic::ALL.map(Topic::word) }),
        ("DeliveryView", "event") => {
            let words: Vec<_> = Topic::ALL.into_iter().chain([Topic::Test]).map(Topic::word).collect();
            json!({ "enum": words })
        }
        ("Transaction", "type") => json!({ "enum": EntryKind::ALL.map(EntryKind::word) }),
        ("Transaction", "wallet") => json!({ "enum": WalletKind::ALL.map(WalletKind::word) }),
        ("DepositRequest" | "ReloadRequest", "amount") => {
            json!({ "minimum": payment::CENTS_MIN, "maximum": payment::CENTS_MAX })
        }
        ("ReloadSettingsChange", "password") => {
            json!({ "minLength": reload::PASSWORD_CHARS_MIN, "maxLength": reload::PASSWORD_CHARS_MAX })
        }
        ("StorageRequest", "gb") => json!({ "minimum": 1, "maximum": PURCHASE_GB_MAX }),
        ("UploadRequest", "file_size") => json!({ "minimum": 1, "maximum": FILE_BYTES_MAX }),
        ("UploadRequest", "filename") => json!({ "minLength": 1, "maxLength": NAME_BYTES_MAX }),
        ("UploadRequest", "content_type") => json!({ "pattern": "^[^/]+/[^/]+$" }),
        ("RenameRequest", "name") => json!({ "minLength": 1, "maxLength": NAME_CHARS_MAX }),
        ("KeyRequest", "name") => json!({ "minLength": 1, "maxLength": KEY_NAME_CHARS_MAX }),
        ("KeyRequest", "daily_cap") => json!({ "exclusiveMinimum": 0, "maximum": 1_000_000 }),
        ("JobView" | "UploadView", "progress") => json!({ "minimum": 0, "maximum": 100 }),
        _ => Value::Null,
    };
    keywords.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_two_fields_is_told_and_null_is_none() {
        let text = json!({ "type": ["string", "null"] });
        let mut schemas = BTreeMap::from([(
            "ClipRequest".to_owned(),
            json!({ "properties": { "url": text, "file_id": text, "format": text, "scopes": { "type": "array", "items": {} } } }),
        )]);
        refine(&mut schemas);
        let schema = &schemas["ClipRequest"];
        assert_eq!(
            schema["oneOf"],
            json!([
                { "required": ["url"], "properties": { "url": { "type": "string" } } },
                { "required": ["file_id"], "properties": { "file_id": { "type": "string" } } },
            ])
        );
        let format = &schema["properties"]["format"]["enum"];
        assert_eq!(*format, json!(["mp4", "mp3", "gif", "m4a", "wav", "flac", null]));
        assert_eq!(schema["properties"]["url"]["maxLength"], 4096);
        assert!(schema["properties"]["scopes"]["items"]["enum"].is_array());
    }

    /// The words are those that are taken.
    #[test]
    fn words_are_read_as_they_are_described() {
        assert!(Quality::WORDS.iter().all(|word| Quality::parse(word).is_some()));
        assert!(Precision::WORDS.iter().all(|word| Precision::parse(word).is_some()));
        assert!(Format::ALL.iter().all(|format| Format::parse(format.extension()) == Some(*format)));
        assert!(Topic::ALL.iter().all(|topic| Topic::parse(topic.word()) == Some(*topic)));
    }
}
