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

impl Table {
    /// A clip that is still alive at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clip(&self, id: &JobId, now: Timestamp) -> Result<Option<Clip>, StoreError> {
        let clip: Option<Clip> = self.get(&keys::clip(id)).await?;
        Ok(clip.filter(|clip| now < clip.expires_at))
    }
}
