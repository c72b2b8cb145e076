//! Records of uploads: what was announced, and what became of it.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    ids::{AccountId, FileId},
    job::Failure,
    rate::Decision,
    source::SourceInfo,
    time::Timestamp,
    upload::{BYTES_A_DAY_MAX, FILES_A_DAY, Part, Upload, UploadStatus},
};

use crate::{
    keys,
    rate::{one_more, used},
    table::{Attempts, Changes, Refused, Role, StoreError, Table, Transaction},
};

/// A record outlives its upload, because jobs that were accepted in time read it.
const KEPT_AFTER_SECONDS: i64 = 86_400;
/// The attribute that adds up what was announced in a day.
const BYTES: &str = "bytes";

/// What a look at an upload told.
#[derive(Clone, Debug)]
pub enum Looked {
    /// It can be used. `version` is the entity tag of what was looked at.
    Ready {
        /// What it is.
        source: SourceInfo,
        /// Entity tag of the bytes that were looked at.
        version: String,
    },
    /// It cannot, and this is why.
    Failed(Failure),
}

impl Table {
    /// Writes down an upload that is announced; `Some` if its account has announced too many or too much today, and then
    /// nothing is written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn announce_upload(&self, upload: &Upload) -> Result<Option<Decision>, StoreError> {
        let now = upload.created_at;
        let (size, key) = (upload.file.file_size, keys::account_rate(&upload.account, FILES_A_DAY, now));
        let ttl = upload.expires_at.epoch_seconds() + KEPT_AFTER_SECONDS;
        let ttl = [(keys::TTL, AttributeValue::N(ttl.to_string()))];
        let mut attempts = Attempts::default();
        loop {
            let room = BYTES_A_DAY_MAX.saturating_sub(size);
            let count = one_more(FILES_A_DAY, now)?.add(BYTES, i64::try_from(size).unwrap_or(i64::MAX)).when(
                &format!("attribute_not_exists(#{BYTES}) OR #{BYTES} <= :room"),
                [BYTES],
                [("room", AttributeValue::N(room.to_string()))],
            );
            let record = self.create_with(&keys::upload(&upload.account, &upload.id), upload, ttl.clone())?;
            let announced = Transaction::default().with(Role::Count, self.update(&key, count)?).and([record]);
            match self.transact(announced).await {
                Ok(()) => return Ok(None),
                Err(Refused::Conditions(failed)) => {
                    let full = failed.item(Role::Count);
                    let full = full.ok_or_else(|| StoreError::Malformed("the id is taken".to_owned()))?;
                    return Ok(Some(FILES_A_DAY.decision(used(Some(full)), false, now)));
                }
                Err(Refused::Conflict) => attempts.pause().await?,
                Err(Refused::Error(error)) => return Err(error),
            }
        }
    }

    /// An upload of an account, expired or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upload(&self, account: &AccountId, id: &FileId) -> Result<Option<Upload>, StoreError> {
        self.get(&keys::upload(account, id)).await
    }

    /// Notes that somebody is about to be asked to look at an upload, made of `parts` if it comes in parts. `false` if
    /// it is no longer as it was `seen`: then somebody else has asked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn order_look(
        &self,
        seen: &Upload,
        parts: &[Part],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let status = AttributeValue::S(seen.status.word().to_owned());
        let change = Changes::default()
            .set("status", &UploadStatus::Checking)?
            .set("look_at", &now)?
            .set("parts", &parts)?
            .count("looks")
            .when("#status = :seen", ["status"], [("seen", status)]);
        let change = match seen.look_at {
            Some(before) => {
                let before = AttributeValue::N(before.0.to_string());
                change.when("#look_at = :before", ["look_at"], [("before", before)])
            }
            None => change.when("attribute_not_exists(#look_at)", ["look_at"], []),
        };
        Ok(self.update_one(&keys::upload(&seen.account, &seen.id), change).await?.is_some())
    }

    /// Writes down what a look told; nothing changes it afterwards. `false` if something had been written before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_look(
        &self,
        (account, id): (&AccountId, &FileId),
        looked: &Looked,
    ) -> Result<bool, StoreError> {
        let change = match looked {
            Looked::Ready { source, version } => Changes::default()
                .set("status", &UploadStatus::Ready)?
                .set("source", source)?
                .set("version", version)?,
            Looked::Failed(failure) => {
                Changes::default().set("status", &UploadStatus::Failed)?.set("failure", failure)?
            }
        };
        let checking = AttributeValue::S(UploadStatus::Checking.word().to_owned());
        let change = change.when("#status = :checking", ["status"], [("checking", checking)]);
        Ok(self.update_one(&keys::upload(account, id), change).await?.is_some())
    }

    /// Up to `limit` uploads of an account, expired ones included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn uploads(&self, account: &AccountId, limit: i32) -> Result<Vec<Upload>, StoreError> {
        let (partition, prefix) = (keys::account_partition(account), keys::UPLOADS.to_owned());
        let items = self.first_of(partition, prefix, limit).await?;
        items.into_iter().map(|item| Ok(serde_dynamo::from_item(item)?)).collect()
    }

    /// Deletes the record of an upload. Its file is deleted first, by the caller.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erase_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        let actions = [self.delete(&keys::upload(&upload.account, &upload.id))?];
        self.transact_until_done(&actions).await
    }
}
