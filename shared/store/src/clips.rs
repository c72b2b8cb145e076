//! Finished clips. A clip is written in the transaction that charges for it: what is there was paid for.
//!
//! A clip is four things that change together: the item itself, its place in its account's list, as long as it expires
//! its place among those that do, and its part in the account's sums.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    expiry,
    ids::{AccountId, JobId},
    job::Output,
    storage::Storage,
    time::Timestamp,
    webhook::Event,
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Attempts, Changes, Refused, StoreError, Table, Transaction},
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
    /// From this instant on it is gone; `None` while it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Until when its files are not handed out any more, because they were fetched too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
}

impl Clip {
    /// Whether it is still there at `now`.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires| now < expires)
    }
}

/// An account's list of clips, by time.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClipPointer {
    pub(crate) clip: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
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

/// Adds the condition that the clip is there and its files are still `clip`'s. They change whenever its place does.
pub(crate) fn unmoved(change: Changes, clip: &Clip) -> Changes {
    let key = AttributeValue::S(clip.output.object_key.clone());
    change.when("#output.#object_key = :object_key", ["output", "object_key"], [("object_key", key)])
}

/// A number of bytes as the table adds it.
pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Table {
    /// A clip that is still alive at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clip(&self, id: &JobId, now: Timestamp) -> Result<Option<Clip>, StoreError> {
        let clip: Option<Clip> = self.get(&keys::clip(id)).await?;
        Ok(clip.filter(|clip| clip.is_alive(now)))
    }

    /// What an account's clips take up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn storage(&self, account: &AccountId) -> Result<Storage, StoreError> {
        Ok(self.get(&keys::storage(account)).await?.unwrap_or_default())
    }

    /// The actions that write new clips of one account.
    pub(crate) fn add_clips(&self, clips: &[Clip]) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut actions = Vec::new();
        for clip in clips {
            let pointer = ClipPointer { clip: clip.id.clone(), expires_at: clip.expires_at };
            actions.push(self.create(&keys::clip(&clip.id), clip)?);
            let listed = keys::account_clip(&clip.account, clip.created_at, &clip.id);
            actions.push(self.create(&listed, &pointer)?);
            if let Some(expires) = clip.expires_at {
                actions.push(self.will_expire(clip, expires)?);
            }
        }
        if let Some(clip) = clips.first() {
            let more = Changes::default().add("clips", signed(clips.len() as u64));
            actions.push(self.update(&keys::storage(&clip.account), more)?);
        }
        Ok(actions)
    }

    /// The action that puts a clip among those that expire. It is looked at twice: when its owner is to be told, and when
    /// it is over.
    pub(crate) fn will_expire(
        &self,
        clip: &Clip,
        expires: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let open = [
            (keys::OPEN, AttributeValue::S(keys::OPEN_CLIP.to_owned())),
            (keys::DUE_AT, AttributeValue::N(expiry::clip_warned_at(expires).0.to_string())),
        ];
        let pointer = ClipPointer { clip: clip.id.clone(), expires_at: Some(expires) };
        self.create_with(&keys::expiring(&clip.account, expires, &clip.id), &pointer, open)
    }

    /// Raises the event that a clip expires soon, once; it is due again when it expires. `false` if the clip is gone, does
    /// not expire, or has raised it before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn warn_of_expiry(&self, id: &JobId, now: Timestamp) -> Result<bool, StoreError> {
        let Some(clip) = self.clip(id, now).await? else { return Ok(false) };
        let Some(expires) = clip.expires_at else { return Ok(false) };
        let event = Event::clip_expiring(&clip.id, &clip.name, expires, now);
        let last_look = Changes::default().set(keys::DUE_AT, &expires)?.when(
            "attribute_exists(pk) AND #due_at < :expires",
            [keys::DUE_AT],
            [("expires", AttributeValue::N(expires.0.to_string()))],
        );
        let mut actions = vec![self.update(&keys::expiring(&clip.account, expires, &clip.id), last_look)?];
        actions.extend(self.tell(&clip.account, &event, None).await?.0);
        self.transact_on_clip(&actions).await
    }

    /// The actions that remove a clip as it was read. The first one fails if it has been moved since.
    pub(crate) fn remove_clip(&self, clip: &Clip) -> Result<Vec<TransactWriteItem>, StoreError> {
        let mut sums = Changes::default().add("clips", -1);
        if clip.expires_at.is_none() {
            sums = sums.add("pinned", -1).add("used", -signed(clip.output.size_bytes));
        }
        let mut actions = vec![
            self.delete_if(&keys::clip(&clip.id), unmoved(Changes::default(), clip))?,
            self.delete(&keys::account_clip(&clip.account, clip.created_at, &clip.id))?,
            self.update(&keys::storage(&clip.account), sums)?,
        ];
        if let Some(expires) = clip.expires_at {
            actions.push(self.delete(&keys::expiring(&clip.account, expires, &clip.id))?);
        }
        Ok(actions)
    }

    /// Carries out actions whose only condition is that the clip is still as it was read; `false` if it is not, and then
    /// nothing happened.
    pub(crate) async fn transact_on_clip(&self, actions: &[TransactWriteItem]) -> Result<bool, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            match self.transact(Transaction::default().and(actions.to_vec())).await {
                Ok(()) => return Ok(true),
                Err(Refused::Conditions(_)) => return Ok(false),
                Err(Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
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
            let ClipPointer { clip: id, .. } = serde_dynamo::from_item(item)?;
            let clip: Option<Clip> = self.get(&keys::clip(&id)).await?;
            listed.push(ListedClip { id, clip, list_key });
        }
        Ok(listed)
    }

    /// Deletes a clip and the job that made it, with what the job says of its source. Its files are deleted first,
    /// by the caller: a file that no item names is found by nobody. A clip that has been moved meanwhile stays, so that
    /// its new files are deleted when it is listed again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erase_clip(&self, account: &AccountId, listed: &ListedClip) -> Result<(), StoreError> {
        let mut actions = match &listed.clip {
            Some(clip) => self.remove_clip(clip)?,
            None => vec![self.delete(&keys::listed(account, &listed.list_key))?],
        };
        actions.push(self.delete(&keys::job(&listed.id))?);
        self.transact_on_clip(&actions).await.map(drop)
    }

    /// Forgets what an account's clips took up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_storage(&self, account: &AccountId) -> Result<(), StoreError> {
        self.transact_until_done(&[self.delete(&keys::storage(account))?]).await
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
