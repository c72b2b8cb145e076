//! Payments: written down before Stripe is asked, then brought up to date with what it reports.
//!
//! Invariant: what a report moves is one transaction of the payment (on the condition that it is the one that the decision
//! was made on) and its owner's wallet. So a report that comes twice, from a request, an event and the sweeper at once,
//! moves money once.
//!
//! A payment that has not ended stands in the `open` index. An `Idempotency-Key` leads to its payment for 24 hours: the
//! stored answer names it, and what is answered is made of the payment as it stands.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    idempotency::Intention,
    ids::{AccountId, PaymentId},
    ledger::{Change, EntryKind, LedgerError, Wallet},
    money::{Amount, WalletKind},
    payment::{Payment, Report, Step},
    rate::{Decision, Quota},
    reload::ApprovalToken,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    due::{Due, DuePlace},
    idempotency::{Answer, Earlier, earlier_in},
    keys,
    rate::used,
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
};

/// How long an event of Stripe is remembered: as long as Stripe sends it again.
const EVENT_KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// How long an approval is kept after its time, so that a late click is told so. DynamoDB deletes it.
const APPROVAL_KEPT_MS: i64 = 24 * 3_600_000;

/// Names a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentKey {
    /// Whose it is.
    pub account: AccountId,
    /// Which one.
    pub payment: PaymentId,
}

impl PaymentKey {
    /// The name of this payment.
    #[must_use]
    pub fn of(payment: &Payment) -> Self {
        Self { account: payment.account.clone(), payment: payment.id.clone() }
    }
}

/// What else is written with something that an API key asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The client's name for its intention, if it has one.
    pub intention: Option<&'a Intention>,
    /// What it counts in.
    pub quota: Quota,
}

/// What became of something new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is written.
    New,
    /// The same intention was carried out before, or its key was used for something else. Nothing was written.
    Earlier(Earlier),
    /// The account has done this often enough. Nothing was written.
    Limited(Decision),
}

/// What is stored of a reload that its owner is asked to approve, under the digest of the link's token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Whose reload it is.
    pub account: AccountId,
    /// How much.
    pub cents: u64,
    /// From when on the link is worth nothing.
    pub expires_at: Timestamp,
    /// The payment that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
}

/// Some payments, newest first.
#[derive(Clone, Debug)]
pub struct PaymentPage {
    /// The payments.
    pub payments: Vec<Payment>,
    /// The last of them, if there are more.
    pub next: Option<PaymentId>,
}

#[derive(Serialize, Deserialize)]
struct CustomerRecord {
    customer: String,
}

#[derive(Serialize, Deserialize)]
struct EventRecord {
    at: Timestamp,
    ttl: i64,
}

/// The payment that a stored answer leads to; `None` for an answer that is given again as it is.
#[must_use]
pub fn payment_of(answer: &Answer) -> Option<PaymentId> {
    let body: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
    PaymentId::parse(body.get("payment")?.as_str()?)
}

