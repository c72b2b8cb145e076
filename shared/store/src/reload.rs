//! The password of reloads by API, and the count of wrong ones.
//!
//! It is an item of its own: whoever reads an account's profile does not read the hash.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ids::AccountId, reload::Tries, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Attempts, Changes, StoreError, Table},
};

/// What stands before a reload by API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReloadLock {
    /// The hash of the password, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// How often a wrong one was tried.
    pub tries: Tries,
    /// Counts the changes, so that none is made on an old state.
    pub version: u64,
}

impl Table {
    /// What stands before an account's reloads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reload_lock(&self, account: &AccountId) -> Result<ReloadLock, StoreError> {
        Ok(self.get(&keys::reload(account)).await?.unwrap_or_default())
    }

    /// Sets the password by its hash, or takes it away. Tries at the one before do not count any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_reload_password(
        &self,
        account: &AccountId,
        hash: Option<&str>,
    ) -> Result<(), StoreError> {
        let change = |lock: &ReloadLock| ReloadLock {
            password: hash.map(str::to_owned),
            tries: Tries::default(),
            version: lock.version + 1,
        };
        self.change_reload_lock(account, |lock| Some(change(lock))).await.map(drop)
    }

    /// Counts a try at the password, before it is looked at. Answers the lock as it is then; `None` if nothing is tried now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_reload_try(
        &self,
        account: &AccountId,
        now: Timestamp,
    ) -> Result<Option<ReloadLock>, StoreError> {
        self.change_reload_lock(account, |lock| {
            let tries = lock.tries.begin(now)?;
            Some(ReloadLock { tries, version: lock.version + 1, ..lock.clone() })
        })
        .await
    }

    /// Takes a counted try back that was right.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_reload_try_back(&self, account: &AccountId) -> Result<(), StoreError> {
        self.change_reload_lock(account, |lock| {
            Some(ReloadLock { tries: lock.tries.right(), version: lock.version + 1, ..lock.clone() })
        })
        .await
        .map(drop)
    }

    /// Changes the lock by `decide`, which is asked anew if somebody else was faster; `None` if it refuses.
    async fn change_reload_lock(
        &self,
        account: &AccountId,
        decide: impl Fn(&ReloadLock) -> Option<ReloadLock>,
    ) -> Result<Option<ReloadLock>, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let before = self.reload_lock(account).await?;
            let Some(after) = decide(&before) else { return Ok(None) };
            let change = Changes::default().set("tries", &after.tries)?.set("version", &after.version)?;
            let change = match &after.password {
                Some(hash) => change.set("password", hash)?,
                None => change.remove("password"),
            };
            let former = [("former", AttributeValue::N(before.version.to_string()))];
            let unchanged = match before.version {
                0 => change.when("attribute_not_exists(#version) OR #version = :former", ["version"], former),
                _ => change.when("#version = :former", ["version"], former),
            };
            if self.update_one(&keys::reload(account), unchanged).await?.is_some() {
                return Ok(Some(after));
            }
            attempts.pause().await?;
        }
    }
}
