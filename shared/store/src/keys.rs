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
//! | clip that expires, the next to go first | `ACCOUNT#{account}` | `EXPIRES#{expires at}#{clip}` |
//! | what its clips take up | `ACCOUNT#{account}` | `STORAGE` |
//! | upload | `ACCOUNT#{account}` | `UPLOAD#{file}` |
//! | receivers of webhooks, all of them | `ACCOUNT#{account}` | `WEBHOOKS` |
//! | an event on its way to a receiver | `ACCOUNT#{account}` | `DELIVERY#{endpoint or jobs}#{event}` |
//! | jobs, reloads or uploads in a window | `ACCOUNT#{account}` | `RATE#{quota}_{end}` |
//! | requests in a window, by callers without a key | `RATE#{sha256}` | `{quota}_{end}` |
//! | spent with an API key in a day | `KEY#{sha256}` | `SPENT#{end}` |
//! | answer to an `Idempotency-Key` | `IDEM#{account}#{sha256}` | `IDEM` |
//! | API key, with counts `rate_{quota}_{end}` | `KEY#{sha256}` | `KEY` |
//! | browser session | `SESSION#{sha256}` | `SESSION` |
//! | key in its owner's list | `ACCOUNT#{account}` | `KEY#{key id}` |
//! | session in its account's list | `ACCOUNT#{account}` | `SESSION#{sha256}` |
//! | sign-in link and code | `SIGNIN#{sha256 of the link's token}` | `SIGNIN` |
//! | account of an address | `ADDRESS#{sha256}` | `ACCOUNT` |
//! | an address's latest code that a browser asked for | `ADDRESS#{sha256}` | `SIGNIN#{sha256 of the browser's secret}` |
//! | an address gets no mail for a while | `ADDRESS#{sha256}` | `UNWANTED` |
//! | an address had its bonus | `ADDRESS#{sha256}` | `BONUS` |
//! | what a look at a URL told | `LOOK#{sha256 of the URL}` | `LOOK` |
//! | hold | `HOLD#{id}` | `HOLD` |
//! | grant or immediate charge | `TRANSFER#{id}` | `TRANSFER` |
//! | job | `JOB#{id}` | `JOB` |
//! | clip by id | `CLIP#{id}` | `CLIP` |
//! | objects to delete | `CHORE#{id}` | `CHORE` |
//! | payment, newest last | `ACCOUNT#{account}` | `PAYMENT#{payment}` |
//! | Stripe's customer that an account is | `ACCOUNT#{account}` | `CUSTOMER` |
//! | password of reloads by API | `ACCOUNT#{account}` | `RELOAD` |
//! | reload that waits for approval | `APPROVAL#{sha256 of the link's token}` | `APPROVAL` |
//! | event of Stripe that was taken | `STRIPE#{event}` | `EVENT` |
//! | how far the reconciliation has come | `RECONCILIATION` | `RECONCILIATION` |
//! | who saw a clip in a day | `VIEW#{salted sha256}` | `VIEW` |
//! | the secret of a day's viewers | `SALT#{end}` | `SALT` |
//!
//! Index `open` (`open`, `due_at`): what the sweepers look after, by the time they do: jobs that have not ended, clips
//! that expire (an hour before, and when they do), chores, deliveries, payments whose outcome is not known.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    email::EmailAddress,
    idempotency::Intention,
    ids::{AccountId, ApiKey, EventId, FileId, JobId, KeyId, PaymentId, SessionToken, digest},
    job::Cap,
    money::WalletKind,
    rate::Quota,
    sign_in::BrowserSecret,
    time::Timestamp,
    webhook::Receiver,
};

use crate::{payments::PaymentKey, webhooks::DeliveryKey};

