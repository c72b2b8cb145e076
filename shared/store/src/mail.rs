//! Which addresses may be mailed.
//!
//! An address that does not exist, or whose owner complains, gets no mail for a while: SES suspends senders who go on. The mark
//! goes by itself, so that nobody is shut out for good by a server's mistake; an operator may delete it sooner.

use domain::{
    account::EVERYBODY,
    email::EmailAddress,
    rate::{Decision, Quota},
    sign_in::Unwanted,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::{
    keys,
    rate::Who,
    table::{Changes, StoreError, Table},
};

/// That an address gets no mail.
#[derive(Serialize, Deserialize)]
struct Mark {
    until: Timestamp,
}

/// Whether an address may be mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailing {
    /// It may.
    Welcome,
    /// It gets no mail for a while.
    Unwanted,
    /// It has no account, and the stack has mailed as many such as it may for now.
    TooMany(Decision),
}

impl Table {
    /// Whether `address` may be mailed; if so, and it has no account, it is counted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mailing(
        &self,
        address: &EmailAddress,
        to_strangers: Quota,
        now: Timestamp,
    ) -> Result<Mailing, StoreError> {
        let wanted = [&keys::address_unwanted(address), &keys::address_account(address)];
        let [mark, account] = self.get_all(wanted).await?;
        let mark: Option<Mark> = mark.map(serde_dynamo::from_item).transpose()?;
        if mark.is_some_and(|mark| now < mark.until) {
            return Ok(Mailing::Unwanted);
        }
        if account.is_some() {
            return Ok(Mailing::Welcome);
        }
        let counted = self.take(Who::Stranger(EVERYBODY), to_strangers, 1, now).await?;
        Ok(if counted.allowed { Mailing::Welcome } else { Mailing::TooMany(counted) })
    }

    /// Remembers that an address is not to be mailed, for as long as `why` says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn do_not_mail(
        &self,
        address: &EmailAddress,
        why: Unwanted,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let until = why.until(now);
        let mark = Changes::default().set("until", &until)?.set(keys::TTL, &until.epoch_seconds())?;
        // A repeat of an older event shortens nothing.
        let later = [("new", aws_sdk_dynamodb::types::AttributeValue::N(until.0.to_string()))];
        let mark = mark.when("attribute_not_exists(#until) OR #until < :new", ["until"], later);
        self.update_one(&keys::address_unwanted(address), mark).await.map(drop)
    }
}
