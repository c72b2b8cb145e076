//! What a call reads and changes. Nothing is changed until all of it is.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::VERSION;
use crate::deliver::Delivery;
use crate::error::ApiError;
use crate::state::{Change, Record, Settings, State};

/// Letters of the ids; 24 of them, as Stripe's usually have.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ID_LETTERS: usize = 24;

/// The request on whose behalf something changes; events name it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    pub(crate) request: Option<String>,
    pub(crate) idempotency_key: Option<String>,
}

/// The state as this call has changed it so far.
#[derive(Debug)]
pub(crate) struct Tx<'a> {
    state: &'a State,
    change: Change,
    /// Seconds since 1970, by the clock that can be moved.
    pub(crate) now: i64,
    /// What addresses of pages begin with.
    pub(crate) base: &'a str,
    cause: Cause,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(state: &'a State, now: i64, base: &'a str, cause: Cause) -> Self {
        let change = Change { counter: state.counter, ..Change::default() };
        Self { state, change, now, base, cause }
    }

    /// What it has changed.
    pub(crate) fn change(self) -> Change {
        self.change
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.change.settings.as_ref().unwrap_or(&self.state.settings)
    }

    pub(crate) fn set_settings(&mut self, settings: Settings) {
        self.change.settings = Some(settings);
    }

    pub(crate) fn record(&self, id: &str) -> Option<&Record> {
        self.change.put.get(id).or_else(|| self.state.get(id))
    }

    /// An object by its id, if it is of this kind.
    pub(crate) fn find(&self, kind: &str, id: &str) -> Option<Value> {
        self.record(id).filter(|record| record.kind() == kind).map(|record| record.object.clone())
    }

    /// The same, where it must be there: `param` named it, or the address if that is `id`.
    pub(crate) fn get(&self, kind: &str, id: &str, param: &str) -> Result<Value, ApiError> {
        self.find(kind, id).ok_or_else(|| ApiError::no_such(kind, id, param))
    }

    /// What no answer shows of an object.
    pub(crate) fn hidden(&self, id: &str) -> &Value {
        self.record(id).map_or(&Value::Null, |record| &record.hidden)
    }

    /// All of a kind, the newest first, without those that were deleted.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Record> {
        let mut found: BTreeMap<u64, &Record> = BTreeMap::new();
        for record in self.state.of_kind(kind).filter_map(|id| self.record(id)) {
            found.insert(record.seq, record);
        }
        for record in self.change.put.values().filter(|record| record.kind() == kind) {
            found.insert(record.seq, record);
        }
        found.into_values().rev().filter(|record| !record.deleted()).collect()
    }

    fn number(&mut self) -> u64 {
        self.change.counter += 1;
        self.change.counter
    }

    /// A new id.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        let number = self.number();
        format!("{prefix}_{}", letters(self.state.settings.seed, number, ID_LETTERS))
    }

    /// A secret that belongs to an id.
    pub(crate) fn client_secret(&self, id: &str) -> String {
        let number = Sha256::digest(id.as_bytes())
            .iter()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(257).wrapping_add(u64::from(*byte)));
        format!("{id}_secret_{}", letters(self.state.settings.seed, number, ID_LETTERS))
    }

    /// Keeps an object, new or changed.
    pub(crate) fn put(&mut self, object: Value) {
        let hidden = self.hidden(object["id"].as_str().unwrap_or_default()).clone();
        self.put_with(object, hidden);
    }

    /// Keeps an object with what no answer shows.
    pub(crate) fn put_with(&mut self, object: Value, hidden: Value) {
        let id = object["id"].as_str().unwrap_or_default().to_owned();
        let seq = self.record(&id).map(|record| record.seq);
        let seq = seq.unwrap_or_else(|| self.number());
        self.change.put.insert(id, Record { seq, object, hidden });
    }

    /// Changes what no answer shows.
    pub(crate) fn hide(&mut self, id: &str, hidden: Value) {
        if let Some(record) = self.record(id) {
            let record = Record { hidden, ..record.clone() };
            self.change.put.insert(id.to_owned(), record);
        }
    }

    /// Tells the shop that something has happened to an object.
    pub(crate) fn emit(&mut self, kind: &str, object: &Value) {
        self.emit_with(kind, object, Value::Null);
    }

    /// The same, with what the object had before.
    pub(crate) fn emit_with(&mut self, kind: &str, object: &Value, before: Value) {
        let id = self.id("evt");
        let mut data = json!({ "object": object });
        if !before.is_null() {
            data["previous_attributes"] = before;
        }
        let event = json!({
            "id": id,
            "object": "event",
            "api_version": VERSION,
            "created": self.now,
            "data": data,
            "livemode": false,
            "pending_webhooks": i32::from(self.state.settings.webhook.is_some()),
            "request": { "id": self.cause.request, "idempotency_key": self.cause.idempotency_key },
            "type": kind,
        });
        let seq = self.number();
        self.change.deliveries.insert(seq, Delivery::new(id.clone(), kind));
        self.change.put.insert(id, Record { seq, object: event, hidden: Value::Null });
    }
}

/// So many letters that follow from a seed and a number.
pub(crate) fn letters(seed: u64, number: u64, count: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    let digest = hash.finalize();
    digest.iter().take(count).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}