impl Table {
    /// Stripe's id of the customer that an account is; `None` if it has not paid anything yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn customer(&self, account: &AccountId) -> Result<Option<String>, StoreError> {
        let record: Option<CustomerRecord> = self.get(&keys::customer(account)).await?;
        Ok(record.map(|record| record.customer))
    }

    /// Keeps the customer that an account is, unless it has one; answers which it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_customer(&self, account: &AccountId, customer: &str) -> Result<String, StoreError> {
        let change = Changes::default().set("customer", &customer)?.when("attribute_not_exists(pk)", [], []);
        let item = match self.try_update(&keys::customer(account), change).await? {
            Ok(item) | Err(item) => item,
        };
        let record: CustomerRecord = serde_dynamo::from_item(item)?;
        Ok(record.customer)
    }

    /// Forgets a customer that Stripe has deleted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_customer(&self, account: &AccountId, customer: &str) -> Result<(), StoreError> {
        let same = [("customer", AttributeValue::S(customer.to_owned()))];
        let same = Changes::default().when("#customer = :customer", ["customer"], same);
        let forget = Transaction::default().and([self.delete_if(&keys::customer(account), same)?]);
        match self.transact(forget).await {
            // Or it has another one.
            Ok(()) | Err(Refused::Conditions(_)) => Ok(()),
            Err(Refused::Conflict) => Err(StoreError::Busy),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// Writes a payment down that is about to be asked for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_payment(
        &self,
        payment: &Payment,
        asked: Option<Asked<'_>>,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let answer = Answer { status: 200, body: json!({ "payment": payment.id }).to_string(), object: None };
        let new = Transaction::default().and([self.put_payment(payment, now)?]);
        self.begin_asked(new, &payment.account, asked, &answer, now).await
    }

    /// Writes down that a reload waits for its owner's approval; `answer` is what a repeat is told.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn issue_approval(
        &self,
        token: &ApprovalToken,
        approval: &Approval,
        asked: Asked<'_>,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let ttl = approval.expires_at.plus_ms(APPROVAL_KEPT_MS).epoch_seconds();
        let ttl = [(keys::TTL, AttributeValue::N(ttl.to_string()))];
        let issued = self.create_with(&keys::approval(&token.digest()), approval, ttl)?;
        let new = Transaction::default().and([issued]);
        self.begin_asked(new, &approval.account, Some(asked), answer, now).await
    }

    async fn begin_asked(
        &self,
        new: Transaction,
        account: &AccountId,
        asked: Option<Asked<'_>>,
        answer: &Answer,
        now: Timestamp,
    ) -> Result<Begun, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let mut transaction = new.clone();
            if let Some(Asked { intention, quota }) = asked {
                transaction = transaction.with(Role::Count, self.count_for(account, quota, now)?);
                if let Some(intention) = intention {
                    transaction =
                        transaction.with(Role::Answer, self.remember(account, (intention, answer), now)?);
                }
            }
            let failed = match self.transact(transaction).await {
                Ok(()) => return Ok(Begun::New),
                Err(Refused::Conditions(failed)) => failed,
                Err(Refused::Conflict) => {
                    attempts.pause().await?;
                    continue;
                }
                Err(Refused::Error(error)) => return Err(error),
            };
            if let Some(Asked { intention, quota }) = asked {
                // A repeat counts nothing, so it is told first.
                if let Some(intention) = intention
                    && let Some(earlier) = earlier_in(failed.item(Role::Answer).cloned(), intention, now)?
                {
                    return Ok(Begun::Earlier(earlier));
                }
                if failed.has(Role::Count) {
                    let counted = used(failed.item(Role::Count));
                    return Ok(Begun::Limited(quota.decision(counted, false, now)));
                }
            }
            attempts.pause().await?;
        }
    }

    /// The approval that a link leads to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approval(&self, token: &ApprovalToken) -> Result<Option<Approval>, StoreError> {
        self.get(&keys::approval(&token.digest())).await
    }

    /// Makes a payment of an approval, once: answers the one that it is. `None` if the approval is not there or too old.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn approve(
        &self,
        token: &ApprovalToken,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<Option<PaymentId>, StoreError> {
        let key = keys::approval(&token.digest());
        let mut attempts = Attempts::default();
        loop {
            let used = Changes::default().set("payment", &payment.id)?.when(
                "attribute_exists(pk) AND attribute_not_exists(#payment) AND #expires_at > :now",
                ["payment", "expires_at"],
                [("now", AttributeValue::N(now.0.to_string()))],
            );
            let approved = Transaction::default()
                .with(Role::Once, self.update(&key, used)?)
                .and([self.put_payment(payment, now)?]);
            match self.transact(approved).await {
                Ok(()) => return Ok(Some(payment.id.clone())),
                Err(Refused::Conditions(failed)) if failed.has(Role::Once) => {
                    let there = failed.item(Role::Once).filter(|item| !item.is_empty()).cloned();
                    let approval: Option<Approval> = there.map(serde_dynamo::from_item).transpose()?;
                    return Ok(approval.and_then(|approval| approval.payment));
                }
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// A payment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payment(&self, key: &PaymentKey) -> Result<Option<Payment>, StoreError> {
        self.get(&keys::payment(key)).await
    }

    /// Up to `limit` payments of an account, newest first, those before `from`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn payment_page(
        &self,
        account: &AccountId,
        from: Option<&PaymentId>,
        limit: usize,
    ) -> Result<PaymentPage, StoreError> {
        let key = |payment: &PaymentId| {
            keys::payment(&PaymentKey { account: account.clone(), payment: payment.clone() }).attributes()
        };
        let answer = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(keys::account_partition(account)))
            .expression_attribute_values(":prefix", AttributeValue::S(keys::PAYMENTS.to_owned()))
            .scan_index_forward(false)
            .consistent_read(true)
            // One more than a page has: its presence tells that there is another page.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .set_exclusive_start_key(from.map(key))
            .send()
            .await
            .map_err(StoreError::aws("Query"))?;
        let items = answer.items.unwrap_or_default().into_iter();
        let mut payments: Vec<Payment> = items.map(serde_dynamo::from_item).collect::<Result<_, _>>()?;
        let more = payments.len() > limit;
        payments.truncate(limit);
        let next = payments.last().filter(|_| more).map(|payment| payment.id.clone());
        Ok(PaymentPage { payments, next })
    }

    /// Payments that have not ended and are due at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_payments(
        &self,
        now: Timestamp,
        from: Option<DuePlace>,
    ) -> Result<Due<PaymentKey>, StoreError> {
        self.due(keys::OPEN_PAYMENT, now, from, |key| keys::payment_of(&key.pk, &key.sk)).await
    }

    /// Tells a payment what Stripe reports, and moves the money that this means. Answers the payment as it is then, and the
    /// step if it was this call that took it; `None` if there is no such payment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn learn(
        &self,
        key: &PaymentKey,
        report: &Report,
        now: Timestamp,
    ) -> Result<Option<(Payment, Option<Step>)>, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let Some(payment) = self.payment(key).await? else { return Ok(None) };
            let Some(mut step) = payment.learn(report) else { return Ok(Some((payment, None))) };
            let whose = (&key.account, WalletKind::Usd);
            let money = if step.movements.is_empty() {
                Transaction::default()
            } else {
                let wallet = self.wallet(whose.0, whose.1).await?;
                let change = moved(wallet, &step.movements)?;
                if let Some(credit) = change.entries.iter().find(|entry| entry.kind == EntryKind::Purchase) {
                    step.payment.balance_after = credit.balance_after;
                }
                self.wallet_actions(whose, wallet, &change, key.payment.as_str(), now).await?
            };
            let learnt = self.replace_payment(&step.payment, payment.version, now)?;
            match self.transact(Transaction::default().and([learnt]).join(money)).await {
                Ok(()) => return Ok(Some((step.payment.clone(), Some(step)))),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// Writes down that a payment was looked after and has not ended, so that it rests a while. One that has changed
    /// meanwhile is left alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn postpone_payment(&self, payment: &Payment, now: Timestamp) -> Result<(), StoreError> {
        let mut next = payment.clone();
        (next.looks, next.version) = (payment.looks.saturating_add(1), payment.version + 1);
        let postponed = Transaction::default().and([self.replace_payment(&next, payment.version, now)?]);
        match self.transact(postponed).await {
            Ok(()) | Err(Refused::Conditions(_) | Refused::Conflict) => Ok(()),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// Whether an event of Stripe was taken before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn knows_event(&self, event: &str) -> Result<bool, StoreError> {
        Ok(self.get::<EventRecord>(&keys::stripe_event(event)).await?.is_some())
    }

    /// Remembers an event of Stripe that was taken. Of the event itself nothing is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remember_event(&self, event: &str, now: Timestamp) -> Result<(), StoreError> {
        let record = EventRecord { at: now, ttl: now.plus_ms(EVENT_KEPT_MS).epoch_seconds() };
        let change = Changes::default().set("at", &record.at)?.set(keys::TTL, &record.ttl)?;
        self.try_update(&keys::stripe_event(event), change).await.map(drop)
    }

    fn put_payment(
        &self,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, StoreError> {
        let key = keys::payment(&PaymentKey::of(payment));
        self.put_if(
            &key,
            payment,
            open(payment, now),
            Changes::default().when("attribute_not_exists(pk)", [], []),
        )
    }

    fn replace_payment(
        &self,
        payment: &Payment,
        former_version: u64,
        now: Timestamp,
    ) -> Result<aws_sdk_dynamodb::types::TransactWriteItem, StoreError> {
        let former = [("version", AttributeValue::N(former_version.to_string()))];
        let unchanged = Changes::default().when("#version = :version", ["version"], former);
        self.put_if(&keys::payment(&PaymentKey::of(payment)), payment, open(payment, now), unchanged)
    }
}

/// What puts a payment that has not ended into the index.
fn open(payment: &Payment, now: Timestamp) -> Vec<(&'static str, AttributeValue)> {
    let due_at = payment.due_at(now);
    let entry = |due_at: Timestamp| {
        [
            (keys::OPEN, AttributeValue::S(keys::OPEN_PAYMENT.to_owned())),
            (keys::DUE_AT, AttributeValue::N(due_at.0.to_string())),
        ]
    };
    due_at.map(entry).into_iter().flatten().collect()
}

/// All movements of a step, as one change of the wallet.
fn moved(wallet: Wallet, movements: &[(EntryKind, Amount)]) -> Result<Change, LedgerError> {
    let mut all = Change { wallet, entries: Vec::new() };
    for (kind, amount) in movements {
        let change = match kind.takes_back() {
            true => all.wallet.take_back(*kind, *amount)?,
            false => all.wallet.grant(*kind, *amount)?,
        };
        all.wallet = change.wallet;
        all.entries.extend(change.entries);
    }
    Ok(all)
}
