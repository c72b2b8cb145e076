//! Long lists: pages make up the whole, and the first one costs the same however many there are.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use domain::money::Amount;
use serde_json::{Value, json};

use super::{kept, list};
use crate::stack::cloud::now;
use crate::stack::door::secrets;
use crate::stack::limits::{cost, once};
use crate::stack::{Account, Cloud, cloud};

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_cursors_make_up_the_whole() {
    let account = cloud().account(Amount::cents(100)).await;
    let mut ids = Vec::new();
    for age in 0..7 {
        // Every third one has expired.
        let days = i64::from(age % 3 == 2);
        let clip = kept(&account, 14, now().plus_ms(-age * 1000 - days * 24 * 3_600_000)).await;
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

/// Puts `count` pinned clips into an account's list, as old as the beginning of time.
async fn fill(cloud: &Cloud, account: &Account, count: u64) {
    let (client, table) = secrets::client(cloud);
    let text = |text: String| AttributeValue::S(text);
    let partition = text(format!("ACCOUNT#{}", account.id));
    for begin in (0..count).step_by(25) {
        let put = |number: u64| {
            let id = format!("{number:016}");
            let put = PutRequest::builder()
                .item("pk", partition.clone())
                .item("sk", text(format!("CLIP#{number:015}#{id}")))
                .item("clip", text(id));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        };
        let batch: Vec<_> = (begin..count.min(begin + 25)).map(put).collect();
        client.batch_write_item().request_items(&table, batch).send().await.unwrap();
    }
    let sums = client
        .update_item()
        .table_name(&table)
        .key("pk", partition)
        .key("sk", text("STORAGE".to_owned()))
        .update_expression("ADD clips :count, pinned :count")
        .expression_attribute_values(":count", AttributeValue::N(count.to_string()));
    sums.send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_costs_the_same_however_many_there_are() {
    const CLIPS: u64 = 3000;
    let cloud = Cloud::fresh(&["--count-calls"]);
    for clips in [20, CLIPS] {
        let account = cloud.account(Amount::ZERO).await;
        fill(&cloud, &account, clips).await;
        let request = account.request(reqwest::Method::GET, "/v1/clips");
        let (heard, calls) = cost(&cloud, "clips.list", request).await;
        let mut expected = once(["UpdateItem", "GetItem", "BatchGetItem"]);
        expected.insert("Query".to_owned(), 2);
        assert_eq!((heard.status, calls), (200, expected), "{heard:?}");
        assert_eq!(heard.body["total_items"], clips);
    }
    cloud.stop();
}
