//! What transactions have moved in and out of wallets of dollars, for whoever watches.
//!
//! Read off the entries that a transaction puts, once it has succeeded: so whatever moves money is seen, and a repeat that
//! changed nothing is not.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{ledger::EntryKind, money::WalletKind};

use crate::{
    keys,
    ledger::EntryRow,
    table::{Item, Table},
};

/// Micro-dollars by kind of entry.
type Sums = HashMap<EntryKind, u64>;

/// What was moved since somebody last asked. Clones of a table share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows(Arc<Mutex<Sums>>);

impl Flows {
    pub(crate) fn add(&self, moved: &[(EntryKind, u64)]) {
        let mut sums = self.lock();
        for (kind, amount) in moved {
            let sum = sums.entry(*kind).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `actions` move if they are carried out.
pub(crate) fn of(actions: &[TransactWriteItem]) -> Vec<(EntryKind, u64)> {
    let entries = actions.iter().filter_map(|action| entry(action.put()?.item()));
    entries.map(|EntryRow { entry, .. }| (entry.kind, entry.amount())).collect()
}

fn entry(item: &Item) -> Option<EntryRow> {
    let AttributeValue::S(sk) = item.get(keys::SK)? else { return None };
    sk.starts_with(&keys::entries(WalletKind::Usd)).then(|| serde_dynamo::from_item(item.clone()).ok())?
}

impl Table {
    /// Takes what was moved since the last time, in micro-dollars.
    #[must_use]
    pub fn take_flows(&self) -> Vec<(EntryKind, u64)> {
        std::mem::take(&mut *self.flows.lock()).into_iter().collect()
    }
}
