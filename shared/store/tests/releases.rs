//! What earlier releases wrote is read, and carried on with, by this one; and what a later one may add disturbs nothing.
//!
//! `releases/<version>.json` has the items as that release wrote them. They are never changed. With `WRITE_ITEMS` in the
//! environment, the test writes those of the release that is being made.

#![allow(clippy::unwrap_used, clippy::panic)]

mod kit;
#[path = "kit/clips.rs"]
mod making;

use std::path::PathBuf;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::clip::ClipSpec;
use domain::cut::Span;
use domain::ids::{AccountId, ApiKey, FileId, JobId, WebhookId};
use domain::job::{Failure, Job, Status};
use domain::ledger::{EntryKind, Wallet};
use domain::money::{Amount, WalletKind};
use domain::source::SourceInfo;
use domain::time::{MediaTime, Timestamp};
use domain::upload::{Announced, Upload, UploadStatus};
use domain::webhook::{self, Endpoint, Event, Receiver};
use serde_json::{Map, Value, json};
use store::Table;
use store::accept::Acceptance;
use store::accounts::Account;
use store::clips::Clip;
use store::jobs::Ending;
use store::ledger::Immediate;
use store::library::Start;
use store::reconcile::Finding;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const USD: WalletKind = WalletKind::Usd;
const SOURCE: &str = "https://example.com/a.mp4";

fn account() -> AccountId {
    AccountId::from_random([0; 16])
}

fn job_id(number: u8) -> JobId {
    JobId::from_random([number; 16])
}

fn hook() -> WebhookId {
    WebhookId::from_random([7; 16])
}

fn file() -> FileId {
    FileId::from_random([8; 16])
}

fn clip(id: &JobId) -> Clip {
    making::clip(id, account(), NOW)
}

/// Asks for a job, with one slot for all.
async fn accept(table: &Table, number: u8) -> Job {
    let span = Span { start: MediaTime(0), end: MediaTime(1) };
    let spec = ClipSpec::new(SOURCE, span, Some("mp3"), None).unwrap();
    let price = ("fastclip-2026-03".to_owned(), Amount::new(10));
    let job = Job::accepted(job_id(number), account(), spec, SourceInfo::default(), price, NOW);
    match making::accept(table, job, 1).await {
        Acceptance::Accepted(job) => job,
        other => panic!("{other:?}"),
    }
}

/// One of everything: an account with money, a key, jobs in each state, a clip, an upload, a webhook and its delivery, a
/// look at a source.
async fn write(table: &Table) {
    let (id, key) = (account(), ApiKey::from_random([1; 32]));
    assert!(table.open_account(&Account::new(id.clone(), None, NOW), &key, "first").await.unwrap());
    let grant = Immediate::Grant(EntryKind::Gift, Amount::new(1000));
    assert!(table.transfer("grant", (&id, USD), grant, NOW).await.unwrap());
    let endings = [
        Ending::Complete { cost: Amount::new(6), clips: vec![clip(&job_id(1))] },
        Ending::Failed { failure: Failure::internal(), expired: false },
        Ending::Cancelled,
    ];
    for (number, ending) in (1..).zip(endings) {
        let job = accept(table, number).await;
        assert!(table.end(&job.id, &ending, NOW).await.unwrap().is_some());
    }
    assert!(accept(table, 4).await.has_slot);
    assert!(table.begin(&job_id(4), NOW).await.unwrap());
    assert!(!accept(table, 5).await.has_slot, "it waits");
    let announced = Announced::new("a.mp4", "video/mp4", 9).unwrap();
    let upload = Upload::announced(file(), id.clone(), announced, None, NOW);
    assert_eq!(table.announce_upload(&upload).await.unwrap(), None);
    let endpoint = Endpoint::new(hook(), &webhook::address("https://example.com/").unwrap(), Vec::new(), NOW);
    let add =
        |webhooks: &mut webhook::Webhooks| if webhooks.add(endpoint.clone()) { Ok(()) } else { Err(()) };
    table.change_webhooks(&id, add).await.unwrap().unwrap();
    let event = Event::test(&hook(), NOW);
    table.tell_one(&id, Receiver::Endpoint(hook()), &event).await.unwrap();
    table.keep_look(SOURCE, SourceInfo::default(), NOW).await.unwrap();
}