/// Partition key attribute.
pub const PK: &str = "pk";
/// Sort key attribute.
pub const SK: &str = "sk";
/// Epoch seconds after which DynamoDB may delete an item. Housekeeping only: reads check expiry themselves.
pub const TTL: &str = "ttl";
/// The index of what the sweeper looks after.
pub const OPEN_INDEX: &str = "open";
/// Partition key of [`OPEN_INDEX`], present only as long as there is something to look after. One value for each kind:
/// the index is written twice a job, so one partition carries about 500 jobs a second.
pub const OPEN: &str = "open";
/// The value of [`OPEN`] of a job that has not ended. Earlier releases left those that wait for a slot here, too.
pub const OPEN_JOB: &str = "job";
/// The value of [`OPEN`] of a job that waits for a slot, of which there may be many.
pub const OPEN_WAITING: &str = "waiting";
/// The value of [`OPEN`] of a part of a job: no sweeper looks after it, because it ends with the job.
pub const OPEN_PART: &str = "part";
/// The value of [`OPEN`] of a clip that expires.
pub const OPEN_CLIP: &str = "clip";
/// The value of [`OPEN`] of a chore.
pub const OPEN_CHORE: &str = "chore";
/// The value of [`OPEN`] of a delivery with an attempt to come.
pub const OPEN_DELIVERY: &str = "delivery";
/// The value of [`OPEN`] of a payment that has not ended.
pub const OPEN_PAYMENT: &str = "payment";
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

/// The partition and the sort key of an item.
pub(crate) fn of_item(item: &HashMap<String, AttributeValue>) -> Option<Key> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Key { pk: text(PK)?, sk: text(SK)? })
}

/// Which queue of work a job belongs to; each lane has slots of its own per account.
pub const CLIP_LANE: &str = "clip";

/// What the partition of an account begins with.
const ACCOUNTS: &str = "ACCOUNT#";

/// Partition of everything that belongs to one account.
pub(crate) fn account_partition(account: &AccountId) -> String {
    format!("{ACCOUNTS}{account}")
}

pub(crate) fn profile(account: &AccountId) -> Key {
    Key::new(account_partition(account), "PROFILE")
}

/// Prefix of an account's wallets.
pub(crate) const WALLETS: &str = "WALLET#";

pub(crate) fn wallet(account: &AccountId, kind: WalletKind) -> Key {
    Key::new(account_partition(account), format!("{WALLETS}{}", kind.word()))
}

/// The wallet with this key.
pub(crate) fn wallet_of(pk: &str, sk: &str) -> Option<(AccountId, WalletKind)> {
    let kind = WalletKind::ALL.into_iter().find(|kind| sk.strip_prefix(WALLETS) == Some(kind.word()))?;
    Some((AccountId::parse(pk.strip_prefix(ACCOUNTS)?)?, kind))
}

/// The sort key of a wallet's first entry.
pub(crate) fn first_entry(kind: WalletKind) -> String {
    format!("{}{:020}", entries(kind), 1)
}

/// The wallet whose first entry has this key.
pub(crate) fn wallet_of_first_entry(pk: &str, sk: &str) -> Option<(AccountId, WalletKind)> {
    let kind = WalletKind::ALL.into_iter().find(|kind| sk == first_entry(*kind))?;
    Some((AccountId::parse(pk.strip_prefix(ACCOUNTS)?)?, kind))
}

/// How far the reconciliation has come.
pub(crate) fn reconciliation() -> Key {
    Key::new("RECONCILIATION", "RECONCILIATION")
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
    Key::new(account_partition(account), format!("{ACCOUNT_CLIPS}{:015}#{clip}", created.0))
}

/// Prefix of an account's clips that expire.
const EXPIRING: &str = "EXPIRES#";

/// Lists a clip that expires under its account, by when it does.
pub(crate) fn expiring(account: &AccountId, expires: Timestamp, clip: &JobId) -> Key {
    Key::new(account_partition(account), format!("{EXPIRING}{:015}#{clip}", expires.0))
}

/// The first and last sort key of an account's clips that have expired at `now`.
pub(crate) fn expired(now: Timestamp) -> (String, String) {
    // Behind every id: those are lower-case letters and digits.
    (EXPIRING.to_owned(), format!("{EXPIRING}{:015}#~", now.0))
}

/// The clip that the sort key of [`expiring`] names.
pub(crate) fn expiring_clip(sk: &str) -> Option<JobId> {
    JobId::parse(sk.strip_prefix(EXPIRING)?.split_once('#')?.1)
}

