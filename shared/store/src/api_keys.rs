//! API keys as their owner sees them. A key is two items, under its digest and in its owner's list, written and
//! deleted together; the profile's set of key ids bounds their number.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    account::{KEYS_MAX, Scope},
    ids::{AccountId, ApiKey, KeyId},
    money::Amount,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{KEY_IDS, KeyRecord, random, still_open},
    keys,
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

/// The result of creating a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKey {
    /// It is there.
    Made(KeyListing),
    /// The account has as many as it may have.
    TooMany,
    /// The account is closed.
    Closed,
}

impl Table {
    /// Makes a key, unless its account has [`KEYS_MAX`] of them. Counted in the same transaction, so that no race
    /// makes one more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_key(&self, key: &ApiKey, record: &KeyRecord) -> Result<NewKey, StoreError> {
        let listing = KeyListing::of(KeyId::from_random(random()?), key, record);
        let mut attempts = Attempts::default();
        loop {
            let counted = Changes::default().add_member(KEY_IDS, listing.id.as_str()).when(
                "attribute_not_exists(#key_ids) OR size(#key_ids) < :max",
                [KEY_IDS],
                [("max", AttributeValue::N(KEYS_MAX.to_string()))],
            );
            let making = Transaction::default()
                .with(Role::Profile, self.update(&keys::profile(&record.account), still_open(counted))?)
                .and([self.create(&keys::api_key(key), record)?])
                .and([self.create(&keys::account_key(&record.account, &listing.id), &listing)?]);
            match self.transact(making).await {
                Ok(()) => return Ok(NewKey::Made(listing)),
                Err(Refused::Conditions(failed)) => {
                    let profile = failed.item(Role::Profile);
                    let open = profile.is_some_and(|item| item.contains_key(keys::PK) && !is_closed(item));
                    return Ok(if open { NewKey::TooMany } else { NewKey::Closed });
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
    pub async fn delete_key(&self, account: &AccountId, id: &KeyId) -> Result<bool, StoreError> {
        let listing: Option<KeyListing> = self.get(&keys::account_key(account, id)).await?;
        let Some(listing) = listing else { return Ok(false) };
        let actions = [
            self.delete(&keys::account_key(account, id))?,
            self.delete(&keys::api_key_of(&listing.digest))?,
            self.update(&keys::profile(account), Changes::default().delete_member(KEY_IDS, id.as_str()))?,
        ];
        self.transact_until_done(&actions).await?;
        Ok(true)
    }
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
