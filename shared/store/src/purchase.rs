//! Paying for what was done within the request: the charge, and the answer to an `Idempotency-Key`, in one transaction.

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
    rate::spend,
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
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
        let mut attempts = Attempts::default();
        let mut wallet = self.wallet(account, kind).await?;
        loop {
            let payment = match self.paying(purchase, wallet, room).await {
                // The same request may have been paid a moment ago, with the last of the money.
                Err(StoreError::Ledger(problem @ LedgerError::Insufficient { .. })) => {
                    let Some((intention, _)) = intention else { return Err(problem.into()) };
                    let earlier = self.earlier(account, intention, now).await?;
                    return earlier.map(Purchased::Earlier).ok_or_else(|| problem.into());
                }
                decided => decided?,
            };
            match self.transact(payment).await {
                Ok(()) => return Ok(Purchased::Paid),
                Err(Refused::Conditions(failed)) => {
                    if failed.has(Role::Once) {
                        return Ok(Purchased::Paid);
                    }
                    if let Some((intention, _)) = intention
                        && let Some(earlier) = earlier_in(failed.item(Role::Answer).cloned(), intention, now)?
                    {
                        return Ok(Purchased::Earlier(earlier));
                    }
                    if failed.has(Role::Cap) {
                        return Ok(Purchased::Capped);
                    }
                    wallet = self.current(failed.wallet()?, account, kind).await?;
                }
                Err(Refused::Conflict) => wallet = self.wallet(account, kind).await?,
                Err(Refused::Error(error)) => return Err(error),
            }
            attempts.pause().await?;
        }
    }

    /// The transaction that pays, decided on `wallet`.
    async fn paying(
        &self,
        purchase: &Purchase<'_>,
        wallet: Wallet,
        room: Option<(&Cap, Amount)>,
    ) -> Result<Transaction, StoreError> {
        let Purchase { reference, account, wallet: kind, amount, intention, now, .. } = *purchase;
        let change = wallet.charge(amount)?;
        let once = self.create(&keys::transfer(reference), &Record { account, at: now })?;
        let mut payment = Transaction::default().with(Role::Once, once);
        if let Some(answered) = intention {
            payment = payment.with(Role::Answer, self.remember(account, answered, now)?);
        }
        if let Some((cap, room)) = room {
            payment = payment.with(Role::Cap, spend(self, cap, (amount, room))?);
        }
        payment = payment.join(self.wallet_actions((account, kind), wallet, &change, reference, now).await?);
        if purchase.storage_gb > 0 {
            let more = Changes::default().add("purchased_gb", signed(purchase.storage_gb));
            payment = payment.and([self.update(&keys::storage(account), more)?]);
        }
        Ok(payment)
    }
}
