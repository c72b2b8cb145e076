//! Answers that are given again: what a request with an `Idempotency-Key` was answered when it spent something.
//!
//! The answer is written in the transaction that spends, so it is there exactly if the spending is. DynamoDB deletes
//! it late; what counts is `expires_at`.
//!
//! It lies under the account and the key's digest, with the digest of method, path and body. It is looked up first, so
//! it is given again although the source is gone or the money spent; the same key with another request is a 422. Of
//! requests that race, the transaction lets one through, and the others find its answer. A request that failed spent
//! nothing and stored nothing, so it may be sent again. After 24 hours the key is free.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    idempotency::{self, Intention},
    ids::AccountId,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Changes, Item, StoreError, Table},
};

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
    /// The object of the bucket that has the body instead, if that is too large for an item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

/// An intention that was carried out before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// By the same request: this was its answer.
    Same(Answer),
    /// The key was used for another request.
    Other,
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// What earlier releases compare.
    request: String,
    #[serde(default)]
    meaning: Option<String>,
    #[serde(flatten)]
    answer: Answer,
    expires_at: Timestamp,
}

impl Table {
    /// The action that writes the answer down, and fails if the key is in use.
    pub(crate) fn remember(
        &self,
        account: &AccountId,
        (intention, answer): (&Intention, &Answer),
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let expires_at = idempotency::kept_until(now);
        let change = match &answer.object {
            Some(object) => Changes::default().set("object", object)?,
            None => Changes::default().remove("object"),
        };
        let change = change
            .set("request", &intention.request)?
            .set("meaning", &intention.meaning)?
            .set("status", &answer.status)?
            .set("body", &answer.body)?
            .set("expires_at", &expires_at)?
            .set(keys::TTL, &expires_at.epoch_seconds())?
            .when(
                "attribute_not_exists(pk) OR #expires_at <= :now",
                ["expires_at"],
                [("now", AttributeValue::N(now.0.to_string()))],
            );
        self.update(&keys::idempotency(account, intention), change)
    }

    /// Whether a request with this `Idempotency-Key` was carried out before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn earlier(
        &self,
        account: &AccountId,
        intention: &Intention,
        now: Timestamp,
    ) -> Result<Option<Earlier>, StoreError> {
        let [item] = self.get_all([&keys::idempotency(account, intention)]).await?;
        earlier_in(item, intention, now)
    }
}

/// What an item says about an `Idempotency-Key`; a missing or expired item says nothing.
pub(crate) fn earlier_in(
    item: Option<Item>,
    intention: &Intention,
    now: Timestamp,
) -> Result<Option<Earlier>, StoreError> {
    let Some(item) = item.filter(|item| !item.is_empty()) else { return Ok(None) };
    let record: Record = serde_dynamo::from_item(item)?;
    if record.expires_at <= now {
        return Ok(None);
    }
    let same = match &record.meaning {
        Some(meaning) => *meaning == intention.meaning,
        None => record.request == intention.request,
    };
    Ok(Some(if same { Earlier::Same(record.answer) } else { Earlier::Other }))
}
