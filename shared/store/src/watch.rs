//! What a sweeper tells of the work that is open.

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use domain::time::Timestamp;

use crate::{
    keys,
    table::{StoreError, Table},
};

impl Table {
    /// How many jobs have not ended; with `overdue_at` only those that the sweeper should have looked after before then.
    ///
    /// One page of the index: it has room for about 10,000 of them, and costs 128 read units at most. Where there are more,
    /// what is counted is enough to know that there are many.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_jobs(&self, overdue_at: Option<Timestamp>) -> Result<u64, StoreError> {
        let before = overdue_at.unwrap_or(Timestamp(i64::MAX));
        let query = self
            .client
            .query()
            .table_name(&self.name)
            .index_name(keys::OPEN_INDEX)
            .key_condition_expression("#open = :open AND #due < :before")
            .expression_attribute_names("#open", keys::OPEN)
            .expression_attribute_names("#due", keys::DUE_AT)
            .expression_attribute_values(":open", AttributeValue::S(keys::OPEN_VALUE.to_owned()))
            .expression_attribute_values(":before", AttributeValue::N(before.0.to_string()))
            .select(Select::Count);
        let count = query.send().await.map_err(StoreError::aws("Query"))?.count;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
