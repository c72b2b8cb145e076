//! Finished clips. A clip is written in the transaction that charges for it: what is there was paid for.

use domain::{
    ids::{AccountId, JobId},
    job::Output,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{StoreError, Table},
};

/// A clip as its owner and its share page see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clip {
    /// The id of the job that made it.
    pub id: JobId,
    /// Whose it is.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// The source's title.
    pub source_title: String,
    /// The files.
    pub output: Output,
    /// When it was made.
    pub created_at: Timestamp,
    /// From this instant on it is gone.
    pub expires_at: Timestamp,
}

/// An account's list of clips, by time.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClipPointer {
    pub(crate) clip: JobId,
}

/// A clip as it stands in its account's list.
#[derive(Clone, Debug)]
pub struct ListedClip {
    /// Its id, which is also its job's.
    pub id: JobId,
    /// The clip; `None` if only the list still has it.
    pub clip: Option<Clip>,
    /// Where in the list it stands.
    list_key: String,
}

/// The jobs of an account that run.
#[derive(Deserialize)]
struct Slots {
    /// A set is not there when it is empty.
    #[serde(default)]
    running: Vec<String>,
}

impl Table {
    /// A clip that is still alive at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clip(&self, id: &JobId, now: Timestamp) -> Result<Option<Clip>, StoreError> {
        let clip: Option<Clip> = self.get(&keys::clip(id)).await?;
        Ok(clip.filter(|clip| now < clip.expires_at))
    }

    /// Up to `limit` clips of an account, oldest first, expired ones included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn oldest_clips(&self, account: &AccountId, limit: i32) -> Result<Vec<ListedClip>, StoreError> {
        let (partition, prefix) = (keys::account_partition(account), keys::ACCOUNT_CLIPS.to_owned());
        let items = self.first_of(partition, prefix, limit).await?;
        let mut listed = Vec::new();
        for item in items {
            let list_key = item.get(keys::SK).and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            let ClipPointer { clip: id } = serde_dynamo::from_item(item)?;
            let clip: Option<Clip> = self.get(&keys::clip(&id)).await?;
            listed.push(ListedClip { id, clip, list_key });
        }
        Ok(listed)
    }

    /// Deletes a clip and the job that made it, with what the job says of its source. Its files are deleted first,
    /// by the caller: a file that no item names is found by nobody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erase_clip(&self, account: &AccountId, listed: &ListedClip) -> Result<(), StoreError> {
        let actions = [
            self.delete(&keys::clip(&listed.id))?,
            self.delete(&keys::job(&listed.id))?,
            self.delete(&keys::listed(account, &listed.list_key))?,
        ];
        self.transact_until_done(&actions).await
    }

    /// Whether jobs of an account are still running or waiting.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_open_jobs(&self, account: &AccountId) -> Result<bool, StoreError> {
        let slots: Option<Slots> = self.get(&keys::slots(account)).await?;
        if slots.is_some_and(|slots| !slots.running.is_empty()) {
            return Ok(true);
        }
        let (partition, prefix) = (keys::account_partition(account), keys::waiting());
        Ok(!self.first_of(partition, prefix, 1).await?.is_empty())
    }
}
