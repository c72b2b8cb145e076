//! Jobs: started, moved on, and ended exactly once. (`accept` has their beginning.)

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    expiry,
    ids::{AccountId, JobId},
    job::{Failure, Job, Output, Status},
    ledger::{Hold, LedgerError, Resolution, Wallet},
    moments::Found,
    money::{Amount, WalletKind},
    quote,
    time::Timestamp,
    webhook::Event,
};
use serde::{Deserialize, Serialize};

use crate::{
    clips::Clip,
    keys, leftovers,
    rate::{respend, spend},
    shelves::chore_id,
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
    webhooks::DeliveryKey,
};

/// The wallet that clip jobs are paid from.
pub(crate) const WALLET: WalletKind = WalletKind::Usd;

/// A hold as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HoldRecord {
    pub(crate) account: AccountId,
    #[serde(flatten)]
    pub(crate) hold: Hold,
}

/// Points from an account's queue to a job that waits for a slot.
#[derive(Serialize, Deserialize)]
pub(crate) struct WaitRecord {
    pub(crate) job: JobId,
}

/// How a job ends.
#[derive(Clone, Debug)]
pub enum Ending {
    /// What was asked for is there: charge this much.
    Complete {
        /// What is charged, at most what is held.
        cost: Amount,
        /// The records of the clips; none for what stays out of the history.
        clips: Vec<Clip>,
    },
    /// No clip: give everything back.
    Failed {
        /// What to tell the owner.
        failure: Failure,
        /// Whether the sweeper gave up waiting, rather than a stage having failed.
        expired: bool,
    },
    /// Its owner wants it no more: give everything back.
    Cancelled,
}

impl Ending {
    /// What is told of it.
    fn event(&self, job: &Job, now: Timestamp) -> Event {
        match self {
            Self::Complete { cost, .. } => Event::job_completed(job, *cost, now),
            Self::Failed { failure, .. } => Event::job_failed(job, failure, now),
            Self::Cancelled => Event::job_cancelled(job, now),
        }
    }
}

