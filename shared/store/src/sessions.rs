//! Browser sessions, stored under the digest of their token.

use domain::{
    ids::{AccountId, SessionToken},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    table::{Refused, StoreError, Table},
};

/// What is stored of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Whose session it is.
    pub account: AccountId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// From this instant on it is worth nothing.
    pub expires_at: Timestamp,
    /// When DynamoDB may delete it, in epoch seconds.
    pub ttl: i64,
}

impl Table {
    /// Opens a session.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_session(&self, token: &SessionToken, record: &SessionRecord) -> Result<(), StoreError> {
        let actions = vec![
            self.create(&keys::session(token), record)?,
            self.create(&keys::account_session(&record.account, token), record)?,
        ];
        match self.transact(actions).await {
            Ok(()) => Ok(()),
            Err(Refused::Conditions(_) | Refused::Conflict) => Err(StoreError::Busy),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// The session of a token, if it is alive at `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session(
        &self,
        token: &SessionToken,
        now: Timestamp,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let record: Option<SessionRecord> = self.get(&keys::session(token)).await?;
        Ok(record.filter(|record| now < record.expires_at))
    }
}
