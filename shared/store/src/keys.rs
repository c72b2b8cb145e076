//! Every key of the table, and every prefix of the bucket. Nothing else spells one.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | account | `ACCOUNT#{account}` | `PROFILE` |
//! | wallet | `ACCOUNT#{account}` | `WALLET#{kind}` |
//! | ledger entry | `ACCOUNT#{account}` | `ENTRY#{kind}#{seq}` |
//! | running jobs | `ACCOUNT#{account}` | `SLOTS#{lane}` |
//! | waiting job | `ACCOUNT#{account}` | `WAIT#{lane}#{accepted at}#{job}` |
//! | clip, newest last | `ACCOUNT#{account}` | `CLIP#{created at}#{clip}` |
//! | API key | `KEY#{sha256}` | `KEY` |
//! | browser session | `SESSION#{sha256}` | `SESSION` |
//! | sessions of an account | `ACCOUNT#{account}` | `SESSION#{sha256}` |
//! | hold | `HOLD#{id}` | `HOLD` |
//! | grant or immediate charge | `TRANSFER#{id}` | `TRANSFER` |
//! | job | `JOB#{id}` | `JOB` |
//! | clip by id | `CLIP#{id}` | `CLIP` |
//!
//! Index `open` (`open`, `due_at`): jobs that have not ended, by the time the sweeper looks after them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    ids::{AccountId, ApiKey, JobId, SessionToken},
    money::WalletKind,
    time::Timestamp,
};

/// Partition key attribute.
pub const PK: &str = "pk";
/// Sort key attribute.
pub const SK: &str = "sk";
/// Epoch seconds after which DynamoDB may delete an item. Housekeeping only: reads check expiry themselves.
pub const TTL: &str = "ttl";
/// The index of jobs that have not ended.
pub const OPEN_INDEX: &str = "open";
/// Partition key of [`OPEN_INDEX`], present only while a job has not ended. One value: the index is written
/// twice a job, so one partition carries about 500 jobs a second.
pub const OPEN: &str = "open";
/// The only value of [`OPEN`].
pub const OPEN_VALUE: &str = "job";
/// Sort key of [`OPEN_INDEX`], epoch milliseconds.
pub const DUE_AT: &str = "due_at";

/// An item's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    pub(crate) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PK.to_owned(), AttributeValue::S(self.pk.clone())),
            (SK.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// Which queue of work a job belongs to; each lane has slots of its own per account.
pub const CLIP_LANE: &str = "clip";

/// Partition of everything that belongs to one account.
pub(crate) fn account_partition(account: &AccountId) -> String {
    format!("ACCOUNT#{account}")
}

pub(crate) fn profile(account: &AccountId) -> Key {
    Key::new(account_partition(account), "PROFILE")
}

pub(crate) fn wallet(account: &AccountId, kind: WalletKind) -> Key {
    Key::new(account_partition(account), format!("WALLET#{}", kind.word()))
}

/// Prefix of a wallet's entries.
pub(crate) fn entries(kind: WalletKind) -> String {
    format!("ENTRY#{}#", kind.word())
}

/// Zero-padded, so that the entries of a wallet sort by their number.
pub(crate) fn entry(account: &AccountId, kind: WalletKind, seq: u64) -> Key {
    Key::new(account_partition(account), format!("{}{seq:020}", entries(kind)))
}

pub(crate) fn slots(account: &AccountId) -> Key {
    Key::new(account_partition(account), format!("SLOTS#{CLIP_LANE}"))
}

/// Prefix of an account's waiting jobs, oldest first.
pub(crate) fn waiting() -> String {
    format!("WAIT#{CLIP_LANE}#")
}

pub(crate) fn wait(account: &AccountId, accepted: Timestamp, job: &JobId) -> Key {
    Key::new(account_partition(account), format!("{}{:015}#{job}", waiting(), accepted.0))
}

pub(crate) fn account_clip(account: &AccountId, created: Timestamp, clip: &JobId) -> Key {
    Key::new(account_partition(account), format!("CLIP#{:015}#{clip}", created.0))
}

pub(crate) fn api_key(key: &ApiKey) -> Key {
    Key::new(format!("KEY#{}", key.digest()), "KEY")
}

pub(crate) fn session(token: &SessionToken) -> Key {
    Key::new(format!("SESSION#{}", token.digest()), "SESSION")
}

/// Lists a session under its account, so that all of them can be ended at once.
pub(crate) fn account_session(account: &AccountId, token: &SessionToken) -> Key {
    Key::new(account_partition(account), format!("SESSION#{}", token.digest()))
}

pub(crate) fn hold(id: &JobId) -> Key {
    Key::new(format!("HOLD#{id}"), "HOLD")
}

pub(crate) fn transfer(id: &str) -> Key {
    Key::new(format!("TRANSFER#{id}"), "TRANSFER")
}

pub(crate) fn job(id: &JobId) -> Key {
    Key::new(format!("JOB#{id}"), "JOB")
}

pub(crate) fn clip(id: &JobId) -> Key {
    Key::new(format!("CLIP#{id}"), "CLIP")
}

/// Bucket prefix of a job's intermediate files; expires after 1 day.
#[must_use]
pub fn work_object(job: &JobId, name: &str) -> String {
    format!("work/{job}/{name}")
}

/// Bucket key of a clip that expires; the rule deletes it after 1 day, the item says when exactly.
#[must_use]
pub fn clip_object(clip: &JobId, extension: &str) -> String {
    format!("clips/24h/{clip}.{extension}")
}
