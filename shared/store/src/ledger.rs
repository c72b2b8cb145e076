//! Carries the ledger's decisions out: each is one transaction of the wallet (conditional on the state it was
//! decided on), its new entries, and the record that must exist exactly once.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    ids::AccountId,
    ledger::{Change, Entry, EntryKind, LedgerError, Wallet},
    money::{Amount, WalletKind},
    time::Timestamp,
    webhook::{Event, crosses_low},
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
};

/// A ledger row as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryRow {
    /// The movement.
    #[serde(flatten)]
    pub entry: Entry,
    /// The job, purchase or grant that it belongs to.
    pub reference: String,
    /// When it was written.
    pub at: Timestamp,
}

/// A one-step movement: it happens at once or not at all.
#[derive(Clone, Copy, Debug)]
pub enum Immediate {
    /// Adds money.
    Grant(EntryKind, Amount),
    /// Spends money.
    Charge(Amount),
}

impl Table {
    /// A wallet as it stands; an account that never had money has an empty one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn wallet(&self, account: &AccountId, kind: WalletKind) -> Result<Wallet, StoreError> {
        Ok(self.get(&keys::wallet(account, kind)).await?.unwrap_or_default())
    }

    /// Grants or charges, exactly once for each `transfer`: a repeat changes nothing and answers `false`.
    ///
    /// # Errors
    /// [`StoreError::Ledger`] if a charge is not covered, [`StoreError::Busy`] under contention.
    pub async fn transfer(
        &self,
        transfer: &str,
        (account, kind): (&AccountId, WalletKind),
        movement: Immediate,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut attempts = Attempts::default();
        let mut wallet = self.wallet(account, kind).await?;
        loop {
            let decided = match movement {
                Immediate::Grant(entry, amount) => wallet.grant(entry, amount),
                Immediate::Charge(amount) => wallet.charge(amount),
            };
            // A repeat of a charge that emptied the wallet must be told from a charge that was never covered.
            let change = match decided {
                Err(LedgerError::Insufficient { .. }) if self.has_transfer(transfer).await? => {
                    return Ok(false);
                }
                decided => decided?,
            };
            let record = TransferRecord { account: account.clone(), at: now };
            let transaction = Transaction::default()
                .with(Role::Once, self.create(&keys::transfer(transfer), &record)?)
                .join(self.wallet_actions((account, kind), wallet, &change, transfer, now).await?);
            match self.transact(transaction).await {
                Ok(()) => return Ok(true),
                Err(Refused::Conditions(failed)) if failed.has(Role::Once) => return Ok(false),
                Err(Refused::Conditions(failed)) => {
                    wallet = self.current(failed.wallet()?, account, kind).await?;
                }
                Err(Refused::Conflict) => {}
                Err(Refused::Error(error)) => return Err(error),
            }
            attempts.pause().await?;
        }
    }

    /// All entries of a wallet, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn entries(&self, account: &AccountId, kind: WalletKind) -> Result<Vec<EntryRow>, StoreError> {
        let mut rows = Vec::new();
        let all = self.each_entry(account, kind, |row| {
            rows.push(row);
            Ok::<_, StoreError>(())
        });
        all.await?;
        Ok(rows)
    }

    /// Hands out the entries of a wallet one by one, oldest first, until one is not taken.
    pub(crate) async fn each_entry<E: From<StoreError>>(
        &self,
        account: &AccountId,
        kind: WalletKind,
        mut take: impl FnMut(EntryRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut items = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::account_partition(account)))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::entries(kind)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = items.next().await {
            let item = item.map_err(StoreError::aws("Query"))?;
            take(serde_dynamo::from_item(item).map_err(StoreError::from)?)?;
        }
        Ok(())
    }

    /// What writes `change`, decided on `before`: the wallet, each entry, and the news of it, if the balance falls low.
    pub(crate) async fn wallet_actions(
        &self,
        (account, kind): (&AccountId, WalletKind),
        before: Wallet,
        change: &Change,
        reference: &str,
        now: Timestamp,
    ) -> Result<Transaction, StoreError> {
        let after = change.wallet;
        let update = Changes::default()
            .set("available", &after.available)?
            .set("held", &after.held)?
            .set("seq", &after.seq)?;
        // Hardly any wallet ever owes: those that do not stay as they were written before there was such a thing.
        let update = match (before.owed, after.owed) {
            (before, after) if before == after => update,
            (_, after) if after.is_zero() => update.remove("owed"),
            (_, after) => update.set("owed", &after)?,
        };
        let update = update.when(
            if before.seq == 0 { "attribute_not_exists(pk) OR #seq = :seq" } else { "#seq = :seq" },
            ["seq"],
            [("seq", AttributeValue::N(before.seq.to_string()))],
        );
        let mut transaction =
            Transaction::default().with(Role::Wallet, self.update(&keys::wallet(account, kind), update)?);
        for &entry in &change.entries {
            let row = EntryRow { entry, reference: reference.to_owned(), at: now };
            transaction = transaction.and([self.create(&keys::entry(account, kind, entry.seq), &row)?]);
        }
        if kind == WalletKind::Usd && crosses_low(before.available, after.available) {
            // The order waits for the next sweep: whoever spends does not wait for it.
            let (news, _) = self.tell(account, &Event::balance_low(after.available, now), None).await?;
            transaction = transaction.and(news);
        }
        Ok(transaction)
    }

    /// The wallet to decide on next: the one that a failed condition handed back, or a fresh read.
    pub(crate) async fn current(
        &self,
        seen: Option<Wallet>,
        account: &AccountId,
        kind: WalletKind,
    ) -> Result<Wallet, StoreError> {
        match seen {
            Some(wallet) => Ok(wallet),
            None => self.wallet(account, kind).await,
        }
    }

    async fn has_transfer(&self, transfer: &str) -> Result<bool, StoreError> {
        Ok(self.get::<TransferRecord>(&keys::transfer(transfer)).await?.is_some())
    }
}

#[derive(Serialize, Deserialize)]
struct TransferRecord {
    account: AccountId,
    at: Timestamp,
}
