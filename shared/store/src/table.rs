//! The table: reads, conversions, and the actions that transactions are made of.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::UpdateItemError,
    types::{
        AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, ReturnValue,
        ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use domain::{ledger::LedgerError, quote::TooDear};
use serde::{Serialize, de::DeserializeOwned};

pub(crate) use crate::changes::Changes;
pub(crate) use crate::transaction::{Refused, Role, Transaction};
use crate::{flows::Flows, keys::Key};

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Why a read or write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The ledger refuses, for example for want of money.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The job would cost more than its owner allows.
    #[error(transparent)]
    TooDear(#[from] TooDear),
    /// The key that the job was asked for with may not spend so much in a day.
    #[error("more than the key may spend in a day")]
    Capped,
    /// The item is not there.
    #[error("not found")]
    NotFound,
    /// Others write the same items at the same time, and patience ran out.
    #[error("too much contention, try again")]
    Busy,
    /// An item that does not read as what it should be.
    #[error("malformed item: {0}")]
    Malformed(String),
    /// AWS refused or did not answer.
    #[error("{operation} failed: {message}")]
    Aws {
        /// What was tried.
        operation: &'static str,
        /// What the SDK says, for the log.
        message: String,
    },
}

impl StoreError {
    pub(crate) fn aws<E>(operation: &'static str) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error,
    {
        move |error| Self::Aws { operation, message: chain(&error) }
    }

    /// An answer of AWS that cannot be.
    pub(crate) fn fault(operation: &'static str, message: &str) -> Self {
        Self::Aws { operation, message: message.to_owned() }
    }
}

impl From<serde_dynamo::Error> for StoreError {
    fn from(error: serde_dynamo::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// An SDK error with its causes; alone it says "service error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The product's one table.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) flows: Flows,
}

/// Enough that 32 writers on one wallet all get through: each round at least one of them does.
const ATTEMPTS_MAX: u32 = 64;
const PAUSE_MS_MAX: u64 = 40;

/// Counts the attempts of a decision that is made anew on contention.
#[derive(Debug, Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// Waits a random moment before the next attempt, longer the more there were.
    pub(crate) async fn pause(&mut self) -> Result<(), StoreError> {
        self.0 += 1;
        if self.0 >= ATTEMPTS_MAX {
            return Err(StoreError::Busy);
        }
        let ceiling = PAUSE_MS_MAX.min(2 << self.0.min(8));
        let random = getrandom::u64().unwrap_or(u64::from(self.0));
        tokio::time::sleep(Duration::from_millis(random % ceiling.max(1))).await;
        Ok(())
    }
}

impl Table {
    /// The table `name` behind `client`.
    #[must_use]
    pub fn new(client: Client, name: String) -> Self {
        Self { client, name, flows: Flows::default() }
    }

    /// Reads one item, strongly consistent.
    pub(crate) async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await
            .map_err(StoreError::aws("GetItem"))?;
        answer.item.map(serde_dynamo::from_item).transpose().map_err(Into::into)
    }

    /// Reads several items in one round trip, strongly consistent, in the order of `keys`.
    pub(crate) async fn get_all<const N: usize>(
        &self,
        keys: [&Key; N],
    ) -> Result<[Option<Item>; N], StoreError> {
        let found = self.get_many(&keys).await?;
        found.try_into().map_err(|_| StoreError::Malformed("a batch of another length".to_owned()))
    }

    /// As [`Table::get_all`], for a number of keys that is known only at run time; DynamoDB takes 100.
    pub(crate) async fn get_many(&self, keys: &[&Key]) -> Result<Vec<Option<Item>>, StoreError> {
        let mut attempts = Attempts::default();
        let mut found = vec![None; keys.len()];
        let mut open: Vec<Item> = keys.iter().map(|key| key.attributes()).collect();
        while !open.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(open)).consistent_read(true).build();
            let wanted = wanted.map_err(StoreError::aws("BatchGetItem"))?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.name, wanted)
                .send()
                .await
                .map_err(StoreError::aws("BatchGetItem"))?;
            for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                let position =
                    keys.iter().position(|key| key.attributes().iter().all(|(n, v)| item.get(n) == Some(v)));
                if let Some(place) = position.and_then(|at| found.get_mut(at)) {
                    *place = Some(item);
                }
            }
            open = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, rest)| rest.keys).collect();
            if !open.is_empty() {
                attempts.pause().await?;
            }
        }
        Ok(found)
    }

    /// Up to `limit` items of a partition whose sort keys begin with `prefix`, in order, strongly consistent.
    pub(crate) async fn first_of(
        &self,
        partition: String,
        prefix: String,
        limit: i32,
    ) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(partition))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix))
            .consistent_read(true)
            .limit(limit);
        Ok(query.send().await.map_err(StoreError::aws("Query"))?.items.unwrap_or_default())
    }

    /// An action that writes a new item and fails if the key is taken.
    pub(crate) fn create<T: Serialize>(&self, key: &Key, value: &T) -> Result<TransactWriteItem, StoreError> {
        self.create_with(key, value, [])
    }

    /// As [`Table::create`], with attributes beside the value's own.
    pub(crate) fn create_with<T: Serialize, const N: usize>(
        &self,
        key: &Key,
        value: &T,
        more: [(&str, AttributeValue); N],
    ) -> Result<TransactWriteItem, StoreError> {
        self.create_with_all(key, value, more.map(|(name, value)| (name.to_owned(), value)))
    }

    /// As [`Table::create_with`], for attributes that are known only at run time.
    pub(crate) fn create_with_all<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        more: impl IntoIterator<Item = (String, AttributeValue)>,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item: Item = serde_dynamo::to_item(value)?;
        item.extend(key.attributes());
        item.extend(more);
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::aws("TransactWriteItems"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// An action that writes an item, with attributes beside the value's own, on the condition in `condition`.
    pub(crate) fn put_if<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        more: Vec<(&str, AttributeValue)>,
        condition: Changes,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item: Item = serde_dynamo::to_item(value)?;
        item.extend(key.attributes());
        item.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(item))
            .set_condition_expression(condition.condition)
            .set_expression_attribute_names(Some(condition.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(condition.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::aws("TransactWriteItems"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// An action that deletes an item, there or not.
    pub(crate) fn delete(&self, key: &Key) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder().table_name(&self.name).set_key(Some(key.attributes())).build();
        Ok(TransactWriteItem::builder()
            .delete(delete.map_err(StoreError::aws("TransactWriteItems"))?)
            .build())
    }

    /// An action that deletes an item, on the condition in `condition`.
    pub(crate) fn delete_if(&self, key: &Key, condition: Changes) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .set_condition_expression(condition.condition)
            .set_expression_attribute_names(Some(condition.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(condition.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::aws("TransactWriteItems"))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// An action that changes nothing and fails if the condition in `condition` does not hold.
    pub(crate) fn check(&self, key: &Key, condition: Changes) -> Result<TransactWriteItem, StoreError> {
        let check = ConditionCheck::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .set_condition_expression(condition.condition)
            .set_expression_attribute_names(Some(condition.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(condition.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::aws("TransactWriteItems"))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// An action that updates an item.
    pub(crate) fn update(&self, key: &Key, change: Changes) -> Result<TransactWriteItem, StoreError> {
        let update = Update::builder()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(change.expression())
            .set_condition_expression(change.condition)
            .set_expression_attribute_names(Some(change.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(change.values).filter(|values| !values.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(StoreError::aws("TransactWriteItems"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Updates one item outside a transaction; `Ok(None)` if the condition failed.
    pub(crate) async fn update_one(&self, key: &Key, change: Changes) -> Result<Option<Item>, StoreError> {
        self.try_update(key, change).await.map(Result::ok)
    }

    /// Updates one item outside a transaction and answers it as it is then, or, if the condition failed, as it
    /// stands (empty if it is not there). Tried again while a transaction holds the item.
    pub(crate) async fn try_update(
        &self,
        key: &Key,
        change: Changes,
    ) -> Result<Result<Item, Item>, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .update_expression(change.expression())
            .set_condition_expression(change.condition)
            .set_expression_attribute_names(Some(change.names).filter(|names| !names.is_empty()))
            .set_expression_attribute_values(Some(change.values).filter(|values| !values.is_empty()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut attempts = Attempts::default();
        loop {
            let error = match update.clone().send().await {
                Ok(answer) => return Ok(Ok(answer.attributes.unwrap_or_default())),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    return Ok(Err(failed.item.clone().unwrap_or_default()));
                }
                Some(UpdateItemError::TransactionConflictException(_)) => attempts.pause().await?,
                _ => return Err(StoreError::aws("UpdateItem")(error)),
            }
        }
    }
}
