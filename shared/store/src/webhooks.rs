//! Webhooks: an account's receivers, and the deliveries that are on their way to them.
//!
//! The receivers of an account, five at most, are one item, so that whoever raises an event reads all of them at once. A
//! delivery is written in the transaction that makes its event true: what happened is told, whatever crashes, and what did
//! not happen is not. As long as an attempt is to come it stands in the `open` index.
//!
//! Who writes deliveries: the transaction that ends a job, `wallet_actions` for a balance that falls below $1.00, and
//! the sweep for a clip that expires in an hour. That costs one read; an account without receivers writes nothing. A
//! delivery has the body of its requests and lies under its account; its event's id is always the `webhook-id`.
//!
//! An order in the queue names the delivery. A stage that ends a job gives it at once, other events wait for the sweep.
//! `webhooks.sweep` gives an overdue order again, so orders may be lost or come twice, and pauses may be longer than
//! the 15 minutes that SQS holds a message back.
//!
//! A delivery ends with 2xx; with 410, which switches the receiver off; with the ninth failure, a day later, which also
//! puts the order into the dead-letter queue; or when there is nobody to send it to. A receiver that has taken nothing
//! for 21 hours or more when an event is given up is switched off, so that a server that is gone does not cost nine
//! requests an event for ever. The log is kept for seven days.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    ids::{AccountId, EventId},
    time::Timestamp,
    webhook::{Attempt, Event, Receiver, State, Topic, Webhooks, kept_until},
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::{random, still_open},
    keys,
    table::{Attempts, Changes, Item, Refused, Role, StoreError, Table, Transaction},
};

/// The order to attempt a delivery is given by whoever raised its event. One that is lost is given again after this long.
const ORDER_LOST_MS: i64 = 20_000;
/// How long one attempt may take until another function may think that it crashed. Longer than the function may run.
const ATTEMPT_LEASE_MS: i64 = 40_000;
/// How many queries one page may take. Each reads up to 1 MB, some hundred deliveries.
const QUERIES_MAX: usize = 16;

/// Names a delivery: the order to attempt it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// Whose event it is.
    pub account: AccountId,
    /// Who is told.
    pub receiver: Receiver,
    /// Of what.
    pub event: EventId,
}

/// One event on its way to one receiver, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its name.
    #[serde(flatten)]
    pub key: DeliveryKey,
    /// What the event is about.
    pub topic: Topic,
    /// The body of the requests.
    pub payload: String,
    /// The address that a job named. An endpoint's is looked up at each attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Attempts since it was ordered, or ordered again.
    pub tries: u32,
    /// The latest attempts, oldest first.
    pub log: Vec<Attempt>,
    /// When the event happened.
    pub created_at: Timestamp,
    /// When the next attempt is due; of no meaning once there is none.
    pub next_at: Timestamp,
    /// When the order is given again, if nothing has come of it. Each change of a delivery moves it, so that of two who
    /// saw the same delivery only one changes it.
    pub due_at: Timestamp,
    /// Until when an attempt has it for itself. In the past if none is under way.
    #[serde(default)]
    pub taken_until: Timestamp,
}

impl Delivery {
    fn new(key: DeliveryKey, event: &Event, url: Option<&str>) -> Self {
        let at = event.at;
        Self {
            key,
            topic: event.topic,
            payload: event.payload(),
            url: url.map(str::to_owned),
            state: State::Pending,
            tries: 0,
            log: Vec::new(),
            created_at: at,
            next_at: at,
            due_at: at.plus_ms(ORDER_LOST_MS),
            taken_until: Timestamp::default(),
        }
    }

    /// Whether an attempt is under way at `now`. One that has died is over when its time is.
    #[must_use]
    pub fn is_taken(&self, now: Timestamp) -> bool {
        now < self.taken_until
    }
}

/// Some deliveries to one receiver, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// The last of them, if there are more.
    pub next: Option<EventId>,
}

