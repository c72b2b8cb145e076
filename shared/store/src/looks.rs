//! What looks at sources told, kept for whoever asks about the same URL soon.
//!
//! Anyone may have a look made, so what is kept is small (`SourceInfo::bounded`) and goes by itself, and the requests
//! that lead here are counted by the client's address. Nothing that costs money is decided by it.

use domain::{expiry, source::SourceInfo, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Item, StoreError, Table},
};

#[derive(Serialize, Deserialize)]
struct Record {
    source: SourceInfo,
    expires_at: Timestamp,
    ttl: i64,
}

impl Table {
    /// What an earlier look at `url` told, unless it has expired by `now`. One read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_look(&self, url: &str, now: Timestamp) -> Result<Option<SourceInfo>, StoreError> {
        let record: Option<Record> = self.get(&keys::look(url)).await?;
        Ok(record.filter(|record| record.expires_at > now).map(|record| record.source))
    }

    /// Keeps what a look at `url` told, in place of any earlier one. One write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_look(&self, url: &str, source: SourceInfo, now: Timestamp) -> Result<(), StoreError> {
        let expires_at = expiry::look_expires_at(now);
        let record = Record { source: source.bounded(), expires_at, ttl: expires_at.epoch_seconds() };
        let mut item: Item = serde_dynamo::to_item(&record)?;
        item.extend(keys::look(url).attributes());
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        put.send().await.map(drop).map_err(StoreError::aws("PutItem"))
    }
}
