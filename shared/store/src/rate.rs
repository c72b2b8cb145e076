//! Counts requests against their quotas.
//!
//! Each window of a quota has a count of its own, named by the window's end, so counting is one conditional `ADD`
//! and nothing is ever set back. A key's counts are attributes of the key's own item: the update that counts a
//! request also tells whose key it is, or that it is unknown.
//!
//! That update's condition fails for a key that does not exist (no item comes back: 401) and for a window that is full
//! (the item comes back: 429). A key is found by its digest, so nothing compares secrets, and unknown and malformed
//! keys get the same answer, byte for byte. The update removes the counts of past windows; those of a key that rests in
//! between are removed once they are more than a few.
//!
//! A key's daily cap counts what its jobs reserve and, once they end, what they were charged: one sum for each day
//! (UTC), changed in the transactions that hold and resolve. It is an item of its own, because every request writes to
//! the key's item, and transactions and single updates on one item get in each other's way.
//!
//! **The account** is bounded without a count of its own, which would be a third round trip for each request: a key's
//! account is known only once its item has been read, so both could not be counted in one transaction either (and each
//! request would write twice as much, and wait for those of the account's other keys). Instead its keys cannot be more than
//! ten within any minute: a key that takes the place of one deleted in the same minute begins with the next
//! ([`Table::create_key`](crate::Table)). So an account has ten times what a key has, whatever it does with its keys. What
//! costs more than a request is counted for the account when it is asked for: [`Table::take`].

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    ids::{AccountId, ApiKey},
    job::Cap,
    ledger::LedgerError,
    money::Amount,
    rate::{Decision, Quota},
    time::Timestamp,
};
use tracing::warn;

use crate::{
    accounts::KeyRecord,
    keys::{self, Key},
    table::{Changes, Item, StoreError, Table},
};

/// The attribute that counts, where a window has an item of its own.
const COUNT: &str = "count";
/// The attribute that adds up what was spent with a key.
const SPENT: &str = "spent";
/// A day's sum outlives every job of that day.
const SPENT_KEPT_SECONDS: i64 = 86_400;
/// Clocks of two functions may differ by a moment: a count is deleted only when its window is well gone.
const KEPT_AFTER_SECONDS: i64 = 300;
/// How many counts of windows that are over a key's item may carry. A key in steady use leaves none; one that comes
/// and goes leaves one each time, and about one request in so many pays for taking them away.
const STALE_MAX: usize = 16;

/// A request with a key that exists.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The key's record.
    pub key: KeyRecord,
    /// What each of the quotas says. The request passes if all of them allow it.
    pub decisions: Vec<Decision>,
}

impl Table {
    /// Whose key this is, and whether one more request of it passes `quotas`, in one round trip; the request is
    /// counted if it passes. `None` if there is no such key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn admit(
        &self,
        key: &ApiKey,
        quotas: &[Quota],
        now: Timestamp,
    ) -> Result<Option<Admission>, StoreError> {
        let item_key = keys::api_key(key);
        let mut change =
            Changes::default().set(keys::LAST_USED_AT, &now)?.when("attribute_exists(pk)", [], []);
        for &quota in quotas {
            // The window before this one stays: a function whose clock is behind may still count in it.
            let over = now.plus_ms(-2 * 1000 * quota.window.seconds());
            change = not_full(change, &keys::count_attribute(quota, now), quota, 1)
                .remove(&keys::count_attribute(quota, over));
        }
        let (allowed, item) = match self.try_update(&item_key, change).await? {
            Ok(item) => (true, item),
            Err(item) if item.is_empty() => return Ok(None),
            Err(item) => (false, item),
        };
        let decisions = quotas.iter().map(|&quota| {
            let counted = number(&item, &keys::count_attribute(quota, now));
            quota.decision(counted, allowed || counted < quota.max, now)
        });
        let decisions = decisions.collect();
        if allowed {
            self.take_away_stale_counts(&item_key, &item, now).await;
        }
        Ok(Some(Admission { key: serde_dynamo::from_item(item)?, decisions }))
    }

    async fn take_away_stale_counts(&self, key: &Key, item: &Item, now: Timestamp) {
        let stale: Vec<&String> = item.keys().filter(|name| is_stale(name, now)).collect();
        if stale.len() <= STALE_MAX {
            return;
        }
        let change = stale.into_iter().fold(Changes::default(), |change, name| change.remove(name));
        if let Err(problem) = self.update_one(key, change.when("attribute_exists(pk)", [], [])).await {
            warn!(%problem, "stale counts stay for now");
        }
    }

    /// Counts one thing done by `who` (an address, an e-mail address) if the quota still allows it. One round trip.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count(&self, who: &str, quota: Quota, now: Timestamp) -> Result<Decision, StoreError> {
        self.take(Who::Stranger(who), quota, 1, now).await
    }

    /// Takes so much of a quota if that much is left of it. More than all of it is taken as all of it, so that what is large
    /// can be had at all. One round trip.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take(
        &self,
        who: Who<'_>,
        quota: Quota,
        amount: u32,
        now: Timestamp,
    ) -> Result<Decision, StoreError> {
        let taken = self.try_update(&who.window(quota, now), more(quota, amount, now)?).await?;
        Ok(match taken {
            Ok(item) => quota.decision(number(&item, COUNT), true, now),
            Err(item) => quota.decision(number(&item, COUNT), false, now),
        })
    }

    /// Gives back some of what was taken at `taken`, if that window is still open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_back(
        &self,
        who: Who<'_>,
        quota: Quota,
        amount: u32,
        (taken, now): (Timestamp, Timestamp),
    ) -> Result<(), StoreError> {
        if amount == 0 || quota.window.end(taken) != quota.window.end(now) {
            return Ok(());
        }
        let less = Changes::default().add(COUNT, -i64::from(amount)).when("attribute_exists(pk)", [], []);
        self.update_one(&who.window(quota, taken), less).await.map(drop)
    }

    /// The action that counts one thing done by an account, and fails if the quota is used up.
    pub(crate) fn count_for(
        &self,
        account: &AccountId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        self.update(&keys::account_rate(account, quota, now), one_more(quota, now)?)
    }
}