/// What an account's clips take up.
pub(crate) fn storage(account: &AccountId) -> Key {
    Key::new(account_partition(account), "STORAGE")
}

/// Objects to delete.
pub(crate) fn chore(id: &str) -> Key {
    Key::new(format!("{CHORES}{id}"), "CHORE")
}

/// What the partition of a chore begins with.
pub(crate) const CHORES: &str = "CHORE#";

/// An item that was found in an account's partition under `sk`.
pub(crate) fn listed(account: &AccountId, sk: &str) -> Key {
    Key::new(account_partition(account), sk)
}

/// Prefix of an account's uploads.
pub(crate) const UPLOADS: &str = "UPLOAD#";

/// Under its account, so nobody finds somebody else's.
pub(crate) fn upload(account: &AccountId, file: &FileId) -> Key {
    Key::new(account_partition(account), format!("{UPLOADS}{file}"))
}

/// The endpoints of an account.
pub(crate) fn webhooks(account: &AccountId) -> Key {
    Key::new(account_partition(account), "WEBHOOKS")
}

/// Prefix of an account's deliveries.
pub(crate) const DELIVERIES: &str = "DELIVERY#";

/// Prefix of the deliveries to one receiver, oldest first.
pub(crate) fn deliveries(receiver: &Receiver) -> String {
    format!("{DELIVERIES}{receiver}#")
}

/// Under its account, so nobody finds somebody else's.
pub(crate) fn delivery(key: &DeliveryKey) -> Key {
    Key::new(account_partition(&key.account), format!("{}{}", deliveries(&key.receiver), key.event))
}

/// The delivery with this key.
pub(crate) fn delivery_of(pk: &str, sk: &str) -> Option<DeliveryKey> {
    let account = AccountId::parse(pk.strip_prefix(ACCOUNTS)?)?;
    let (receiver, event) = sk.strip_prefix(DELIVERIES)?.split_once('#')?;
    Some(DeliveryKey { account, receiver: Receiver::parse(receiver)?, event: EventId::parse(event)? })
}

/// Prefix of an account's payments.
pub(crate) const PAYMENTS: &str = "PAYMENT#";

/// Under its account, newest last: its id begins with the time.
pub(crate) fn payment(key: &PaymentKey) -> Key {
    Key::new(account_partition(&key.account), format!("{PAYMENTS}{}", key.payment))
}

/// The payment with this key.
pub(crate) fn payment_of(pk: &str, sk: &str) -> Option<PaymentKey> {
    let account = AccountId::parse(pk.strip_prefix(ACCOUNTS)?)?;
    Some(PaymentKey { account, payment: PaymentId::parse(sk.strip_prefix(PAYMENTS)?)? })
}

pub(crate) fn customer(account: &AccountId) -> Key {
    Key::new(account_partition(account), "CUSTOMER")
}

pub(crate) fn reload(account: &AccountId) -> Key {
    Key::new(account_partition(account), "RELOAD")
}

/// The approval whose token's digest is `digest`.
pub(crate) fn approval(digest: &str) -> Key {
    Key::new(format!("APPROVAL#{digest}"), "APPROVAL")
}

pub(crate) fn stripe_event(event: &str) -> Key {
    Key::new(format!("STRIPE#{event}"), "EVENT")
}

/// Prefix of an account's clips.
pub(crate) const ACCOUNT_CLIPS: &str = "CLIP#";

pub(crate) fn api_key(key: &ApiKey) -> Key {
    api_key_of(&key.digest())
}

/// The key whose digest is `digest`.
pub(crate) fn api_key_of(digest: &str) -> Key {
    Key::new(format!("KEY#{digest}"), "KEY")
}

/// Prefix of an account's list of keys.
pub(crate) const ACCOUNT_KEYS: &str = "KEY#";

/// Lists a key under its account, by the id that its owner calls it by.
pub(crate) fn account_key(account: &AccountId, key: &KeyId) -> Key {
    Key::new(account_partition(account), format!("{ACCOUNT_KEYS}{key}"))
}

