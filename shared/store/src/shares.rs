//! Clips as anyone sees them who has the link, and how often they were seen.
//!
//! Invariant: a viewer counts once a day for a clip, in the transaction that leaves the mark; and nothing that is kept
//! tells who it was. A mark's name is a digest with the day's salt, and both go when the day is over.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::{ids::JobId, rate::Window, share, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    clips::Clip,
    keys,
    table::{Attempts, Changes, Item, Refused, Role, StoreError, Table, Transaction},
};

/// The attribute of a clip that counts how often it was seen.
const VIEWS: &str = "views";
/// Clocks of two functions may differ by a moment: a day's items go when it is well over.
const KEPT_AFTER_SECONDS: i64 = 300;

/// A clip that is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct Share {
    /// The clip.
    #[serde(flatten)]
    pub clip: Clip,
    /// How often it was seen.
    #[serde(default)]
    pub views: u64,
}

#[derive(Serialize, Deserialize)]
struct Salt {
    salt: String,
    ttl: i64,
}

#[derive(Serialize)]
struct Mark {
    ttl: i64,
}

impl Table {
    /// A clip that is still alive at `now`, with its views. One read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn share(&self, id: &JobId, now: Timestamp) -> Result<Option<Share>, StoreError> {
        let share: Option<Share> = self.get(&keys::clip(id)).await?;
        Ok(share.filter(|share| share.clip.is_alive(now)))
    }

    /// Counts that `client` saw a clip, unless that was counted today (UTC); returns how often it was seen, or `None` if
    /// it is not there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_view(
        &self,
        id: &JobId,
        client: &str,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let day_end = Window::Day.end(now);
        let ttl = day_end + KEPT_AFTER_SECONDS;
        let mut attempts = Attempts::default();
        loop {
            let [item, salt] = self.get_all([&keys::clip(id), &keys::salt(day_end)]).await?;
            let share: Option<Share> = item.map(serde_dynamo::from_item).transpose()?;
            let Some(share) = share.filter(|share| share.clip.is_alive(now)) else { return Ok(None) };
            let Some(salt) = salt else {
                self.begin_day(day_end, ttl).await?;
                attempts.pause().await?;
                continue;
            };
            let Salt { salt, .. } = serde_dynamo::from_item(salt)?;
            let one_more = Changes::default().count(VIEWS).when("attribute_exists(pk)", [], []);
            let mark = self.create(&keys::view(&share::viewer(&salt, id, client)), &Mark { ttl })?;
            let transaction =
                Transaction::default().with(Role::Once, mark).and([self.update(&keys::clip(id), one_more)?]);
            match self.transact(transaction).await {
                Ok(()) => return Ok(Some(share.views + 1)),
                Err(Refused::Conditions(failed)) if failed.has(Role::Once) => return Ok(Some(share.views)),
                Err(Refused::Conditions(_) | Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// Makes the salt of a day, unless another function was faster.
    async fn begin_day(&self, day_end: i64, ttl: i64) -> Result<(), StoreError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| StoreError::Malformed(error.to_string()))?;
        let salt = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut item: Item = serde_dynamo::to_item(Salt { salt, ttl })?;
        item.extend(keys::salt(day_end).attributes());
        let put = self.client.put_item().table_name(&self.name).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(pk)").send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(StoreError::aws("PutItem")(error)),
            },
        }
    }
}
