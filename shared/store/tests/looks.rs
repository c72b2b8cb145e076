//! What looks told, in a real DynamoDB implementation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use domain::source::SourceInfo;
use domain::time::{MediaTime, Timestamp};
use kit::{NAME, table, table_and_client};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const URL: &str = "https://example.com/a.mp4?signature=secret";
const MINUTE_MS: i64 = 60_000;
/// Far below what an item may have; a hostile source fills no more than this.
const ITEM_BYTES_MAX: usize = 8 * 1024;

#[tokio::test]
async fn a_look_is_kept_for_ten_minutes_and_is_small() {
    let (table, client) = table_and_client().await;
    assert_eq!(table.kept_look(URL, NOW).await.unwrap(), None);
    let source = SourceInfo {
        title: "🎬".repeat(100_000),
        duration: MediaTime(9),
        thumbnail: Some(format!("https://example.com/{}", "a".repeat(2000))),
        embed_url: Some(format!("https://example.com/{}", "b".repeat(100_000))),
        plays: true,
        ..SourceInfo::default()
    };
    table.keep_look(URL, source.clone(), NOW).await.unwrap();
    let kept = table.kept_look(URL, NOW.plus_ms(10 * MINUTE_MS - 1)).await.unwrap().unwrap();
    assert_eq!((kept.duration, kept.plays, &kept.thumbnail), (MediaTime(9), true, &source.thumbnail));
    assert_eq!((kept.title.chars().count(), kept.embed_url), (300, None));
    assert_eq!(table.kept_look(URL, NOW.plus_ms(10 * MINUTE_MS)).await.unwrap(), None);
    assert_eq!(table.kept_look("https://example.com/b.mp4", NOW).await.unwrap(), None);

    let items = client.scan().table_name(NAME).send().await.unwrap().items.unwrap();
    assert_eq!(items.len(), 1);
    let text = format!("{:?}", items[0]);
    assert!(!text.contains("secret"), "the address is kept as its digest: {text}");
    assert!(text.len() < ITEM_BYTES_MAX, "{} bytes", text.len());
    assert_eq!(items[0]["ttl"].as_n().unwrap(), &(NOW.epoch_seconds() + 600).to_string());
}

#[tokio::test]
async fn a_later_look_takes_the_place_of_an_earlier_one() {
    let table = table().await;
    table.keep_look(URL, SourceInfo::default(), NOW).await.unwrap();
    let shorter = SourceInfo { duration: MediaTime(3), ..SourceInfo::default() };
    table.keep_look(URL, shorter.clone(), NOW.plus_ms(20 * MINUTE_MS)).await.unwrap();
    assert_eq!(table.kept_look(URL, NOW.plus_ms(21 * MINUTE_MS)).await.unwrap(), Some(shorter));
}
