//! Long lists: pages make up the whole, and the first one costs the same however many there are.

use std::path::Path;

use domain::ids::JobId;
use domain::money::Amount;
use domain::storage::Storage;
use domain::time::Timestamp;
use dynoxide::types::{AttributeValue, Item};
use dynoxide::{Database, ImportOptions};
use serde_json::{Map, Value, json};
use store::clips::Clip;

use super::{kept, list, output};
use crate::stack::cloud::{http, now};
use crate::stack::limits::{cost, once};
use crate::stack::{Account, Cloud, cloud};

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_cursors_make_up_the_whole() {
    let account = cloud().account(Amount::cents(100)).await;
    let mut ids = Vec::new();
    for age in 0..7 {
        // Every third one has expired.
        let days = i64::from(age % 3 == 2);
        let clip = kept(cloud(), &account, 14, now().plus_ms(-age * 1000 - days * 24 * 3_600_000)).await;
        if days == 0 {
            ids.push((clip.created_at, json!(clip.id)));
        }
    }
    ids.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    let ids: Vec<Value> = ids.into_iter().map(|(_, id)| id).collect();
    let of = |page: &Value| {
        page["clips"].as_array().unwrap().iter().map(|clip| clip["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(&list(&account, "").await), ids);
    let (mut paged, mut followed, mut cursor) = (Vec::new(), Vec::new(), String::new());
    for number in 1..=3 {
        let page = list(&account, &format!("?page={number}&per_page=2")).await;
        assert_eq!(
            (&page["total_items"], &page["total_pages"], &page["page"]),
            (&json!(5), &json!(3), &json!(number))
        );
        paged.extend(of(&page));
        let page = list(&account, &format!("?per_page=2{cursor}")).await;
        followed.extend(of(&page));
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap_or("-"));
    }
    assert_eq!((&paged, &followed, cursor.as_str()), (&ids, &ids, "&cursor=-"));
    let beyond = list(&account, "?page=9&per_page=100").await;
    assert_eq!((&beyond["clips"], &beyond["total_items"]), (&json!([]), &json!(5)), "{beyond}");
    for query in ["page=0", "page=x", "per_page=101", "cursor=x", "page=1000000"] {
        assert_eq!(account.get(&format!("/v1/clips?{query}")).await.0, 400, "{query}");
    }
}

/// How many clips are put into the table in one go.
const AT_ONCE: u64 = 5000;

/// JSON as DynamoDB writes it.
fn attribute(value: Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(is) => json!({ "BOOL": is }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(text) => json!({ "S": text }),
        Value::Array(list) => json!({ "L": list.into_iter().map(attribute).collect::<Vec<_>>() }),
        Value::Object(map) => {
            json!({ "M": map.into_iter().map(|(name, value)| (name, attribute(value))).collect::<Map<_, _>>() })
        }
    }
}

fn value(record: &impl serde::Serialize) -> Value {
    serde_json::to_value(record).unwrap()
}

/// An item with the attributes of `value`.
fn item(pk: String, sk: String, value: Value) -> Item {
    let Value::Object(mut attributes) = value else { panic!("no item") };
    attributes.insert("pk".to_owned(), json!(pk));
    attributes.insert("sk".to_owned(), json!(sk));
    let attributes = attributes.into_iter().map(|(name, value)| (name, attribute(value)));
    serde_json::from_value(Value::Object(attributes.collect())).unwrap()
}

/// The pinned clip number `number` of an account, made so many milliseconds after the beginning of time.
fn clip(account: &Account, number: u64) -> Clip {
    let id = JobId::parse(&format!("{number:016}")).unwrap();
    Clip {
        name: format!("Clip {number}"),
        account: account.id.clone(),
        source_title: "usual".to_owned(),
        output: output(&id, 14),
        created_at: Timestamp(number.try_into().unwrap()),
        expires_at: None,
        rests_until: None,
        id,
    }
}

/// Puts `count` pinned clips, from number `first` on, straight into the database of a cloud that does not run.
fn fill(state: &Path, table: &str, account: &Account, first: u64, count: u64) {
    let database = Database::new(state.join("cloud/dynamodb.sqlite").to_str().unwrap()).unwrap();
    database.enable_bulk_loading().unwrap();
    let partition = format!("ACCOUNT#{}", account.id);
    // Made once and then varied, because there are very many.
    let (pattern, text) = (value(&clip(account, first)), |text: String| AttributeValue::S(text));
    let (pattern, pointer) = (item(String::new(), "CLIP".to_owned(), pattern), Item::new());
    let vary = |item: &Item, attributes: Vec<(&str, AttributeValue)>| {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value));
        item.clone().into_iter().chain(attributes).collect::<Item>()
    };
    let items = |number: u64| {
        let (id, time) = (format!("{number:016}"), AttributeValue::N(number.to_string()));
        let place = text(format!("CLIP#{number:015}#{id}"));
        let place = vec![("pk", text(partition.clone())), ("sk", place), ("clip", text(id.clone()))];
        let (pk, name) = (text(format!("CLIP#{id}")), text(format!("Clip {number}")));
        let clip = vec![("pk", pk), ("id", text(id)), ("name", name), ("created_at", time)];
        [vary(&pointer, place), vary(&pattern, clip)]
    };
    let import = |items: Vec<Item>| database.import_items(table, items, ImportOptions::default()).unwrap();
    for begin in (first..first + count).step_by(AT_ONCE as usize) {
        import((begin..(first + count).min(begin + AT_ONCE)).flat_map(items).collect());
    }
    let sums = Storage { clips: count, pinned: count, used: 14 * count, purchased_gb: 0 };
    import(vec![item(partition, "STORAGE".to_owned(), value(&sums))]);
    database.disable_bulk_loading().unwrap();
}