/// Attribute of an API key: when a request with it last passed, in epoch milliseconds.
pub const LAST_USED_AT: &str = "last_used_at";

/// Start of the attributes of an API key that count its requests.
pub const COUNT_PREFIX: &str = "rate_";

/// The attribute of an API key that counts its requests in the window around `now`.
pub(crate) fn count_attribute(quota: Quota, now: Timestamp) -> String {
    format!("{COUNT_PREFIX}{}", quota.counter(now))
}

/// What an account has used of a quota in the window around `now`.
pub(crate) fn account_rate(account: &AccountId, quota: Quota, now: Timestamp) -> Key {
    Key::new(account_partition(account), format!("RATE#{}", quota.counter(now)))
}

/// What anyone else has used of a quota in the window around `now`; `who` is stored as its digest only.
pub(crate) fn rate(who: &str, quota: Quota, now: Timestamp) -> Key {
    Key::new(format!("RATE#{}", digest(who)), quota.counter(now))
}

/// What was spent in a day with a key that has a cap. Not in the key's own item, which every request writes to.
pub(crate) fn spent(cap: &Cap) -> Key {
    Key::new(format!("KEY#{}", cap.key), format!("SPENT#{}", cap.day_end))
}

pub(crate) fn idempotency(account: &AccountId, intention: &Intention) -> Key {
    Key::new(format!("IDEM#{account}#{}", intention.key), "IDEM")
}

pub(crate) fn session(token: &SessionToken) -> Key {
    session_of(&token.digest())
}

/// The session whose token's digest is `digest`.
pub(crate) fn session_of(digest: &str) -> Key {
    Key::new(format!("SESSION#{digest}"), "SESSION")
}

/// Prefix of an account's list of sessions.
pub(crate) const ACCOUNT_SESSIONS: &str = "SESSION#";

/// Lists a session under its account, so that all of them can be ended at once.
pub(crate) fn account_session(account: &AccountId, digest: &str) -> Key {
    Key::new(account_partition(account), format!("{ACCOUNT_SESSIONS}{digest}"))
}

/// The sign-in link whose token's digest is `digest`.
pub(crate) fn sign_in(digest: &str) -> Key {
    Key::new(format!("SIGNIN#{digest}"), "SIGNIN")
}

/// Partition of what is known of one address. Only who has the address finds it.
fn address_partition(address: &EmailAddress) -> String {
    format!("ADDRESS#{}", address.digest())
}

pub(crate) fn address_account(address: &EmailAddress) -> Key {
    Key::new(address_partition(address), "ACCOUNT")
}

/// The latest code of an address that a browser has asked for.
pub(crate) fn address_sign_in(address: &EmailAddress, browser: &BrowserSecret) -> Key {
    Key::new(address_partition(address), format!("SIGNIN#{}", browser.digest()))
}

/// That an address gets no mail for a while.
pub(crate) fn address_unwanted(address: &EmailAddress) -> Key {
    Key::new(address_partition(address), "UNWANTED")
}

/// Outlives the account, so that a mailbox that comes back gets no second bonus. Releases before 0.2 wrote it for the
/// address as it was typed.
pub(crate) fn address_bonus(address: &EmailAddress) -> Key {
    Key::new(address_partition(address), "BONUS")
}

/// What a look at `url` told; a URL may carry a secret, so only its digest is kept.
pub(crate) fn look(url: &str) -> Key {
    Key::new(format!("LOOK#{}", digest(url)), "LOOK")
}

pub(crate) fn hold(id: &JobId) -> Key {
    Key::new(format!("HOLD#{id}"), "HOLD")
}

pub(crate) fn transfer(id: &str) -> Key {
    Key::new(format!("TRANSFER#{id}"), "TRANSFER")
}

/// What the partition of a job begins with.
pub(crate) const JOBS: &str = "JOB#";

pub(crate) fn job(id: &JobId) -> Key {
    Key::new(format!("{JOBS}{id}"), "JOB")
}

