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
use crate::stack::{Account, Cloud, With, cloud, fragile};

/// Makes a chore due, as if half an hour had passed, and lets the sweeper see to it.
async fn sweep(chore: &str) {
    sweep_on(cloud(), chore).await;
}

async fn sweep_on(cloud: &Cloud, chore: &str) {
    let (client, table) = secrets::client(cloud);
    let due = client
        .update_item()
        .table_name(&table)
        .key("pk", AttributeValue::S(format!("CHORE#{chore}")))
        .key("sk", AttributeValue::S("CHORE".to_owned()))
        .update_expression("SET due_at = :now")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":now", AttributeValue::N("1".to_owned()));
    due.send().await.unwrap();
    cloud.invoke("SweepFunction", &json!({})).await;
    assert!(!cloud.table().due_chores(now(), None).await.unwrap().found.contains(&chore.to_owned()));
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

/// A large file is copied in parts. Its copy is given up when the function dies within, and when another request comes first.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_copied_whole_or_given_up() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let account = cloud.account(Amount::cents(100)).await;
    // Two parts, and a little more.
    let len = 130 << 20;
    let clip = kept(cloud, &account, len, now()).await;
    let (id, s3) = (&clip.id, cloud.info.state.join("s3").join(&cloud.info.buckets["MediaBucket"]));
    let file = std::fs::File::options().write(true).open(s3.join(&clip.output.object_key)).unwrap();
    file.set_len(len).unwrap();

    // Behind the order, the look at the file, the upload's beginning and the note of it: the first part.
    let fault = fragile.faults.join("clips.pin.call.8");
    std::fs::write(&fault, "").unwrap();
    let (status, answer) = pin(&account, id).await;
    assert!(status >= 500 && !fault.exists(), "{status} {answer}");
    let due = cloud.table().due_chores(now().plus_ms(3_600_000), None).await.unwrap().found;
    assert_eq!(due.len(), 1, "the order to undo it is there");
    sweep_on(cloud, &due[0]).await;
    agrees(cloud, &account, id, now()).await;
    let left = || {
        let files = std::fs::read_dir(cloud.info.state.join("s3")).unwrap().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with(".upload")).count()
    };
    assert_eq!(left(), 0, "no part stays");

    for (shelf, is_pinned) in [(Shelf::Pinned, true), (Shelf::Day, false)] {
        let both = match shelf {
            Shelf::Pinned => tokio::join!(pin(&account, id), pin(&account, id)),
            Shelf::Day => tokio::join!(unpin(&account, id), unpin(&account, id)),
        };
        assert_eq!((both.0.0, both.1.0), (200, 200), "{both:?}");
        agrees(cloud, &account, id, now()).await;
        let moved = cloud.table().clip(id, now()).await.unwrap().unwrap();
        assert_eq!(moved.expires_at.is_none(), is_pinned);
        assert_eq!(bucket(cloud).len(&moved.output.object_key).await.unwrap(), len);
        assert_eq!(left(), 0, "no part stays");
    }
}

/// A file that somebody took away behind our back: the clip is not moved, and nothing is left of the attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_clip_without_its_file_is_not_moved() {
    let account = cloud().account(Amount::cents(100)).await;
    for shelf in [Shelf::Pinned, Shelf::Day] {
        let id = kept(cloud(), &account, FILE.len() as u64, now()).await.id;
        if let Shelf::Day = shelf {
            assert_eq!(pin(&account, &id).await.0, 200);
        }
        let was = clip_now(&id).await;
        bucket(cloud()).delete(std::slice::from_ref(&was.output.object_key)).await.unwrap();
        let (status, answer) = match shelf {
            Shelf::Pinned => pin(&account, &id).await,
            Shelf::Day => unpin(&account, &id).await,
        };
        assert_eq!(status, 500, "{answer}");
        assert_eq!(clip_now(&id).await.output, was.output);
    }
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
