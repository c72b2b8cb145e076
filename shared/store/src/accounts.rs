//! Accounts, and whose key a key is.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    account::{Scope, Settings, SettingsChange},
    email::EmailAddress,
    ids::{AccountId, ApiKey, KeyId},
    money::Amount,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    api_keys::KeyListing,
    keys,
    table::{Attempts, Changes, Refused, StoreError, Table, Transaction},
};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// The address that it belongs to, in its one form; `None` for the demo account and once it is erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What its owner has set.
    #[serde(default)]
    pub settings: Settings,
    /// When its owner closed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// Whether its bonus waits for the first deposit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bonus_waits: bool,
    /// Whether it has ever paid anything in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_deposited: bool,
}

impl Account {
    /// A new account.
    #[must_use]
    pub fn new(id: AccountId, email: Option<&EmailAddress>, now: Timestamp) -> Self {
        let email = email.map(|address| address.as_str().to_owned());
        let settings = Settings::default();
        Self {
            id,
            created_at: now,
            email,
            settings,
            closed_at: None,
            bonus_waits: false,
            has_deposited: false,
        }
    }
}

/// What is stored of an API key, under the key's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Whose key it is.
    pub account: AccountId,
    /// A name for its owner.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it may do; everything if it is empty.
    #[serde(default)]
    pub scopes: Vec<Scope>,
    /// What may be spent with it in a day (UTC); without bound if there is none.
    #[serde(default)]
    pub daily_cap: Option<Amount>,
}

/// The attribute of a profile that holds the ids of the account's keys: its size is what bounds their number.
pub(crate) const KEY_IDS: &str = "key_ids";

/// Adds the condition that the account exists and is not closed.
pub(crate) fn still_open(change: Changes) -> Changes {
    change.when("attribute_exists(pk) AND attribute_not_exists(#closed_at)", ["closed_at"], [])
}

impl Table {
    /// Opens an account with a first key and no address; `false` if the account or the key exists already. For the
    /// demo account and for tests: people sign up with an address.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_account(
        &self,
        account: &Account,
        key: &ApiKey,
        name: &str,
    ) -> Result<bool, StoreError> {
        let id = KeyId::from_random(random()?);
        let record = KeyRecord {
            account: account.id.clone(),
            name: name.to_owned(),
            created_at: account.created_at,
            scopes: Vec::new(),
            daily_cap: None,
        };
        let ids = [(KEY_IDS, AttributeValue::Ss(vec![id.to_string()]))];
        let opening = Transaction::default().and([
            self.create_with(&keys::profile(&account.id), account, ids)?,
            self.create(&keys::api_key(key), &record)?,
            self.create(&keys::account_key(&account.id, &id), &KeyListing::of(id, key, &record))?,
        ]);
        match self.transact(opening).await {
            Ok(()) => Ok(true),
            Err(Refused::Conditions(_)) => Ok(false),
            Err(Refused::Conflict) => Err(StoreError::Busy),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// An account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        self.get(&keys::profile(id)).await
    }

    /// Changes some of an account's settings, each on its own, so that of two changes at once none undoes the other.
    /// Answers the account as it is then; `None` if there is none or it is closed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_settings(
        &self,
        id: &AccountId,
        change: SettingsChange,
    ) -> Result<Option<Account>, StoreError> {
        let key = keys::profile(id);
        let mut attempts = Attempts::default();
        loop {
            let mut switches = still_open(Changes::default());
            for (name, value) in change.switches() {
                switches = switches.set_in("settings", name, &value)?;
            }
            if switches.is_empty() {
                return Ok(self.account(id).await?.filter(|account| account.closed_at.is_none()));
            }
            let there = switches.when("attribute_exists(#settings)", ["settings"], []);
            if let Some(item) = self.update_one(&key, there).await? {
                return Ok(Some(serde_dynamo::from_item(item)?));
            }
            // An account from before there were settings.
            let first = still_open(Changes::default().set("settings", &change.of_none())?);
            let first = first.when("attribute_not_exists(#settings)", [], []);
            if let Some(item) = self.update_one(&key, first).await? {
                return Ok(Some(serde_dynamo::from_item(item)?));
            }
            if self.account(id).await?.is_none_or(|account| account.closed_at.is_some()) {
                return Ok(None);
            }
            attempts.pause().await?;
        }
    }

    /// Closes an account: its address is free again, its keys and sessions are worth nothing from now on. A repeat
    /// does what is left to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close_account(&self, id: &AccountId, now: Timestamp) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        while let Some(account) = self.account(id).await?.filter(|account| account.closed_at.is_none()) {
            let close = still_open(Changes::default().set("closed_at", &now)?);
            let address = account.email.as_deref().map(EmailAddress::parse).and_then(Result::ok);
            let address = address.map(|address| self.delete(&keys::address_account(&address)));
            let closing = Transaction::default().and([self.update(&keys::profile(id), close)?]);
            match self.transact(closing.and(address.transpose()?)).await {
                Ok(()) => break,
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        // Neither a key nor a session can be made for a closed account, so each list is complete.
        for key in self.keys_of(id).await? {
            self.delete_key(id, &key.id, now).await?;
        }
        self.end_sessions(id).await
    }

    /// Takes the personal data out of a closed account. What remains is its id and its dates, which the ledger's
    /// rows refer to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_account(&self, id: &AccountId) -> Result<(), StoreError> {
        let change = Changes::default().remove("email").remove("settings").remove(KEY_IDS);
        let change = change.when("attribute_exists(#closed_at)", ["closed_at"], []);
        self.update_one(&keys::profile(id), change).await?;
        let private = [self.delete(&keys::customer(id))?, self.delete(&keys::reload(id))?];
        self.transact_until_done(&private).await
    }
}

/// Random bytes for an id.
pub(crate) fn random() -> Result<[u8; 16], StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(StoreError::aws("getrandom"))?;
    Ok(bytes)
}