impl Table {
    /// A job by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.get(&keys::job(id)).await
    }

    /// A job by its id and, if there is one, the clip that it made, expired or not, in one round trip.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn job_and_clip(&self, id: &JobId) -> Result<(Option<Job>, Option<Clip>), StoreError> {
        let [job, clip] = self.get_all([&keys::job(id), &keys::clip(id)]).await?;
        let job: Option<Job> = job.map(serde_dynamo::from_item).transpose()?;
        let clip = match clip {
            Some(clip) => Some(serde_dynamo::from_item(clip)?),
            // Each is read as it stands, but not both at one instant: the clip may have been written in between.
            None if job.as_ref().is_some_and(Job::has_clip) => self.get(&keys::clip(id)).await?,
            None => None,
        };
        Ok((job, clip))
    }

    /// The parts of a job, and the clips that they made and that are still there, in the order of what was found. One
    /// round trip.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn parts(&self, job: &Job) -> Result<Vec<(Job, Option<Clip>)>, StoreError> {
        if job.parts == 0 {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = job.part_ids().flat_map(|id| [keys::job(&id), keys::clip(&id)]).collect();
        let items = self.get_many(&keys.iter().collect::<Vec<_>>()).await?;
        let mut parts = Vec::new();
        for pair in items.chunks_exact(2) {
            if let [Some(part), clip] = pair {
                let clip = clip.clone().map(serde_dynamo::from_item).transpose()?;
                parts.push((serde_dynamo::from_item(part.clone())?, clip));
            }
        }
        Ok(parts)
    }

    /// Writes down what was found for a job. `false` if the job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_found(&self, id: &JobId, found: &Found) -> Result<bool, StoreError> {
        let change = not_ended(Changes::default().set("found", found)?);
        Ok(self.update_one(&keys::job(id), change).await?.is_some())
    }

    /// Divides a job: writes down what is made of what was found, and the parts that make it, once. `false` if the job has
    /// ended, or was divided before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn divide(&self, id: &JobId, found: &Found, parts: &[Job]) -> Result<bool, StoreError> {
        let mut attempts = Attempts::default();
        let divided = Changes::default().set("found", found)?.set("parts", &parts.len())?;
        let divided = not_ended(divided.when("attribute_not_exists(#parts)", ["parts"], []));
        let mut division = Transaction::default().with(Role::Once, self.update(&keys::job(id), divided)?);
        for part in parts {
            let open = (keys::OPEN, AttributeValue::S(keys::OPEN_PART.to_owned()));
            division = division.and([self.create_with(&keys::job(&part.id), part, [open])?]);
        }
        loop {
            match self.transact(division.clone()).await {
                Ok(()) => return Ok(true),
                Err(Refused::Conditions(failed)) if failed.has(Role::Once) => return Ok(false),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// Gives up one part of a job, whose other parts go on. `false` if it had ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lose_part(&self, id: &JobId, failure: &Failure, now: Timestamp) -> Result<bool, StoreError> {
        let lost = Changes::default().set("status", &Status::Failed)?.set("failure", failure)?;
        let lost = lost.when(
            "#open = :part",
            [keys::OPEN],
            [("part", AttributeValue::S(keys::OPEN_PART.to_owned()))],
        );
        Ok(self.update_one(&keys::job(id), closed(lost, now)?).await?.is_some())
    }

    /// Gives the oldest waiting job of an account a free slot, if there are both. Returns the job to start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_waiting(
        &self,
        account: &AccountId,
        slots_max: u32,
        now: Timestamp,
    ) -> Result<Option<JobId>, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let Some(job) = self.oldest_waiting(account).await? else { return Ok(None) };
            let promoted = Changes::default()
                .set("has_slot", &true)?
                .set(keys::OPEN, &keys::OPEN_JOB)?
                .set(keys::DUE_AT, &Job::start_due(now))?
                .when("attribute_exists(pk)", [], []);
            let slot = self.update(&keys::slots(account), take_slot(&job.id, slots_max))?;
            let promotion = Transaction::default()
                .with(Role::Place, slot)
                .and([self.update(&keys::job(&job.id), not_ended(promoted))?])
                .and([self.delete(&keys::wait(account, job.created_at, &job.id))?]);
            match self.transact(promotion).await {
                Ok(()) => return Ok(Some(job.id)),
                Err(Refused::Conditions(failed)) if failed.has(Role::Place) => return Ok(None),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    async fn oldest_waiting(&self, account: &AccountId) -> Result<Option<Job>, StoreError> {
        let (partition, prefix) = (keys::account_partition(account), keys::waiting());
        let Some(item) = self.first_of(partition, prefix, 1).await?.pop() else { return Ok(None) };
        let waiting: WaitRecord = serde_dynamo::from_item(item)?;
        self.job(&waiting.job).await
    }

    /// Up to `limit` jobs of an account that wait for a slot, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiting_jobs(&self, account: &AccountId, limit: i32) -> Result<Vec<Job>, StoreError> {
        let (partition, prefix) = (keys::account_partition(account), keys::waiting());
        let mut jobs = Vec::new();
        for item in self.first_of(partition, prefix, limit).await? {
            let waiting: WaitRecord = serde_dynamo::from_item(item)?;
            jobs.extend(self.job(&waiting.job).await?);
        }
        Ok(jobs)
    }

    /// Marks the start of the work, and when the sweeper is to give it up. `false` if the job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(&self, id: &JobId, now: Timestamp) -> Result<bool, StoreError> {
        self.set_due(id, Job::run_due(now)).await
    }

    /// Puts off the sweeper's next look at a job. `false` if the job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_due(&self, id: &JobId, due: Timestamp) -> Result<bool, StoreError> {
        let change = not_ended(Changes::default().set(keys::DUE_AT, &due)?);
        Ok(self.update_one(&keys::job(id), change).await?.is_some())
    }

    /// Puts off the sweeper's next look at a job that waits for a slot and is due at `now`, and lists it with those that do,
    /// where an earlier release did not; one write and no read, because there may be many. Answers the job; `None` if it
    /// does not wait any more, or is not due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_off_waiting(
        &self,
        id: &JobId,
        now: Timestamp,
        due: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let change = Changes::default().set(keys::DUE_AT, &due)?.set(keys::OPEN, &keys::OPEN_WAITING)?;
        let waits = change.when(
            "#has_slot = :no AND #due_at < :now",
            ["has_slot", keys::DUE_AT],
            [("no", AttributeValue::Bool(false)), ("now", AttributeValue::N(now.0.to_string()))],
        );
        let item = self.update_one(&keys::job(id), not_ended(waits)).await?;
        Ok(item.map(serde_dynamo::from_item).transpose()?)
    }

    /// Moves a job on. Going back is silently refused; `false` only if the job has ended, so that a stage can stop.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance(
        &self,
        id: &JobId,
        status: Status,
        progress: u8,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let change = Changes::default()
            .set("status", &status)?
            .set("progress", &progress)?
            .set("updated_at", &now)?
            .when("#progress < :new_progress", ["progress"], []);
        if self.update_one(&keys::job(id), not_ended(change)).await?.is_some() {
            return Ok(true);
        }
        Ok(self.job(id).await?.is_some_and(|job| !job.status.is_final()))
    }

    /// Counts bytes that were read from the source, by whichever function. Returns how many there are by now; `None`
    /// if the job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_bytes_read(&self, id: &JobId, bytes: u64) -> Result<Option<u64>, StoreError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let change = not_ended(Changes::default().add("source_bytes_read", bytes));
        let Some(item) = self.update_one(&keys::job(id), change).await? else { return Ok(None) };
        let job: Job = serde_dynamo::from_item(item)?;
        Ok(Some(job.source_bytes_read))
    }

    /// Writes down the multipart upload that the result comes by. `false` if the job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_upload(&self, id: &JobId, upload: &str) -> Result<bool, StoreError> {
        let change = not_ended(Changes::default().set("upload", &upload)?);
        Ok(self.update_one(&keys::job(id), change).await?.is_some())
    }

    /// Writes down what was published. `false` if the job has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_output(&self, id: &JobId, output: &Output) -> Result<bool, StoreError> {
        let change = not_ended(Changes::default().set("output", output)?);
        Ok(self.update_one(&keys::job(id), change).await?.is_some())
    }

    /// Makes a job's hold larger or smaller, once the true price is known.
    ///
    /// # Errors
    /// [`StoreError::TooDear`] if that is more than the job may cost, [`StoreError::Capped`] if it is more than its key may
    /// spend, [`StoreError::Ledger`] if the balance does not cover a larger hold, or the hold is resolved already.
    pub async fn true_up(&self, id: &JobId, amount: Amount, now: Timestamp) -> Result<(), StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let standing = self.standing(id).await?;
            quote::within(amount, standing.job.max_cost)?;
            if standing.record.hold.amount == amount {
                return Ok(());
            }
            let (change, hold) = standing.wallet.true_up(standing.record.hold, amount)?;
            let held = standing.record.hold.amount;
            let reserved = not_ended(Changes::default().set("reserved", &amount)?);
            let payer = (&standing.record.account, WALLET);
            let mut transaction = Transaction::default()
                .and([self.update(&keys::hold(id), hold_becomes(hold, held)?)?])
                .and([self.update(&keys::job(id), reserved)?])
                .join(self.wallet_actions(payer, standing.wallet, &change, id.as_str(), now).await?);
            if let Some(cap) = &standing.job.cap {
                let counted = match amount.checked_sub(held) {
                    // More is spent only within the cap, as at acceptance.
                    Some(more) => {
                        let room = cap.amount.checked_sub(more).ok_or(StoreError::Capped)?;
                        spend(self, cap, (more, room))?
                    }
                    None => respend(self, cap, (held, amount))?,
                };
                transaction = transaction.with(Role::Cap, counted);
            }
            match self.transact(transaction).await {
                Ok(()) => return Ok(()),
                Err(Refused::Conditions(failed)) if failed.has(Role::Cap) => return Err(StoreError::Capped),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// Ends a job: resolves its hold, writes its end, frees its place, tells whoever listens and, on success, writes the
    /// clip, all in one transaction. Answers the orders to tell of it, which the caller should put into the queue; those
    /// that are lost are found by the next sweep. `None` if the job had ended before: then nothing changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end(
        &self,
        id: &JobId,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<Option<Vec<DeliveryKey>>, StoreError> {
        let how = match ending {
            Ending::Complete { cost, .. } => Resolution::Post(*cost),
            Ending::Failed { expired: true, .. } => Resolution::Expire,
            Ending::Failed { expired: false, .. } | Ending::Cancelled => Resolution::Void,
        };
        let mut attempts = Attempts::default();
        loop {
            let standing = self.standing(id).await?;
            let (change, hold) = match standing.wallet.resolve(standing.record.hold, how) {
                Err(LedgerError::Resolved(_)) => return Ok(None),
                decided => decided?,
            };
            let held = standing.record.hold.amount;
            let cap = standing.job.cap.as_ref().map(|cap| respend(self, cap, (held, hold.posted)));
            let clips = match ending {
                Ending::Complete { clips, .. } => self.add_clips(clips)?,
                _ => Vec::new(),
            };
            let mut parts = Vec::new();
            // One by one: whatever ends jobs may read one item, and few jobs have parts.
            for part in standing.job.part_ids() {
                if let Some(part) = self.job(&part).await?.filter(|part| !part.status.is_final()) {
                    parts.push(self.end_part(&part, ending, now)?);
                }
            }
            let chore = match ending {
                Ending::Cancelled => {
                    Some(self.write_chore(&chore_id()?, leftovers::all(&standing.job).iter(), now)?)
                }
                _ => None,
            };
            let account = &standing.record.account;
            let payer = (account, WALLET);
            let event = ending.event(&standing.job, now);
            let (news, orders) = self.tell(account, &event, standing.job.webhook.as_deref()).await?;
            let transaction = Transaction::default()
                .and([self.update(&keys::hold(id), hold_becomes(hold, held)?)?])
                .and([self.update(&keys::job(id), ended_undivided(ending, &standing.job, now)?)?])
                .and(self.leave_place(&standing.job)?)
                .and(cap.transpose()?)
                .and(clips)
                .and(parts)
                .and(chore)
                .join(self.wallet_actions(payer, standing.wallet, &change, id.as_str(), now).await?)
                .and(news);
            match self.transact(transaction).await {
                Ok(()) => return Ok(Some(orders)),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// The action that ends a part as the job ends that it is a part of.
    fn end_part(&self, part: &Job, ending: &Ending, now: Timestamp) -> Result<TransactWriteItem, StoreError> {
        let change = match ending {
            Ending::Complete { .. } => {
                Changes::default().set("status", &Status::Complete)?.set("progress", &100)?
            }
            Ending::Failed { failure, .. } => {
                Changes::default().set("status", &Status::Failed)?.set("failure", failure)?
            }
            Ending::Cancelled => Changes::default().set("status", &Status::Cancelled)?,
        };
        self.update(&keys::job(&part.id), closed(change, now)?)
    }

    /// The actions that free a job's slot and take it out of the queue. Which of the two it has may change while
    /// this is decided, so both are done.
    fn leave_place(&self, job: &Job) -> Result<[TransactWriteItem; 2], StoreError> {
        let slot = Changes::default().delete_member("running", job.id.as_str());
        Ok([
            self.update(&keys::slots(&job.account), slot)?,
            self.delete(&keys::wait(&job.account, job.created_at, &job.id))?,
        ])
    }

    /// Job, wallet and hold. The wallet is read before the hold: a hold that is then still open is part of that
    /// wallet, and if the wallet has moved on since, the condition on its `seq` notices.
    async fn standing(&self, id: &JobId) -> Result<Standing, StoreError> {
        let job: Job = self.get(&keys::job(id)).await?.ok_or(StoreError::NotFound)?;
        let wallet = self.wallet(&job.account, WALLET).await?;
        let record: HoldRecord = self.get(&keys::hold(id)).await?.ok_or(StoreError::NotFound)?;
        Ok(Standing { job, record, wallet })
    }
}

struct Standing {
    job: Job,
    record: HoldRecord,
    wallet: Wallet,
}

pub(crate) fn take_slot(job: &JobId, slots_max: u32) -> Changes {
    Changes::default().add_member("running", job.as_str()).when(
        "attribute_not_exists(#running) OR size(#running) < :max OR contains(#running, :job)",
        ["running"],
        [
            ("max", AttributeValue::N(slots_max.to_string())),
            ("job", AttributeValue::S(job.as_str().to_owned())),
        ],
    )
}

/// Adds the condition that the job exists and has not ended.
fn not_ended(change: Changes) -> Changes {
    change.when("attribute_exists(#open)", ["open"], [])
}

fn hold_becomes(hold: Hold, from: Amount) -> Result<Changes, StoreError> {
    Ok(Changes::default()
        .set("amount", &hold.amount)?
        .set("state", &hold.state)?
        .set("posted", &hold.posted)?
        .when(
            "#state = :held AND #amount = :from",
            ["state", "amount"],
            [
                ("held", AttributeValue::S("held".to_owned())),
                ("from", AttributeValue::N(from.units().to_string())),
            ],
        ))
}

fn ended(ending: &Ending, now: Timestamp) -> Result<Changes, StoreError> {
    let change = match ending {
        Ending::Complete { cost, .. } => {
            Changes::default().set("status", &Status::Complete)?.set("cost", cost)?.set("progress", &100)?
        }
        // The bar stays where the work stopped.
        Ending::Failed { failure, .. } => {
            Changes::default().set("status", &Status::Failed)?.set("failure", failure)?
        }
        Ending::Cancelled => {
            Changes::default().set("status", &Status::Cancelled)?.set("cost", &Amount::ZERO)?
        }
    };
    closed(change, now)
}

/// The same, on the condition that a job that had no parts has none: they would be left behind.
fn ended_undivided(ending: &Ending, job: &Job, now: Timestamp) -> Result<Changes, StoreError> {
    let change = ended(ending, now)?;
    Ok(if job.parts > 0 { change } else { change.when("attribute_not_exists(#parts)", ["parts"], []) })
}

/// The change as the last one of a job, or of a part.
fn closed(change: Changes, now: Timestamp) -> Result<Changes, StoreError> {
    Ok(not_ended(
        change
            .set("updated_at", &now)?
            .set(keys::TTL, &expiry::job_record_expires_at(now).epoch_seconds())?
            .remove(keys::OPEN),
    ))
}