impl Table {
    /// What an account has of webhooks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhooks(&self, account: &AccountId) -> Result<Webhooks, StoreError> {
        Ok(self.get(&keys::webhooks(account)).await?.unwrap_or_default())
    }

    /// Changes what an account has of webhooks by `decide`, which is asked anew if somebody else was faster. What it
    /// refuses is not written. Nobody changes those of a closed account.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NotFound`] if the account is closed.
    pub async fn change_webhooks<T, E>(
        &self,
        account: &AccountId,
        decide: impl Fn(&mut Webhooks) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let mut attempts = Attempts::default();
        loop {
            let before = self.webhooks(account).await?;
            let mut after = before.clone();
            let decided = match decide(&mut after) {
                Ok(decided) => decided,
                refused => return Ok(refused),
            };
            if after == before {
                return Ok(Ok(decided));
            }
            let open = self.check(&keys::profile(account), still_open(Changes::default()))?;
            let transaction = Transaction::default()
                .with(Role::Profile, open)
                .and([self.update(&keys::webhooks(account), replaced(&after, before.seq)?)?]);
            match self.transact(transaction).await {
                Ok(()) => return Ok(Ok(decided)),
                Err(Refused::Conditions(failed)) if failed.has(Role::Profile) => {
                    return Err(StoreError::NotFound);
                }
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// The actions that tell of an event whoever listens, and `url`, the address that its job names. To be part of the
    /// transaction that makes the event true; the orders then go into the queue, or wait for the next sweep.
    pub(crate) async fn tell(
        &self,
        account: &AccountId,
        event: &Event,
        url: Option<&str>,
    ) -> Result<(Vec<TransactWriteItem>, Vec<DeliveryKey>), StoreError> {
        let webhooks = self.webhooks(account).await?;
        let listeners = webhooks.endpoints.iter().filter(|endpoint| endpoint.hears(event.topic));
        let listeners = listeners.map(|endpoint| (Receiver::Endpoint(endpoint.id.clone()), None));
        let id = EventId::new(event.at, random()?);
        let (mut actions, mut orders) = (Vec::new(), Vec::new());
        for (receiver, url) in listeners.chain(url.map(|url| (Receiver::Jobs, Some(url)))) {
            let key = DeliveryKey { account: account.clone(), receiver, event: id.clone() };
            actions.push(self.new_delivery(&Delivery::new(key.clone(), event, url))?);
            orders.push(key);
        }
        Ok((actions, orders))
    }

    fn new_delivery(&self, delivery: &Delivery) -> Result<TransactWriteItem, StoreError> {
        let open = [
            (keys::OPEN, AttributeValue::S(keys::OPEN_DELIVERY.to_owned())),
            (keys::TTL, AttributeValue::N(kept_until(delivery.created_at).epoch_seconds().to_string())),
        ];
        self.create_with(&keys::delivery(&delivery.key), delivery, open)
    }

    /// Tells one receiver of an event that nothing else depends on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tell_one(
        &self,
        account: &AccountId,
        receiver: Receiver,
        event: &Event,
    ) -> Result<Delivery, StoreError> {
        let key =
            DeliveryKey { account: account.clone(), receiver, event: EventId::new(event.at, random()?) };
        let delivery = Delivery::new(key, event, None);
        self.transact_until_done(&[self.new_delivery(&delivery)?]).await?;
        Ok(delivery)
    }

    /// A delivery that is in the log at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery(&self, key: &DeliveryKey, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        let delivery: Option<Delivery> = self.get(&keys::delivery(key)).await?;
        Ok(delivery.filter(|delivery| now < kept_until(delivery.created_at)))
    }

    /// Up to `limit` deliveries to a receiver that are in the log at `now`, newest first, those behind `from`.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Busy`] if they are too long for one answer.
    pub async fn delivery_page(
        &self,
        account: &AccountId,
        receiver: &Receiver,
        from: Option<EventId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<DeliveryPage, StoreError> {
        let name = |event| {
            keys::delivery(&DeliveryKey { account: account.clone(), receiver: receiver.clone(), event })
        };
        let mut from = from.map(|event| name(event).attributes());
        let mut found: Vec<Delivery> = Vec::new();
        for _ in 0..QUERIES_MAX {
            // One more than a page has: its presence tells that there is another page.
            let rest = i32::try_from(limit + 1 - found.len()).unwrap_or(i32::MAX);
            let answer = self
                .client
                .query()
                .table_name(&self.name)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", AttributeValue::S(keys::account_partition(account)))
                .expression_attribute_values(":prefix", AttributeValue::S(keys::deliveries(receiver)))
                .scan_index_forward(false)
                .consistent_read(true)
                .limit(rest)
                .set_exclusive_start_key(from)
                .send()
                .await
                .map_err(StoreError::aws("Query"))?;
            for item in answer.items.into_iter().flatten() {
                let delivery: Delivery = serde_dynamo::from_item(item)?;
                // DynamoDB deletes late.
                if now < kept_until(delivery.created_at) {
                    found.push(delivery);
                }
            }
            from = answer.last_evaluated_key;
            if found.len() > limit || from.is_none() {
                let more = found.len() > limit;
                found.truncate(limit);
                let next = found.last().filter(|_| more).map(|delivery| delivery.key.event.clone());
                return Ok(DeliveryPage { deliveries: found, next });
            }
        }
        Err(StoreError::Busy)
    }

    /// Takes a delivery for one attempt, so that nobody else attempts it meanwhile; `None` if an attempt is under way, or
    /// somebody has changed the delivery since it was read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_delivery(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        if delivery.is_taken(now) {
            return Ok(None);
        }
        let until = now.plus_ms(ATTEMPT_LEASE_MS);
        let tries = delivery.tries.saturating_add(1);
        let taken = Delivery { tries, due_at: until, taken_until: until, ..delivery.clone() };
        Ok(self.replace_delivery(delivery, &taken).await?.then_some(taken))
    }

    /// Writes down what came of an attempt of a delivery as it was taken. `next_at` is when the next one is due, and
    /// `ordered` whether the order for it will be in the queue by then. `false` if it was taken from us.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_attempt(
        &self,
        taken: &Delivery,
        attempt: Attempt,
        state: State,
        (next_at, ordered): (Timestamp, bool),
    ) -> Result<bool, StoreError> {
        let due_at = if ordered { next_at.plus_ms(ORDER_LOST_MS) } else { next_at };
        let log = attempt.logged(&taken.log);
        let taken_until = Timestamp::default();
        let after = Delivery { state, log, next_at, due_at, taken_until, ..taken.clone() };
        self.replace_delivery(taken, &after).await
    }

    /// Ends a delivery whose receiver wants it no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cancel_delivery(&self, delivery: &Delivery, now: Timestamp) -> Result<bool, StoreError> {
        let after = Delivery { state: State::Cancelled, due_at: now, ..delivery.clone() };
        self.replace_delivery(delivery, &after).await
    }

    /// Orders a delivery anew, whatever became of it, with all its attempts before it. Answers it as it is then; `None`
    /// if somebody changed it meanwhile, or an attempt is under way, whose result is to be written first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay_delivery(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        if delivery.is_taken(now) {
            return Ok(None);
        }
        let due_at = now.plus_ms(ORDER_LOST_MS);
        let after = Delivery { state: State::Pending, tries: 0, next_at: now, due_at, ..delivery.clone() };
        Ok(self.replace_delivery(delivery, &after).await?.then_some(after))
    }

    /// Gives a delivery's order time to be carried out before it is given once more. `false` if it has moved on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn order_again(&self, delivery: &Delivery, now: Timestamp) -> Result<bool, StoreError> {
        let after = Delivery { due_at: now.plus_ms(ORDER_LOST_MS), ..delivery.clone() };
        self.replace_delivery(delivery, &after).await
    }

    /// Changes a delivery if it is as it was read.
    async fn replace_delivery(&self, before: &Delivery, after: &Delivery) -> Result<bool, StoreError> {
        let seen = [("seen", AttributeValue::N(before.due_at.0.to_string()))];
        let change = Changes::default()
            .set("state", &after.state)?
            .set("tries", &after.tries)?
            .set("log", &after.log)?
            .set("next_at", &after.next_at)?
            .set(keys::DUE_AT, &after.due_at)?
            .set("taken_until", &after.taken_until)?
            .when("#due_at = :seen", ["due_at"], seen);
        let change = match after.state {
            State::Pending => change.set(keys::OPEN, &keys::OPEN_DELIVERY)?,
            State::Delivered | State::Failed | State::Cancelled => change.remove(keys::OPEN),
        };
        Ok(self.update_one(&keys::delivery(&before.key), change).await?.is_some())
    }

    /// Forgets all that an account has of webhooks, log included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_webhooks(&self, account: &AccountId) -> Result<(), StoreError> {
        self.transact_until_done(&[self.delete(&keys::webhooks(account))?]).await?;
        loop {
            let (partition, prefix) = (keys::account_partition(account), keys::DELIVERIES.to_owned());
            let some = self.first_of(partition, prefix, 25).await?;
            if some.is_empty() {
                return Ok(());
            }
            let actions = some
                .iter()
                .map(|item| self.delete(&listed(account, item)?))
                .collect::<Result<Vec<_>, _>>()?;
            self.transact_until_done(&actions).await?;
        }
    }
}

fn listed(account: &AccountId, item: &Item) -> Result<keys::Key, StoreError> {
    let sk = item.get(keys::SK).and_then(|sk| sk.as_s().ok());
    let sk = sk.ok_or_else(|| StoreError::Malformed("a delivery's place".to_owned()))?;
    Ok(keys::listed(account, sk))
}

/// Writes `after` where what is there has counted `seq` changes.
fn replaced(after: &Webhooks, seq: u64) -> Result<Changes, StoreError> {
    let condition = if seq == 0 { "attribute_not_exists(pk) OR #seq = :seq" } else { "#seq = :seq" };
    Ok(Changes::default()
        .set("endpoints", &after.endpoints)?
        .set("jobs", &after.jobs)?
        .set("seq", &(seq + 1))?
        .when(condition, ["seq"], [("seq", AttributeValue::N(seq.to_string()))]))
}
