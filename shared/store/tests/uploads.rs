//! Records of uploads, against a real DynamoDB implementation: counted once, looked at once, gone with their account.

#![allow(clippy::unwrap_used)]

mod kit;

use domain::{
    ids::{AccountId, FileId},
    job::Failure,
    source::SourceInfo,
    time::Timestamp,
    upload::{Announced, FILES_A_DAY, Part, Upload, UploadStatus},
};
use store::uploads::Looked;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn upload(number: u8, size: u64, now: Timestamp) -> Upload {
    let file = Announced::new("夏.mp4", "video/mp4", size).unwrap();
    let mut id = [0; 16];
    (id[0], id[1]) = (number / 36, number % 36);
    Upload::announced(FileId::from_random(id), AccountId::from_random([1; 16]), file, None, now)
}

#[tokio::test]
async fn what_an_account_announces_in_a_day_is_bounded() {
    let table = kit::table().await;
    for number in 0..20 {
        assert_eq!(table.announce_upload(&upload(number, 5_000_000_000, NOW)).await.unwrap(), None);
    }
    let refused = table.announce_upload(&upload(20, 1, NOW)).await.unwrap().unwrap();
    assert!(!refused.allowed && refused.reset * 1000 > NOW.0, "{refused:?}");
    let account = upload(0, 1, NOW).account;
    assert_eq!(table.uploads(&account, 100).await.unwrap().len(), 20, "what is refused leaves nothing");
    let tomorrow = NOW.plus_ms(86_400_000);
    for number in 30..30 + u8::try_from(FILES_A_DAY.max).unwrap() {
        assert_eq!(table.announce_upload(&upload(number, 1, tomorrow)).await.unwrap(), None);
    }
    assert!(table.announce_upload(&upload(200, 1, tomorrow)).await.unwrap().is_some());
}

#[tokio::test]
async fn of_many_who_see_a_file_one_orders_a_look() {
    let table = kit::table().await;
    let seen = upload(1, 9, NOW);
    table.announce_upload(&seen).await.unwrap();
    let stored = table.upload(&seen.account, &seen.id).await.unwrap();
    assert_eq!(stored.as_ref(), Some(&seen), "it reads as it was written");
    let parts = [Part { part_number: 1, etag: "\"a\"".to_owned() }];
    let order = || table.order_look(&seen, &parts, NOW.plus_ms(5));
    let (a, b, c) = tokio::join!(order(), order(), order());
    assert_eq!([a, b, c].map(Result::unwrap).iter().filter(|first| **first).count(), 1);
    let mut again = table.upload(&seen.account, &seen.id).await.unwrap().unwrap();
    assert_eq!((again.status, again.looks, again.parts.len()), (UploadStatus::Checking, 1, 1));
    // An order that was lost is given again, on what is seen then.
    assert!(!table.order_look(&seen, &parts, NOW.plus_ms(9)).await.unwrap());
    assert!(table.order_look(&again, &parts, NOW.plus_ms(9)).await.unwrap());

    let looked = Looked::Ready { source: SourceInfo::default(), version: "\"v\"".to_owned() };
    let who = (&seen.account, &seen.id);
    assert!(table.end_look(who, &looked).await.unwrap());
    assert!(!table.end_look(who, &Looked::Failed(Failure::internal())).await.unwrap(), "it is decided");
    again = table.upload(&seen.account, &seen.id).await.unwrap().unwrap();
    assert_eq!((again.status, again.version.as_deref()), (UploadStatus::Ready, Some("\"v\"")));
    table.erase_upload(&again).await.unwrap();
    assert_eq!(table.upload(&seen.account, &seen.id).await.unwrap(), None);
}

#[tokio::test]
async fn somebody_elses_is_found_by_nobody() {
    let table = kit::table().await;
    let mine = upload(1, 9, NOW);
    table.announce_upload(&mine).await.unwrap();
    let other = AccountId::from_random([2; 16]);
    assert_eq!(table.upload(&other, &mine.id).await.unwrap(), None);
    assert!(!table.order_look(&Upload { account: other.clone(), ..mine }, &[], NOW).await.unwrap());
    assert!(table.uploads(&other, 9).await.unwrap().is_empty());
}
