//! The beginning of a job: its hold, its record, its place, the account's count of jobs, and the answer to an
//! `Idempotency-Key`, in one transaction.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    idempotency::Intention,
    ids::AccountId,
    job::Job,
    ledger::{LedgerError, Wallet},
    money::Amount,
    quote,
    rate::{Decision, Quota},
    time::Timestamp,
};

use crate::{
    idempotency::{Answer, Earlier, earlier_in},
    jobs::{HoldRecord, WALLET, WaitRecord, take_slot},
    keys,
    rate::{spend, used},
    table::{Attempts, Refused, Role, StoreError, Table, Transaction},
};

/// What a request for a job depends on, read in one round trip. Others write meanwhile, so it is only what the
/// decision starts from: the transaction checks all of it again.
#[derive(Clone, Debug)]
pub struct Outlook {
    wallet: Wallet,
    /// What the account's quota of jobs says of one more.
    pub jobs: Decision,
    /// Whether the same intention was carried out before.
    pub earlier: Option<Earlier>,
}

/// What a job is accepted on.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// How many of the account's jobs run at once.
    pub slots_max: u32,
    /// How many jobs the account may ask for.
    pub quota: Quota,
    /// The request's `Idempotency-Key`, and the response to store if the job is accepted.
    pub intention: Option<(&'a Intention, &'a Answer)>,
}

/// What became of a job.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // there is one a request
pub enum Acceptance {
    /// It is accepted, as stored: `has_slot` tells whether it may start.
    Accepted(Job),
    /// It was accepted before, or its key was used for something else. Nothing was written.
    Earlier(Earlier),
    /// The account has asked for too many. Nothing was written.
    TooMany(Decision),
    /// It would spend more than its key may in a day. Nothing was written.
    Capped,
}

impl Table {
    /// Reads what a request for a job depends on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outlook(
        &self,
        account: &AccountId,
        quota: Quota,
        intention: Option<&Intention>,
        now: Timestamp,
    ) -> Result<Outlook, StoreError> {
        let (wallet, rate) = (keys::wallet(account, WALLET), keys::account_rate(account, quota, now));
        let (wallet, rate, earlier) = match intention {
            Some(intention) => {
                let answer = keys::idempotency(account, intention);
                let [wallet, rate, answer] = self.get_all([&wallet, &rate, &answer]).await?;
                (wallet, rate, earlier_in(answer, intention, now)?)
            }
            None => {
                let [wallet, rate] = self.get_all([&wallet, &rate]).await?;
                (wallet, rate, None)
            }
        };
        let used = used(rate.as_ref());
        Ok(Outlook {
            wallet: wallet.map(serde_dynamo::from_item).transpose()?.unwrap_or_default(),
            jobs: quota.decision(used.saturating_add(1), used < quota.max, now),
            earlier,
        })
    }

    /// Accepts a job on `terms`, all of it in one transaction, or none.
    ///
    /// # Errors
    /// [`StoreError::TooDear`] if it costs more than it may, [`StoreError::Ledger`] if the wallet does not cover it;
    /// then nothing was written.
    pub async fn accept(
        &self,
        mut job: Job,
        outlook: &Outlook,
        terms: &Terms<'_>,
    ) -> Result<Acceptance, StoreError> {
        quote::within(job.reserved, job.max_cost)?;
        if job.cap.is_some() && room(&job).is_none() {
            return Ok(Acceptance::Capped);
        }
        let mut attempts = Attempts::default();
        let mut wallet = outlook.wallet;
        let now = job.created_at;
        loop {
            let acceptance = match self.acceptance(&job, wallet, terms).await {
                // The same request may have been accepted a moment ago, and taken the last of the money.
                Err(StoreError::Ledger(problem @ LedgerError::Insufficient { .. })) => {
                    let Some((intention, _)) = terms.intention else { return Err(problem.into()) };
                    let earlier = self.earlier(&job.account, intention, now).await?;
                    return earlier.map(Acceptance::Earlier).ok_or_else(|| problem.into());
                }
                decided => decided?,
            };
            let failed = match self.transact(acceptance).await {
                Ok(()) => return Ok(Acceptance::Accepted(job)),
                Err(Refused::Conditions(failed)) => failed,
                Err(Refused::Conflict) => {
                    attempts.pause().await?;
                    wallet = self.wallet(&job.account, WALLET).await?;
                    continue;
                }
                Err(Refused::Error(error)) => return Err(error),
            };
            if let Some((intention, _)) = terms.intention
                && let Some(earlier) = earlier_in(failed.item(Role::Answer).cloned(), intention, now)?
            {
                return Ok(Acceptance::Earlier(earlier));
            }
            if let Some(count) = failed.item(Role::Count) {
                return Ok(Acceptance::TooMany(terms.quota.decision(used(Some(count)), false, now)));
            }
            if failed.has(Role::Cap) {
                return Ok(Acceptance::Capped);
            }
            if failed.has(Role::Place) {
                job.has_slot = false;
            }
            if let Some(seen) = failed.wallet()? {
                wallet = seen;
            }
            attempts.pause().await?;
        }
    }

    /// The transaction that accepts a job, decided on `wallet`.
    async fn acceptance(
        &self,
        job: &Job,
        wallet: Wallet,
        terms: &Terms<'_>,
    ) -> Result<Transaction, StoreError> {
        let (change, hold) = wallet.hold(job.reserved)?;
        let hold = HoldRecord { account: job.account.clone(), hold };
        let open = if job.has_slot { keys::OPEN_JOB } else { keys::OPEN_WAITING };
        let open = (keys::OPEN, AttributeValue::S(open.to_owned()));
        let mut acceptance = Transaction::default()
            .with(Role::Place, self.place(job, terms.slots_max)?)
            .and([self.create(&keys::hold(&job.id), &hold)?])
            .and([self.create_with(&keys::job(&job.id), job, [open])?])
            .with(Role::Count, self.count_for(&job.account, terms.quota, job.created_at)?);
        if let Some(answered) = terms.intention {
            acceptance =
                acceptance.with(Role::Answer, self.remember(&job.account, answered, job.created_at)?);
        }
        if let Some((cap, room)) = job.cap.as_ref().zip(room(job)) {
            acceptance = acceptance.with(Role::Cap, spend(self, cap, (job.reserved, room))?);
        }
        let payer = (&job.account, WALLET);
        let paid = self.wallet_actions(payer, wallet, &change, job.id.as_str(), job.created_at).await?;
        Ok(acceptance.join(paid))
    }

    /// The action that gives a job its place: one of the account's slots, or the end of its queue.
    fn place(&self, job: &Job, slots_max: u32) -> Result<TransactWriteItem, StoreError> {
        if job.has_slot {
            return self.update(&keys::slots(&job.account), take_slot(&job.id, slots_max));
        }
        self.create(&keys::wait(&job.account, job.created_at, &job.id), &WaitRecord { job: job.id.clone() })
    }
}

/// How much may have been spent before with the job's key, if that has a cap that covers the job at all.
fn room(job: &Job) -> Option<Amount> {
    job.cap.as_ref()?.amount.checked_sub(job.reserved)
}