/// Reads all that [`write`] wrote, and goes on with it.
async fn carry_on(table: &Table, release: &str) {
    let id = account();
    assert_eq!(table.account(&id).await.unwrap().unwrap().created_at, NOW, "{release}");
    let [key] = table.keys_of(&id).await.unwrap().try_into().unwrap();
    assert_eq!(key.name, "first", "{release}");
    let statuses = [(1, Status::Complete), (2, Status::Failed), (3, Status::Cancelled)];
    for (number, status) in statuses {
        assert_eq!(table.job(&job_id(number)).await.unwrap().unwrap().status, status, "{release}");
    }
    let made = table.clip(&job_id(1), NOW).await.unwrap().unwrap();
    assert_eq!((made.output.size_bytes, made.expires_at), (7, clip(&job_id(1)).expires_at), "{release}");
    assert_eq!(table.clip_page(&id, Start::Skip(0), 10, NOW).await.unwrap().clips.len(), 1, "{release}");
    let upload = table.upload(&id, &file()).await.unwrap().unwrap();
    assert_eq!(upload.status, UploadStatus::Awaiting, "{release}");
    assert!(table.webhooks(&id).await.unwrap().endpoint(&hook()).is_some(), "{release}");
    assert!(table.kept_look(SOURCE, NOW).await.unwrap().is_some(), "{release}");
    let later = NOW.plus_ms(20_001);
    let [told] = table.due_deliveries(later, None).await.unwrap().found.try_into().unwrap();
    let told = table.delivery(&told, later).await.unwrap().unwrap();
    assert!(table.take_delivery(&told, later).await.unwrap().is_some(), "{release}");

    // The running job ends, the waiting one gets its slot and ends too, and the books balance.
    let running = table.job(&job_id(4)).await.unwrap().unwrap();
    assert!(running.has_slot && !running.status.is_final(), "{release}");
    let whole = Ending::Complete { cost: Amount::new(6), clips: vec![clip(&job_id(4))] };
    assert!(table.end(&job_id(4), &whole, later).await.unwrap().is_some(), "{release}");
    assert!(table.end(&job_id(5), &Ending::Cancelled, later).await.unwrap().is_some(), "{release}");
    let Finding::Fine(Wallet { available, held, .. }) = table.look_at(&id, USD).await.unwrap() else {
        panic!("{release}: the books do not balance")
    };
    assert_eq!((available, held), (Amount::new(1000 - 2 * 6), Amount::new(0)), "{release}");
    accept(table, 6).await;
}

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/releases")
}

/// An attribute as DynamoDB's JSON has it.
fn shown(value: &AttributeValue) -> Value {
    let object = |map: &std::collections::HashMap<String, AttributeValue>| {
        map.iter().map(|(name, value)| (name.clone(), shown(value))).collect::<Map<_, _>>()
    };
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(truth) => json!({ "BOOL": truth }),
        AttributeValue::Null(truth) => json!({ "NULL": truth }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::L(list) => json!({ "L": list.iter().map(shown).collect::<Vec<_>>() }),
        AttributeValue::M(map) => json!({ "M": object(map) }),
        other => panic!("no item has {other:?}"),
    }
}

/// The attribute that such JSON stands for.
fn read(value: &Value) -> AttributeValue {
    let (kind, inner) = value.as_object().unwrap().iter().next().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    match kind.as_str() {
        "S" => AttributeValue::S(text(inner)),
        "N" => AttributeValue::N(text(inner)),
        "BOOL" => AttributeValue::Bool(inner.as_bool().unwrap()),
        "NULL" => AttributeValue::Null(true),
        "SS" => AttributeValue::Ss(inner.as_array().unwrap().iter().map(text).collect()),
        "L" => AttributeValue::L(inner.as_array().unwrap().iter().map(read).collect()),
        "M" => AttributeValue::M(
            inner.as_object().unwrap().iter().map(|(name, value)| (name.clone(), read(value))).collect(),
        ),
        other => panic!("{other} is no kind of attribute"),
    }
}

async fn items(client: &Client) -> Vec<Value> {
    let all = client.scan().table_name(kit::NAME).send().await.unwrap();
    let mut items: Vec<Value> = all
        .items()
        .iter()
        .map(|item| {
            item.iter().map(|(name, value)| (name.clone(), shown(value))).collect::<Map<_, _>>().into()
        })
        .collect();
    items.sort_by_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
    items
}

/// A table with these items; `more` is put into each of them.
async fn holding(items: &[Value], more: Option<(&str, AttributeValue)>) -> Table {
    let (table, client) = kit::table_and_client().await;
    for item in items {
        let mut put = client.put_item().table_name(kit::NAME);
        for (name, value) in item.as_object().unwrap() {
            put = put.item(name, read(value));
        }
        if let Some((name, value)) = more.clone() {
            put = put.item(name, value);
        }
        put.send().await.unwrap();
    }
    table
}

#[tokio::test]
async fn what_earlier_releases_wrote_is_read_and_carried_on_with() {
    let (table, client) = kit::table_and_client().await;
    write(&table).await;
    let this = folder().join(concat!(env!("CARGO_PKG_VERSION"), ".json"));
    if std::env::var_os("WRITE_ITEMS").is_some() && !this.exists() {
        std::fs::create_dir_all(folder()).unwrap();
        std::fs::write(&this, serde_json::to_string_pretty(&items(&client).await).unwrap() + "\n").unwrap();
    }
    let mut releases = 0;
    for file in std::fs::read_dir(folder()).unwrap() {
        let file = file.unwrap().path();
        let items: Vec<Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert!(items.len() > 20, "{}: {} items", file.display(), items.len());
        carry_on(&holding(&items, None).await, &file.display().to_string()).await;
        releases += 1;
    }
    assert!(releases > 0);
}

#[tokio::test]
async fn what_this_release_writes_is_carried_on_with() {
    let table = kit::table().await;
    write(&table).await;
    carry_on(&table, "this release").await;
}

#[tokio::test]
async fn what_a_later_release_adds_disturbs_nothing() {
    let (table, client) = kit::table_and_client().await;
    write(&table).await;
    let more = AttributeValue::M([("deep".to_owned(), AttributeValue::N("1".to_owned()))].into());
    carry_on(&holding(&items(&client).await, Some(("of_tomorrow", more))).await, "tomorrow").await;
}
