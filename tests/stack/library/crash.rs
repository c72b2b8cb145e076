//! A crash between any two steps of pin, unpin and delete: after the sweep the files, the clip and the sums agree.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::JobId;
use domain::money::Amount;
use serde_json::json;
use store::clips::Clip;
use store::copies::CopySizes;
use store::keys::Shelf;
use store::shelves::{Move, Moved};

use super::{FILE, agrees, kept, pin, unpin};
use crate::stack::cloud::now;
use crate::stack::door::secrets;
use crate::stack::upload::{bucket, s3};
use crate::stack::{Account, cloud};

/// Makes a chore due, as if half an hour had passed, and lets the sweeper see to it.
async fn sweep(chore: &str) {
    let (client, table) = secrets::client(cloud());
    let due = client
        .update_item()
        .table_name(&table)
        .key("pk", AttributeValue::S(format!("CHORE#{chore}")))
        .key("sk", AttributeValue::S("CHORE".to_owned()))
        .update_expression("SET due_at = :now")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":now", AttributeValue::N("1".to_owned()));
    due.send().await.unwrap();
    cloud().invoke("SweepFunction", &json!({})).await;
    assert!(!cloud().table().due_chores(now(), 100).await.unwrap().contains(&chore.to_owned()));
}

/// Carries a move out up to `steps` steps of four: begun, one file copied, all copied, finished.
async fn steps(clip: &Clip, shelf: Shelf, steps: usize) -> Move {
    let (table, objects) = (cloud().table(), bucket(cloud()));
    let begun = table.begin_move(clip, shelf, now()).await.unwrap();
    if steps == 2 {
        let (from, to) = begun.copies().next().unwrap();
        objects.copy(from, to).await.unwrap();
    }
    if steps > 2 {
        objects.copy_all(&table, &begun, CopySizes::default()).await.unwrap();
    }
    if steps > 3 {
        assert!(matches!(table.finish_move(&begun).await.unwrap(), Moved::Done(_)));
    }
    begun
}

async fn clip_now(id: &JobId) -> Clip {
    cloud().table().clip(id, now()).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_breaks_off_anywhere_loses_nothing_and_leaves_nothing() {
    let account = cloud().account(Amount::cents(100)).await;
    let id = kept(cloud(), &account, FILE.len() as u64, now()).await.id;
    for shelf in [Shelf::Pinned, Shelf::Day] {
        for count in 1..=4 {
            let was = clip_now(&id).await;
            let begun = steps(&was, shelf, count).await;
            sweep(&begun.chore).await;
            agrees(cloud(), &account, &id, now()).await;
            let is_moved = (clip_now(&id).await.expires_at.is_none()) == (shelf == Shelf::Pinned);
            assert_eq!(is_moved, count == 4, "{shelf:?} {count}");
            // Too late: what the sweeper has taken over cannot be finished any more.
            if count < 4 {
                assert_eq!(cloud().table().finish_move(&begun).await.unwrap(), Moved::Overtaken);
                agrees(cloud(), &account, &id, now()).await;
            }
            assert_eq!(
                bucket(cloud()).get_bytes(&clip_now(&id).await.output.object_key).await.unwrap(),
                FILE
            );
        }
    }
    let chore = cloud().table().discard_clip(&clip_now(&id).await, now()).await.unwrap().unwrap();
    sweep(&chore).await;
    agrees(cloud(), &account, &id, now()).await;
    assert!(cloud().table().clip(&id, now()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_parts_is_whole_or_given_up() {
    let account = cloud().account(Amount::cents(100)).await;
    let clip = kept(cloud(), &account, 14, now()).await;
    let (table, objects) = (cloud().table(), bucket(cloud()));
    let sizes = CopySizes { whole_bytes_max: 6 << 20, part_bytes: 5 << 20 };
    let bytes: Vec<u8> = (0..12_u32 << 20).map(|at| (at / 7 % 251) as u8).collect();
    objects.put_bytes(&clip.output.object_key, bytes.clone(), "video/mp4").await.unwrap();
    let begun = table.begin_move(&clip, Shelf::Pinned, now()).await.unwrap();
    objects.copy_all(&table, &begun, sizes).await.unwrap();
    assert!(matches!(table.finish_move(&begun).await.unwrap(), Moved::Done(_)));
    table.carry_out(&begun.chore, &objects).await.unwrap();
    agrees(cloud(), &account, &clip.id, now()).await;
    let pinned = clip_now(&clip.id).await;
    let head = objects.stored(&pinned.output.object_key).await.unwrap().unwrap();
    assert_eq!((head.len, head.media_type.as_str()), (bytes.len() as u64, "video/mp4"));
    assert!(objects.get_bytes(&pinned.output.object_key).await.unwrap() == bytes);

    // Broken off behind the beginning of the upload: it is given up.
    let begun = table.begin_move(&pinned, Shelf::Day, now()).await.unwrap();
    let key = begun.copies().next().unwrap().1.clone();
    let upload = objects.begin_upload(&key, "video/mp4").await.unwrap();
    let copy = store::shelves::CopyInParts { key: key.clone(), upload: upload.clone() };
    assert!(table.note_copy(&begun, &copy).await.unwrap());
    // As the sweeper does, but here: the local S3 lets only those give up an upload who began it.
    table.carry_out(&begun.chore, &objects).await.unwrap();
    agrees(cloud(), &account, &clip.id, now()).await;
    let bucket = &cloud().info.buckets["MediaBucket"];
    let parts = s3(cloud()).list_parts().bucket(bucket).key(&key).upload_id(&upload).send().await;
    assert!(parts.is_err(), "the upload is no more");
    assert!(!table.note_copy(&begun, &copy).await.unwrap(), "nothing can be begun any more");
}

/// Whoever comes first, the clip ends up somewhere, whole, and is counted once.
#[tokio::test(flavor = "multi_thread")]
async fn pins_and_unpins_at_once() {
    let account = cloud().account(Amount::cents(100)).await;
    let id = kept(cloud(), &account, FILE.len() as u64, now()).await.id;
    let both = |account: Account, id: JobId| async move {
        tokio::join!(pin(&account, &id), pin(&account, &id), unpin(&account, &id), unpin(&account, &id))
    };
    for _ in 0..3 {
        let (a, b, c, d) = both(account.clone(), id.clone()).await;
        for (status, answer) in [a, b, c, d] {
            assert!(matches!(status, 200 | 503), "{status} {answer}");
        }
        agrees(cloud(), &account, &id, now()).await;
        assert_eq!(bucket(cloud()).get_bytes(&clip_now(&id).await.output.object_key).await.unwrap(), FILE);
    }
}
