//! Clips that move between shelves, and those that are deleted, without a file ever lost or left behind.
//!
//! Invariant: every object of a clip is named by the clip or by a *chore*, the order to delete objects. A move writes a
//! chore for the files that it is about to make, copies, and then in one transaction points the clip to the copies
//! and the chore to the files that the clip had; a deletion writes its chore as it removes the clip. Whatever crashes
//! in between, the chore is there, and its objects are the ones that no clip names. It is carried out at the end of the
//! request, or else by the sweeper.
//!
//! To pin is to copy the files to `clips/pinned/`; to unpin is to copy them back to `clips/24h/`, which also starts
//! S3's own day anew. A move has four steps:
//!
//! 1. The chore for the copies is written. They lie in a folder of this move alone.
//! 2. The files are copied within the bucket, those over 128 MiB in parts, 32 at a time. A multipart upload is noted in
//!    the chore before its first part.
//! 3. One transaction points the clip to the copies, on the condition that it still has the files that were copied. It
//!    moves the clip's places and sums (a pin only if the bytes fit the quota), and turns the chore around: it now
//!    names the old files.
//! 4. The chore is carried out: it is marked as taken, after which step 3 fails; then its objects are deleted, then
//!    itself.
//!
//! An open chore stands in the `open` index with a time half an hour away. When the sweep carries it out, that undoes a
//! move before step 3 and finishes one after it. Two moves at once copy to two places; the second one's step 3 fails,
//! and its copies are deleted.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{expiry, ids::JobId, job::Output, storage::Full, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::random,
    clips::{Clip, signed, unmoved},
    keys::{self, Shelf},
    multipart::Upload,
    objects::Objects,
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
};

/// When the sweeper takes a chore up. No function that could still copy lives so long, nor does a copy that S3 goes on
/// with behind its back.
const CHORE_DUE_MS: i64 = 30 * 60_000;

/// Objects that no clip names, to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chore {
    /// Its id.
    pub id: String,
    /// The objects' keys.
    pub keys: Vec<String>,
    /// The copy in parts that was begun for one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<CopyInParts>,
}

/// A copy in parts that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyInParts {
    /// The object that it becomes.
    pub key: String,
    /// S3's id for it.
    pub upload: String,
}

/// A move that was begun.
#[derive(Clone, Debug)]
pub struct Move {
    /// Names what is to be deleted if it ends here.
    pub chore: String,
    clip: Clip,
    to: Shelf,
    output: Output,
    begun: Timestamp,
}

/// What became of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The clip is where it should be: this is what it is now.
    Done(Box<Clip>),
    /// The clip was moved or deleted meanwhile. Nothing was changed.
    Overtaken,
    /// There is no room for it. Nothing was changed.
    Full(Full),
}

impl Move {
    /// The objects with their copies.
    pub fn copies(&self) -> impl Iterator<Item = (&String, &String)> {
        self.clip.output.keys().zip(self.output.keys())
    }

    /// The clip as it is to be.
    fn moved(&self) -> Clip {
        // The copies are made later than that, so S3's own rule leaves them as long.
        let expires_at = (self.to == Shelf::Day).then(|| expiry::clip_expires_at(self.begun));
        Clip { output: self.output.clone(), expires_at, ..self.clip.clone() }
    }
}