/// The capacity that the list has taken so far.
async fn units(cloud: &Cloud) -> f64 {
    let units: devstack::Units =
        http().get(cloud.url("/_local/units")).send().await.unwrap().json().await.unwrap();
    units.get("clips.list").copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_costs_the_same_however_many_there_are() {
    const CLIPS: u64 = 100_000;
    let state = tempfile::tempdir().unwrap();
    let cloud = Cloud::start(state.path(), &[]);
    let table = cloud.info.tables["Table"].clone();
    let (few, many) = (cloud.account(Amount::ZERO).await, cloud.account(Amount::ZERO).await);
    cloud.stop();
    fill(state.path(), &table, &few, 1_000_000, 20);
    fill(state.path(), &table, &many, 0, CLIPS);

    let cloud = Cloud::start(state.path(), &["--count-calls"]);
    let mut taken = Vec::new();
    for (account, clips, newest) in [(few, 20, 1_000_019), (many, CLIPS, CLIPS - 1)] {
        let account = account.moved_to(&cloud);
        let before = units(&cloud).await;
        let request = account.request(reqwest::Method::GET, "/v1/clips");
        let (heard, calls) = cost(&cloud, "clips.list", request).await;
        let mut expected = once(["UpdateItem", "GetItem", "BatchGetItem"]);
        expected.insert("Query".to_owned(), 2);
        assert_eq!((heard.status, calls), (200, expected), "{heard:?}");
        assert_eq!(
            (&heard.body["total_items"], &heard.body["total_pages"]),
            (&json!(clips), &json!(clips / 20))
        );
        let names = heard.body["clips"].as_array().unwrap().iter().map(|clip| clip["name"].clone());
        assert!(names.eq((0..20).map(|back| json!(format!("Clip {}", newest - back)))), "{heard:?}");
        taken.push(units(&cloud).await - before);
    }
    // The key's count is written, and read are: the sums, the places that have expired, 20 places (of more it reads one more
    // to know that there is another page) and 20 clips.
    assert!(taken[0] > 20.0 && taken[1] <= taken[0], "units, with 20 and with {CLIPS}: {taken:?}");
    cloud.stop();
}