/// Whose window it is, where it has an item of its own.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// Somebody without an account: an address, an e-mail address.
    Stranger(&'a str),
    /// An account.
    Account(&'a AccountId),
}

impl Who<'_> {
    fn window(self, quota: Quota, now: Timestamp) -> Key {
        match self {
            Self::Stranger(who) => keys::rate(who, quota, now),
            Self::Account(account) => keys::account_rate(account, quota, now),
        }
    }
}

/// How much an account has used of a quota, from the item of the window.
pub(crate) fn used(item: Option<&Item>) -> u32 {
    item.map_or(0, |item| number(item, COUNT))
}

pub(crate) fn one_more(quota: Quota, now: Timestamp) -> Result<Changes, StoreError> {
    more(quota, 1, now)
}

fn more(quota: Quota, amount: u32, now: Timestamp) -> Result<Changes, StoreError> {
    let ttl = quota.window.end(now) + KEPT_AFTER_SECONDS;
    Ok(not_full(Changes::default().set(keys::TTL, &ttl)?, COUNT, quota, amount))
}

/// Takes back what was counted once.
pub(crate) fn one_less() -> Changes {
    Changes::default().add(COUNT, -1)
}

/// Counts `amount` in `attribute`, on the condition that as much is left of the quota.
fn not_full(change: Changes, attribute: &str, quota: Quota, amount: u32) -> Changes {
    let (amount, max) = (amount.min(quota.max), format!("max_{attribute}"));
    change.add(attribute, amount.into()).when(
        &format!("attribute_not_exists(#{attribute}) OR #{attribute} <= :{max}"),
        [attribute],
        [(&max, AttributeValue::N((quota.max - amount).to_string()))],
    )
}

/// The action that counts what a job reserves against its key's cap, and fails if `room`, which is the cap without
/// it, is spent already.
pub(crate) fn spend(
    table: &Table,
    cap: &Cap,
    (reserved, room): (Amount, Amount),
) -> Result<TransactWriteItem, StoreError> {
    let room = [("room", AttributeValue::N(room.units().to_string()))];
    let condition = format!("attribute_not_exists(#{SPENT}) OR #{SPENT} <= :room");
    table.update(&keys::spent(cap), spent(cap, signed(reserved)?)?.when(&condition, [SPENT], room))
}

/// The action that counts `to` in place of `from`.
pub(crate) fn respend(
    table: &Table,
    cap: &Cap,
    (from, to): (Amount, Amount),
) -> Result<TransactWriteItem, StoreError> {
    table.update(&keys::spent(cap), spent(cap, signed(to)? - signed(from)?)?)
}

fn spent(cap: &Cap, more: i64) -> Result<Changes, StoreError> {
    Changes::default().add(SPENT, more).set(keys::TTL, &(cap.day_end + SPENT_KEPT_SECONDS))
}

fn signed(amount: Amount) -> Result<i64, StoreError> {
    i64::try_from(amount.units()).map_err(|_| LedgerError::OutOfRange.into())
}

fn number(item: &Item, attribute: &str) -> u32 {
    match item.get(attribute) {
        Some(AttributeValue::N(text)) => text.parse().unwrap_or(u32::MAX),
        _ => 0,
    }
}

/// Whether an attribute counts in a window that is over.
fn is_stale(attribute: &str, now: Timestamp) -> bool {
    let end = attribute.strip_prefix(keys::COUNT_PREFIX).and_then(|name| name.rsplit_once('_'));
    let end = end.and_then(|(_, end)| end.parse::<i64>().ok());
    end.is_some_and(|end| end + KEPT_AFTER_SECONDS <= now.epoch_seconds())
}