impl Table {
    /// Begins to move a clip: from now on its copies are cleared away unless the move is finished.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_move(&self, clip: &Clip, to: Shelf, now: Timestamp) -> Result<Move, StoreError> {
        let chore = chore_id()?;
        let output = clip.output.with_keys(|key| keys::shelved_object(key, to, &chore));
        self.transact_until_done(&[self.write_chore(&chore, output.keys(), now)?]).await?;
        Ok(Move { chore, clip: clip.clone(), to, output, begun: now })
    }

    /// Notes that one of a move's copies is made in parts. `false` if the move was given up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_copy(&self, begun: &Move, copy: &CopyInParts) -> Result<bool, StoreError> {
        let change = untaken(Changes::default().set("copy", copy)?);
        Ok(self.update_one(&keys::chore(&begun.chore), change).await?.is_some())
    }

    /// Finishes a move whose copies are all there: the clip, its places, its account's sums and the chore change
    /// together, or nothing does.
    ///
    /// # Errors
    /// [`StoreError`]. Whether the clip has moved is unknown then; the chore knows.
    pub async fn finish_move(&self, begun: &Move) -> Result<Moved, StoreError> {
        let moved = begun.moved();
        let mut attempts = Attempts::default();
        loop {
            let room = match begun.to {
                Shelf::Day => None,
                Shelf::Pinned => {
                    match self.storage(&moved.account).await?.room_for(moved.output.size_bytes) {
                        Ok(room) => Some(room),
                        Err(full) => return Ok(Moved::Full(full)),
                    }
                }
            };
            match self.transact(self.move_actions(begun, &moved, room)?).await {
                Ok(()) => return Ok(Moved::Done(Box::new(moved))),
                Err(Refused::Conditions(failed)) => {
                    // If only the sums fail, another clip took the room: there may be enough for both.
                    if failed.has(Role::Clip) || !failed.has(Role::Sums) {
                        return Ok(Moved::Overtaken);
                    }
                }
                Err(Refused::Conflict) => {}
                Err(Refused::Error(error)) => return Err(error),
            }
            attempts.pause().await?;
        }
    }

    fn move_actions(&self, begun: &Move, moved: &Clip, room: Option<u64>) -> Result<Transaction, StoreError> {
        let expires = |change: Changes| match moved.expires_at {
            Some(expires) => change.set("expires_at", &expires),
            None => Ok(change.remove("expires_at")),
        };
        let size = signed(moved.output.size_bytes);
        let sums = match room {
            Some(room) => Changes::default().add("pinned", 1).add("used", size).when(
                "attribute_not_exists(#used) OR #used <= :room",
                ["used"],
                [("room", AttributeValue::N(room.to_string()))],
            ),
            None => Changes::default().add("pinned", -1).add("used", -size),
        };
        let clip = unmoved(expires(Changes::default().set("output", &moved.output)?)?, &begun.clip);
        let pointer = expires(Changes::default().set("clip", &moved.id)?)?;
        let old: Vec<&String> = begun.clip.output.keys().collect();
        let chore = untaken(Changes::default().set("keys", &old)?.remove("copy"));
        let place = |expires| keys::expiring(&moved.account, expires, &moved.id);
        let expired = begun.clip.expires_at.map(|expires| self.delete(&place(expires)));
        let expires = moved.expires_at.map(|expires| self.will_expire(moved, expires));
        Ok(Transaction::default()
            .with(Role::Clip, self.update(&keys::clip(&moved.id), clip)?)
            .with(Role::Sums, self.update(&keys::storage(&moved.account), sums)?)
            .and([self.update(&keys::account_clip(&moved.account, moved.created_at, &moved.id), pointer)?])
            .and([self.update(&keys::chore(&begun.chore), chore)?])
            .and(expired.transpose()?)
            .and(expires.transpose()?))
    }

    /// Removes a clip and writes the chore that deletes its files; `None` if it was moved or deleted meanwhile.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn discard_clip(&self, clip: &Clip, now: Timestamp) -> Result<Option<String>, StoreError> {
        let chore = chore_id()?;
        let mut actions = self.remove_clip(clip)?;
        actions.push(self.write_chore(&chore, clip.output.keys(), now)?);
        Ok(self.transact_on_clip(&actions).await?.then_some(chore))
    }

    /// Carries a chore out, after which it is gone. From the first step on no move can be finished that it belongs to;
    /// one that was finished before has left it the right objects. A repeat does what is left to do.
    ///
    /// # Errors
    /// [`StoreError`]: the sweeper will come back to it.
    pub async fn carry_out(&self, chore: &str, objects: &Objects) -> Result<(), StoreError> {
        let key = keys::chore(chore);
        let taken = Changes::default().set("taken", &true)?.when("attribute_exists(pk)", [], []);
        let Some(item) = self.update_one(&key, taken).await? else { return Ok(()) };
        let Chore { keys, copy, .. } = serde_dynamo::from_item(item)?;
        if let Some(CopyInParts { key, upload }) = &copy {
            objects.abort_upload(Upload { key, id: upload }).await?;
        }
        objects.delete(&keys).await?;
        self.transact_until_done(&[self.delete(&key)?]).await
    }

    /// Clears a clip away that has expired at `now`. Its files go first: nobody can bring it back, and a repeat finds it
    /// as long as it has not gone as well. `false` if there was nothing to do.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clear_clip(
        &self,
        id: &JobId,
        objects: &Objects,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let clip: Option<Clip> = self.get(&keys::clip(id)).await?;
        let Some(clip) = clip.filter(|clip| !clip.is_alive(now)) else { return Ok(false) };
        objects.delete(&clip.output.keys().cloned().collect::<Vec<_>>()).await?;
        self.transact_on_clip(&self.remove_clip(&clip)?).await
    }

    pub(crate) fn write_chore<'a>(
        &self,
        id: &str,
        keys: impl Iterator<Item = &'a String>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let chore = Chore { id: id.to_owned(), keys: keys.cloned().collect(), copy: None };
        let due = now.plus_ms(CHORE_DUE_MS).0.to_string();
        let open = [
            (keys::OPEN, AttributeValue::S(keys::OPEN_CHORE.to_owned())),
            (keys::DUE_AT, AttributeValue::N(due)),
        ];
        self.create_with(&keys::chore(id), &chore, open)
    }
}

/// Adds the condition that nobody has begun to carry the chore out.
fn untaken(change: Changes) -> Changes {
    change.when("attribute_exists(pk) AND attribute_not_exists(#taken)", ["taken"], [])
}

pub(crate) fn chore_id() -> Result<String, StoreError> {
    Ok(JobId::from_random(random()?).to_string())
}
