//! Counts what is handed out of clips: `domain::delivery` says how, and how much it may be.
//!
//! Where a count is full, the clip is marked: it rests for the day. Whoever wants a link has read the clip anyway, so a look
//! at the mark costs nothing; and only links that are counted, which are few, ask whether a count is full.

use domain::{
    delivery::{DeliveryBounds, of_clip, pieces},
    ids::{AccountId, JobId},
    job::Job,
    rate::{Decision, Quota},
    time::Timestamp,
};

use crate::{
    clips::Clip,
    keys::{self, Key},
    rate::Who,
    table::{Changes, StoreError, Table},
};

/// A file that somebody wants a link to.
#[derive(Clone, Debug)]
pub struct Parcel<'a> {
    id: &'a JobId,
    account: &'a AccountId,
    bytes: u64,
    rests_until: Option<Timestamp>,
    /// Where the mark is.
    key: Key,
}

impl<'a> Parcel<'a> {
    /// The file of a clip.
    #[must_use]
    pub fn of_clip(clip: &'a Clip) -> Self {
        let Clip { id, account, output, rests_until, .. } = clip;
        Self { id, account, bytes: output.size_bytes, rests_until: *rests_until, key: keys::clip(id) }
    }

    /// The file of a job that is no clip.
    #[must_use]
    pub fn of_job(job: &'a Job) -> Self {
        let bytes = job.output.as_ref().map_or(0, |output| output.size_bytes);
        let Job { id, account, rests_until, .. } = job;
        Self { id, account, bytes, rests_until: *rests_until, key: keys::job(id) }
    }

    fn quota(&self) -> Quota {
        of_clip(self.bytes)
    }
}

impl Table {
    /// Counts one link to a file, if it may be handed out once more today; else tells until when it may not. No round trip
    /// but for what is counted, which takes three.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn hand_out(
        &self,
        parcel: &Parcel<'_>,
        bounds: DeliveryBounds,
        now: Timestamp,
    ) -> Result<Result<(), Decision>, StoreError> {
        if parcel.rests_until.is_some_and(|until| now < until) {
            return Ok(Err(parcel.quota().decision(parcel.quota().max, false, now)));
        }
        let random = getrandom::u64().map_err(StoreError::aws("getrandom"))?;
        let pieces = pieces(parcel.bytes, random);
        if pieces == 0 {
            return Ok(Ok(()));
        }
        let of_clip = self.take(Who::Stranger(parcel.id.as_str()), parcel.quota(), pieces, now).await?;
        if !of_clip.allowed {
            self.let_rest(parcel, of_clip).await?;
            return Ok(Err(of_clip));
        }
        let account = self.account(parcel.account).await?;
        let bound = bounds.of_account(account.is_some_and(|account| account.has_deposited));
        let of_account = self.take(Who::Account(parcel.account), bound, pieces, now).await?;
        if !of_account.allowed {
            self.let_rest(parcel, of_account).await?;
            return Ok(Err(of_account));
        }
        Ok(Ok(()))
    }

    async fn let_rest(&self, parcel: &Parcel<'_>, limit: Decision) -> Result<(), StoreError> {
        let mark = Changes::default().set("rests_until", &Timestamp(limit.reset * 1000))?;
        self.update_one(&parcel.key, mark.when("attribute_exists(pk)", [], [])).await.map(drop)
    }
}
