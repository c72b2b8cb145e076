//! Accounts and their API keys.

use domain::{
    ids::{AccountId, ApiKey},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Refused, StoreError, Table},
};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// When it was opened.
    pub created_at: Timestamp,
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
}

impl Table {
    /// Opens an account with a first key; `false` if the account or the key exists already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_account(
        &self,
        account: &Account,
        key: &ApiKey,
        name: &str,
    ) -> Result<bool, StoreError> {
        let record =
            KeyRecord { account: account.id.clone(), name: name.to_owned(), created_at: account.created_at };
        let actions = vec![
            self.create(&keys::profile(&account.id), account)?,
            self.create(&keys::api_key(key), &record)?,
        ];
        match self.transact(actions).await {
            Ok(()) => Ok(true),
            Err(Refused::Conditions(_)) => Ok(false),
            Err(Refused::Conflict) => Err(StoreError::Busy),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// Whose key this is, if it is one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn key_owner(&self, key: &ApiKey) -> Result<Option<KeyRecord>, StoreError> {
        self.get(&keys::api_key(key)).await
    }
}
