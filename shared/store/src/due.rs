//! What the sweepers look after: the index `open`, by the time at which something is due, page by page.
//!
//! The index is eventually consistent: it may still name what has been looked after a moment ago, so whoever acts looks at
//! the thing itself first.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use domain::{ids::JobId, time::Timestamp};

use crate::{
    keys::{self, Key},
    table::{StoreError, Table},
    webhooks::DeliveryKey,
};

/// How much is listed at once.
const PAGE_ITEMS: i32 = 100;

/// Some of what is due, the longest overdue first.
#[derive(Clone, Debug)]
pub struct Due<T, P = DuePlace> {
    /// What was found.
    pub found: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<P>,
}

/// Where a page begins. What fails stays where it is in the index, and does not keep the sweeper from what is behind it.
#[derive(Clone, Debug)]
pub struct DuePlace(HashMap<String, AttributeValue>);

impl Table {
    /// Jobs that have not ended and are due at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_jobs(&self, now: Timestamp, from: Option<DuePlace>) -> Result<Due<JobId>, StoreError> {
        self.due(keys::OPEN_JOB, now, from, job_id).await
    }

    /// Jobs that wait for a slot and are due at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_waiting(
        &self,
        now: Timestamp,
        from: Option<DuePlace>,
    ) -> Result<Due<JobId>, StoreError> {
        self.due(keys::OPEN_WAITING, now, from, job_id).await
    }

    /// Chores that nobody has carried out by `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_chores(
        &self,
        now: Timestamp,
        from: Option<DuePlace>,
    ) -> Result<Due<String>, StoreError> {
        self.due(keys::OPEN_CHORE, now, from, |key| key.pk.strip_prefix(keys::CHORES).map(str::to_owned))
            .await
    }

    /// Clips that are to be looked at by `now`: those whose owner is to be told that they expire soon, and those that
    /// have expired and are not cleared away.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_clips(&self, now: Timestamp, from: Option<DuePlace>) -> Result<Due<JobId>, StoreError> {
        self.due(keys::OPEN_CLIP, now, from, |key| keys::expiring_clip(&key.sk)).await
    }

    /// Deliveries whose order must be given again at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        from: Option<DuePlace>,
    ) -> Result<Due<DeliveryKey>, StoreError> {
        self.due(keys::OPEN_DELIVERY, now, from, |key| keys::delivery_of(&key.pk, &key.sk)).await
    }

    /// How many jobs have not ended; with `overdue_at` only those that the sweeper should have looked after before then.
    ///
    /// One page of the index for those that run and one for those that wait: each has room for about 10,000 of them, and
    /// costs 128 read units at most. Where there are more, what is counted is enough to know that there are many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_jobs(&self, overdue_at: Option<Timestamp>) -> Result<u64, StoreError> {
        let before = overdue_at.unwrap_or(Timestamp(i64::MAX));
        let mut open = 0;
        for value in [keys::OPEN_JOB, keys::OPEN_WAITING] {
            let query = self.open(value, before).select(Select::Count);
            let count = query.send().await.map_err(StoreError::aws("Query"))?.count;
            open += u64::try_from(count).unwrap_or_default();
        }
        Ok(open)
    }

    pub(crate) async fn due<T>(
        &self,
        value: &str,
        now: Timestamp,
        from: Option<DuePlace>,
        read: impl Fn(&Key) -> Option<T>,
    ) -> Result<Due<T>, StoreError> {
        let from = from.map(|DuePlace(place)| place);
        let page = self.open(value, now).limit(PAGE_ITEMS).set_exclusive_start_key(from);
        let page = page.send().await.map_err(StoreError::aws("Query"))?;
        let found = page.items.into_iter().flatten();
        let found = found.filter_map(|item| keys::of_item(&item).and_then(|key| read(&key))).collect();
        Ok(Due { found, next: page.last_evaluated_key.map(DuePlace) })
    }

    /// A query for what is due before `before`.
    fn open(
        &self,
        value: &str,
        before: Timestamp,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.name)
            .index_name(keys::OPEN_INDEX)
            .key_condition_expression("#open = :open AND #due < :before")
            .expression_attribute_names("#open", keys::OPEN)
            .expression_attribute_names("#due", keys::DUE_AT)
            .expression_attribute_values(":open", AttributeValue::S(value.to_owned()))
            .expression_attribute_values(":before", AttributeValue::N(before.0.to_string()))
    }
}

fn job_id(key: &Key) -> Option<JobId> {
    JobId::parse(key.pk.strip_prefix(keys::JOBS)?)
}
