//! All that this Stripe knows, and a change of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::deliver::{Carried, Delivery};
use crate::{Network, Webhook};

/// An object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When it was made, among all others.
    pub(crate) seq: u64,
    /// As answers show it.
    pub(crate) object: Value,
    /// What no answer shows: a card's number, what a session has still to do.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) hidden: Value,
}

impl Record {
    pub(crate) fn id(&self) -> &str {
        self.object["id"].as_str().unwrap_or_default()
    }

    pub(crate) fn kind(&self) -> &str {
        self.object["object"].as_str().unwrap_or_default()
    }

    /// A customer that was deleted leaves this behind; lists are without it.
    pub(crate) fn deleted(&self) -> bool {
        self.object["deleted"] == true
    }
}

/// The answer that is kept under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) params: String,
    pub(crate) request: String,
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) at: i64,
}

/// What is not an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Ids are made from it.
    pub(crate) seed: u64,
    /// The last port: addresses of pages are kept in objects, so it is taken again.
    pub(crate) port: u16,
    /// How far the clock was moved on, in seconds.
    pub(crate) offset: i64,
    pub(crate) webhook: Option<Webhook>,
    #[serde(default)]
    pub(crate) network: Network,
}

/// What happens at once: a line of the log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The highest number that was given away.
    pub(crate) counter: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) put: BTreeMap<String, Record>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Kept>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Settings>,
}

impl Change {
    /// Whether it changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.put.is_empty() && self.deliveries.is_empty() && self.kept.is_none() && self.settings.is_none()
    }
}

/// All that is known.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) counter: u64,
    records: BTreeMap<String, Record>,
    /// Their ids by kind and by when they were made.
    order: BTreeMap<String, BTreeMap<u64, String>>,
    /// By the number of the event.
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    /// Those of them that are still on their way.
    pub(crate) pending: BTreeSet<u64>,
    /// By key.
    pub(crate) kept: BTreeMap<String, Kept>,
    pub(crate) settings: Settings,
}

impl State {
    pub(crate) fn get(&self, id: &str) -> Option<&Record> {
        self.records.get(id)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// The ids of all of a kind, the oldest first.
    pub(crate) fn of_kind(&self, kind: &str) -> impl DoubleEndedIterator<Item = &String> {
        self.order.get(kind).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn apply(&mut self, change: Change) {
        self.counter = self.counter.max(change.counter);
        for (id, record) in change.put {
            let of_kind = self.order.entry(record.kind().to_owned()).or_default();
            of_kind.insert(record.seq, id.clone());
            self.records.insert(id, record);
        }
        for (seq, delivery) in change.deliveries {
            if delivery.state == Carried::Pending {
                self.pending.insert(seq);
            } else {
                self.pending.remove(&seq);
            }
            self.deliveries.insert(seq, delivery);
        }
        if let Some(kept) = change.kept {
            self.kept.insert(kept.key.clone(), kept);
        }
        if let Some(settings) = change.settings {
            self.settings = settings;
        }
    }
}
