//! Browser sessions, stored under the digest of their token and listed under their account.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{
    ids::{AccountId, SessionToken},
    sign_in,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    accounts::still_open,
    keys,
    table::{Changes, Refused, StoreError, Table, Transaction},
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
    /// Whether another token has taken this one's place.
    #[serde(default)]
    pub rotated: bool,
    /// When DynamoDB may delete it, in epoch seconds.
    pub ttl: i64,
}

impl SessionRecord {
    /// A session that is opened at `now`.
    #[must_use]
    pub fn opened(account: AccountId, now: Timestamp) -> Self {
        let expires_at = now.plus_ms(sign_in::SESSION_LIFETIME_MS);
        Self { account, created_at: now, expires_at, rotated: false, ttl: expires_at.epoch_seconds() }
    }
}

/// Sessions ended in one transaction: two items each, and DynamoDB takes 100.
const SESSIONS_A_TRANSACTION: i32 = 25;

impl Table {
    /// The actions that open a session.
    pub(crate) fn session_actions(
        &self,
        token: &SessionToken,
        record: &SessionRecord,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        Ok([
            self.create(&keys::session(token), record)?,
            self.create(&keys::account_session(&record.account, &token.digest()), record)?,
        ])
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

    /// The actions that end the session of a token, if it has one.
    pub(crate) async fn replacing_actions(
        &self,
        token: Option<&SessionToken>,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let Some(token) = token else { return Ok(Vec::new()) };
        let record: Option<SessionRecord> = self.get(&keys::session(token)).await?;
        let ending = record.map(|record| self.ending_actions(&record.account, &token.digest()));
        Ok(ending.transpose()?.into_iter().flatten().collect())
    }

    /// Ends the session of a token, if it has one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, token: &SessionToken) -> Result<(), StoreError> {
        let record: Option<SessionRecord> = self.get(&keys::session(token)).await?;
        let Some(record) = record else { return Ok(()) };
        self.delete_sessions(&record.account, &[token.digest()]).await
    }

    /// Gives a session a new token. The old one works for a moment longer, because requests with it are under way.
    /// `false` if the session was rotated, or ended, by somebody else meanwhile: then the new token is worth nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate_session(
        &self,
        (old, seen): (&SessionToken, &SessionRecord),
        new: &SessionToken,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let opened = SessionRecord::opened(seen.account.clone(), now);
        let last = now.plus_ms(sign_in::SESSION_GRACE_MS);
        let fade = Changes::default()
            .set("expires_at", &last)?
            .set("rotated", &true)?
            .set(keys::TTL, &last.epoch_seconds())?
            .when(
                "#expires_at = :seen",
                ["expires_at"],
                [("seen", AttributeValue::N(seen.expires_at.0.to_string()))],
            );
        let seen_at = still_open(Changes::default().set("seen_at", &now)?);
        let rotation = Transaction::default()
            .and([self.update(&keys::session(old), fade)?])
            .and([self.update(&keys::profile(&seen.account), seen_at)?])
            .and(self.session_actions(new, &opened)?);
        match self.transact(rotation).await {
            Ok(()) => Ok(true),
            Err(Refused::Conditions(_) | Refused::Conflict) => Ok(false),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// Ends all sessions of an account that is closed already, so that no new ones can be opened meanwhile.
    pub(crate) async fn end_sessions(&self, account: &AccountId) -> Result<(), StoreError> {
        loop {
            let partition = keys::account_partition(account);
            let listed =
                self.first_of(partition, keys::ACCOUNT_SESSIONS.to_owned(), SESSIONS_A_TRANSACTION).await?;
            let digest = |item: &crate::table::Item| match item.get(keys::SK) {
                Some(AttributeValue::S(sk)) => sk.strip_prefix(keys::ACCOUNT_SESSIONS).map(str::to_owned),
                _ => None,
            };
            let digests: Vec<String> = listed.iter().filter_map(digest).collect();
            if digests.is_empty() {
                return Ok(());
            }
            self.delete_sessions(account, &digests).await?;
        }
    }

    async fn delete_sessions(&self, account: &AccountId, digests: &[String]) -> Result<(), StoreError> {
        let mut actions = Vec::new();
        for digest in digests {
            actions.extend(self.ending_actions(account, digest)?);
        }
        self.transact_until_done(&actions).await
    }

    /// The actions that end a session.
    fn ending_actions(
        &self,
        account: &AccountId,
        digest: &str,
    ) -> Result<[TransactWriteItem; 2], StoreError> {
        Ok([self.delete(&keys::session_of(digest))?, self.delete(&keys::account_session(account, digest))?])
    }
}