pub(crate) fn clip(id: &JobId) -> Key {
    Key::new(format!("CLIP#{id}"), "CLIP")
}

/// Somebody saw a clip on one day; `viewer` is a digest that leads back to nobody once the day's salt is gone.
pub(crate) fn view(viewer: &str) -> Key {
    Key::new(format!("VIEW#{viewer}"), "VIEW")
}

/// The secret that makes digests of the viewers of the day that ends at `day_end`, in epoch seconds.
pub(crate) fn salt(day_end: i64) -> Key {
    Key::new(format!("SALT#{day_end}"), "SALT")
}

/// Bucket prefix of a job's intermediate files; expires after 1 day.
#[must_use]
pub fn work_object(job: &JobId, name: &str) -> String {
    format!("work/{job}/{name}")
}

/// The name among a job's work files of the fetched span of a share.
#[must_use]
pub fn share_source(share: usize) -> String {
    format!("source-{share}")
}

/// The name among a job's work files of an encoded share.
#[must_use]
pub fn share_output(share: usize) -> String {
    format!("share-{share}.mp4")
}

/// What follows a clip's id in the name of its thumbnails.
pub const SPRITE_EXTENSION: &str = "sprite.jpg";
/// The suffix of the file with their times.
pub const CUES_EXTENSION: &str = "sprite.vtt";

/// The name of a clip's thumbnails, which lie beside the file that tells them apart.
#[must_use]
pub fn sprite_name(clip: &JobId) -> String {
    format!("{clip}.{SPRITE_EXTENSION}")
}

/// Bucket key of the list of parts that one shard of an upload left behind.
#[must_use]
pub fn parts_object(job: &JobId, shard: u64) -> String {
    work_object(job, &format!("parts-{shard}.json"))
}

/// Bucket key of what was read of a source's index; expires after 1 day. `version` tells the source and its version
/// and stays secret: a URL may carry a password.
#[must_use]
pub fn index_object(version: &str) -> String {
    format!("index/{}", digest(version))
}

/// Bucket key of what is said in a source, in one language or the spoken one; expires after 7 days. `version` tells the
/// source and its version and stays secret, as that of [`index_object`].
#[must_use]
pub fn words_object(version: &str, language: Option<&str>) -> String {
    format!("words/{}/transcript.json", digest(&format!("{version}\n{}", language.unwrap_or_default())))
}

/// Bucket key of what the finder makes of the words at `words` with one model; expires as they do.
#[must_use]
pub fn vectors_object(words: &str, model: &str) -> String {
    let folder = words.rsplit_once('/').map_or(words, |(folder, _)| folder);
    format!("{folder}/{model}")
}

/// Bucket key of an answer that is given again and is too large for the table; expires after 1 day.
#[must_use]
pub fn answer_object(reference: &str) -> String {
    format!("work/answers/{reference}")
}

/// Bucket key of an upload; the rule deletes it after 1 day, the item says when exactly. It says nothing of the file's
/// own name, which may be anything.
#[must_use]
pub fn upload_object(account: &AccountId, file: &FileId) -> String {
    format!("uploads/{account}/{file}")
}

/// Bucket key of a clip that expires; the rule deletes it after 1 day, the item says when exactly.
#[must_use]
pub fn clip_object(clip: &JobId, extension: &str) -> String {
    format!("clips/24h/{clip}.{extension}")
}

/// Where a clip's objects lie, which says how long they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// The rule deletes them after 1 day.
    Day,
    /// Until somebody deletes them.
    Pinned,
}

/// Bucket key of a clip's object that is copied to another shelf. Each copy has a folder of its own, named by `copy`,
/// so that nobody ever writes where something else may still be deleted; the object's own name stays, because the
/// thumbnails' cues name the picture beside them.
#[must_use]
pub fn shelved_object(key: &str, shelf: Shelf, copy: &str) -> String {
    let name = key.rsplit('/').next().unwrap_or_default();
    let shelf = match shelf {
        Shelf::Day => "24h",
        Shelf::Pinned => "pinned",
    };
    format!("clips/{shelf}/{copy}/{name}")
}
