//! Paying for what was done within the request: the charge, and the answer to an `Idempotency-Key`, in one transaction.

use aws_sdk_dynamodb::types::TransactWriteItem;
use domain::{
    idempotency::Intention,
    ids::AccountId,
    job::Cap,
    ledger::{LedgerError, Wallet},
    money::{Amount, WalletKind},
    time::Timestamp,
};
use serde::Serialize;

use crate::{
    clips::signed,
    idempotency::{Answer, Earlier, earlier_in},
    keys,
    ledger::wallet_in,
    rate::spend,
    table::{Attempts, Changes, Refused, StoreError, Table},
};

/// What is paid, by whom and for what.
#[derive(Clone, Debug)]
pub struct Purchase<'a> {
    /// Its own name: what is bought under it is paid once.
    pub reference: &'a str,
    /// Who pays.
    pub account: &'a AccountId,
    /// Out of which wallet.
    pub wallet: WalletKind,
    /// How much.
    pub amount: Amount,
    /// Gigabytes of storage that the account gets for it.
    pub storage_gb: u64,
    /// The cap of the key that it is paid with, if that has one.
    pub cap: Option<&'a Cap>,
    /// The client's name for its intention, and what it is answered.
    pub intention: Option<(&'a Intention, &'a Answer)>,
    /// When.
    pub now: Timestamp,
}

/// What became of a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purchased {
    /// It is paid.
    Paid,
    /// The same intention was carried out before, or its key was used for something else. Nothing was written.
    Earlier(Earlier),
    /// It would spend more than its key may in a day. Nothing was written.
    Capped,
}

#[derive(Serialize)]
struct Record<'a> {
    account: &'a AccountId,
    at: Timestamp,
}

/// Where the transaction's actions stand. The first makes sure that the purchase happens once.
const FURTHER_AT: usize = 1;

impl Table {
    /// Pays, all of it in one transaction, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if the wallet does not cover it, [`StoreError::Busy`] under contention.
    pub async fn purchase(&self, purchase: &Purchase<'_>) -> Result<Purchased, StoreError> {
        let Purchase { account, wallet: kind, amount, cap, intention, now, .. } = *purchase;
        let room = cap.map(|cap| (cap, cap.amount.checked_sub(amount)));
        let room = match room {
            Some((_, None)) => return Ok(Purchased::Capped),
            Some((cap, Some(room))) => Some((cap, room)),
            None => None,
        };
        let cap_at = FURTHER_AT + usize::from(intention.is_some());
        let wallet_at = cap_at + usize::from(room.is_some());
        let mut attempts = Attempts::default();
        let mut wallet = self.wallet(account, kind).await?;
        loop {
            let actions = match self.payment(purchase, wallet, room).await {
                // The same request may have been paid a moment ago, with the last of the money.
                Err(StoreError::Ledger(problem @ LedgerError::Insufficient { .. })) => {
                    let Some((intention, _)) = intention else { return Err(problem.into()) };
                    let earlier = self.earlier(account, intention, now).await?;
                    return earlier.map(Purchased::Earlier).ok_or_else(|| problem.into());
                }
                decided => decided?,
            };
            match self.transact(actions).await {
                Ok(()) => return Ok(Purchased::Paid),
                Err(Refused::Conditions(mut failed)) => {
                    let mut take = |at: usize| failed.get_mut(at).and_then(Option::take);
                    if take(0).is_some() {
                        return Ok(Purchased::Paid);
                    }
                    if let Some((intention, _)) = intention
                        && let Some(earlier) = earlier_in(take(FURTHER_AT), intention, now)?
                    {
                        return Ok(Purchased::Earlier(earlier));
                    }
                    if room.is_some() && take(cap_at).is_some() {
                        return Ok(Purchased::Capped);
                    }
                    wallet = self.current(wallet_in(&failed, wallet_at)?, account, kind).await?;
                }
                Err(Refused::Conflict) => wallet = self.wallet(account, kind).await?,
                Err(Refused::Error(error)) => return Err(error),
            }
            attempts.pause().await?;
        }
    }

    /// The transaction that pays, decided on `wallet`.
    async fn payment(
        &self,
        purchase: &Purchase<'_>,
        wallet: Wallet,
        room: Option<(&Cap, Amount)>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let Purchase { reference, account, wallet: kind, amount, intention, now, .. } = *purchase;
        let change = wallet.charge(amount)?;
        let mut actions = vec![self.create(&keys::transfer(reference), &Record { account, at: now })?];
        if let Some(answered) = intention {
            actions.push(self.remember(account, answered, now)?);
        }
        if let Some((cap, room)) = room {
            actions.push(spend(self, cap, (amount, room))?);
        }
        actions.extend(self.wallet_actions((account, kind), wallet, &change, reference, now).await?);
        if purchase.storage_gb > 0 {
            let more = Changes::default().add("purchased_gb", signed(purchase.storage_gb));
            actions.push(self.update(&keys::storage(account), more)?);
        }
        Ok(actions)
    }
}
