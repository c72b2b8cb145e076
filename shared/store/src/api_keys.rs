//! API keys as their owner sees them. A key is two items, under its digest and in its owner's list, written and
//! deleted together; the profile's set of key ids bounds their number. Their requests are what bounds the account's, so
//! within a minute no more than ten are of any use: while the minute lasts in which a key was deleted, a new one's windows
//! are full.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    account::{KEYS_MAX, Scope},
    ids::{AccountId, ApiKey, KeyId},
    money::Amount,
    rate::{Decision, Limit, NEW_KEYS, Window},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{KEY_IDS, KeyRecord, random, still_open},
    keys,
    rate::used,
    table::{Attempts, Changes, Item, Refused, Role, StoreError, Table, Transaction},
};

/// A key in its owner's list: enough to recognise it by, not enough to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyListing {
    /// What its owner calls it by.
    pub id: KeyId,
    /// Under which the key itself is stored.
    pub digest: String,
    /// A name for its owner.
    pub name: String,
    /// Its first characters.
    pub beginning: String,
    /// Its last characters.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it may do; everything if it is empty.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// What may be spent with it in a day (UTC); without bound if there is none.
    #[serde(default)]
    pub daily_cap: Option<Amount>,
}

impl KeyListing {
    pub(crate) fn of(id: KeyId, key: &ApiKey, record: &KeyRecord) -> Self {
        Self {
            id,
            digest: key.digest(),
            name: record.name.clone(),
            beginning: key.beginning().to_owned(),
            last_four: key.last_four().to_owned(),
            created_at: record.created_at,
            scopes: record.scopes.clone(),
            daily_cap: record.daily_cap,
        }
    }
}

/// The attribute of a profile that says when a key was last deleted.
const KEY_DELETED_AT: &str = "key_deleted_at";

/// The result of creating a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKey {
    /// It is there.
    Made(KeyListing),
    /// The account has as many as it may have.
    TooMany,
    /// The account has made as many as it may in a day.
    TooManyToday(Decision),
    /// The account is closed.
    Closed,
}

impl Table {
    /// Makes a key, unless its account has [`KEYS_MAX`] of them or has made as many as it may today. Counted in the same
    /// transaction, so that no race makes one more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_key(&self, key: &ApiKey, record: &KeyRecord) -> Result<NewKey, StoreError> {
        let listing = KeyListing::of(KeyId::from_random(random()?), key, record);
        let profile = keys::profile(&record.account);
        let now = record.created_at;
        let mut attempts = Attempts::default();
        loop {
            let [seen] = self.get_all([&profile]).await?;
            let deleted = seen.as_ref().and_then(|item| item.get(KEY_DELETED_AT)).cloned();
            let counted = Changes::default().add_member(KEY_IDS, listing.id.as_str()).when(
                "attribute_not_exists(#key_ids) OR size(#key_ids) < :max",
                [KEY_IDS],
                [("max", AttributeValue::N(KEYS_MAX.to_string()))],
            );
            let counted = still_open(match &deleted {
                None => counted.when("attribute_not_exists(#key_deleted_at)", [KEY_DELETED_AT], []),
                Some(at) => counted.when("#key_deleted_at = :seen", [KEY_DELETED_AT], [("seen", at.clone())]),
            });
            let full = if deleted.as_ref().is_some_and(|at| is_in_minute_of(at, now)) {
                full_windows(now)
            } else {
                vec![]
            };
            let made = self.create_with_all(&keys::api_key(key), record, full)?;
            let making = Transaction::default()
                .with(Role::Profile, self.update(&profile, counted)?)
                .with(Role::Count, self.count_for(&record.account, NEW_KEYS, now)?)
                .and([made])
                .and([self.create(&keys::account_key(&record.account, &listing.id), &listing)?]);
            match self.transact(making).await {
                Ok(()) => return Ok(NewKey::Made(listing)),
                Err(Refused::Conditions(failed)) => {
                    if let Some(profile) = failed.item(Role::Profile) {
                        if !profile.contains_key(keys::PK) || is_closed(profile) {
                            return Ok(NewKey::Closed);
                        }
                        if key_count(profile) >= KEYS_MAX as usize {
                            return Ok(NewKey::TooMany);
                        }
                    } else if let Some(count) = failed.item(Role::Count) {
                        return Ok(NewKey::TooManyToday(NEW_KEYS.decision(used(Some(count)), false, now)));
                    }
                    // A key was deleted since the profile was read.
                    attempts.pause().await?;
                }
                Err(Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// The keys of an account, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keys_of(&self, account: &AccountId) -> Result<Vec<KeyListing>, StoreError> {
        let (partition, prefix) = (keys::account_partition(account), keys::ACCOUNT_KEYS.to_owned());
        let items = self.first_of(partition, prefix, KEYS_MAX.cast_signed()).await?;
        let mut listed: Vec<KeyListing> =
            items.into_iter().map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        listed.sort_by_key(|key| key.created_at);
        Ok(listed)
    }

    /// When each of `listed` was last used, in their order; `None` for a key that never was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_uses(&self, listed: &[KeyListing]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        let wanted: Vec<keys::Key> = listed.iter().map(|key| keys::api_key_of(&key.digest)).collect();
        let found = self.get_many(&wanted.iter().collect::<Vec<_>>()).await?;
        found.into_iter().map(|item| last_use(item.unwrap_or_default())).collect()
    }

    /// Deletes a key of an account; `false` if the account has no such key. It is worth nothing from then on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_key(
        &self,
        account: &AccountId,
        id: &KeyId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let listing: Option<KeyListing> = self.get(&keys::account_key(account, id)).await?;
        let Some(listing) = listing else { return Ok(false) };
        let gone = Changes::default().delete_member(KEY_IDS, id.as_str()).set(KEY_DELETED_AT, &now)?;
        let actions = [
            self.delete(&keys::account_key(account, id))?,
            self.delete(&keys::api_key_of(&listing.digest))?,
            self.update(&keys::profile(account), gone)?,
        ];
        self.transact_until_done(&actions).await?;
        Ok(true)
    }
}

/// Whether what happened `at` was in the minute of `now`, or later by the clock of another function.
fn is_in_minute_of(at: &AttributeValue, now: Timestamp) -> bool {
    let at = at.as_n().ok().and_then(|text| text.parse().ok()).map(Timestamp);
    at.is_some_and(|at| Window::Minute.end(at) >= Window::Minute.end(now))
}

/// The counts of a key that may do nothing more within this minute.
fn full_windows(now: Timestamp) -> Vec<(String, AttributeValue)> {
    let quotas = Limit::ALL.into_iter().flat_map(Limit::quotas);
    let full =
        quotas.map(|quota| (keys::count_attribute(*quota, now), AttributeValue::N(quota.max.to_string())));
    full.collect()
}

fn key_count(profile: &Item) -> usize {
    profile.get(KEY_IDS).and_then(|ids| ids.as_ss().ok()).map_or(0, Vec::len)
}

fn is_closed(profile: &Item) -> bool {
    profile.contains_key("closed_at")
}

fn last_use(item: Item) -> Result<Option<Timestamp>, StoreError> {
    #[derive(Deserialize)]
    struct Used {
        #[serde(default)]
        last_used_at: Option<Timestamp>,
    }
    Ok(serde_dynamo::from_item::<_, Used>(item)?.last_used_at)
}
