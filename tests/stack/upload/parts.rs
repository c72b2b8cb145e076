//! Files in parts, of any size.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use domain::ids::FileId;
use domain::money::Amount;
use serde_json::{Value, json};
use store::keys;

use crate::stack::exact::check_as;
use crate::stack::source::usual;
use crate::stack::upload::{asked, bucket, looked_at, post, put, text, uploaded};
use crate::stack::{With, cloud, shared};

/// The usual source with nothing behind it, up to `size` bytes: a `free` box (ISO/IEC 14496-12, 8.1.2) that is a hole in
/// the file.
fn spacious(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join("spacious.mp4");
    std::fs::copy(usual(), &path).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let at = file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&[&1_u32.to_be_bytes()[..], b"free", &(size - at).to_be_bytes()].concat()).unwrap();
    file.set_len(size).unwrap();
    path
}

fn part_of(path: &Path, part_size: u64, number: u64) -> Vec<u8> {
    let mut file = std::fs::File::open(path).unwrap();
    file.seek(SeekFrom::Start((number - 1) * part_size)).unwrap();
    let mut bytes = Vec::new();
    file.take(part_size).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Sends part `number`; answers it as `complete` takes it.
async fn send_part(initiated: &Value, path: &Path, number: u64) -> Value {
    let part_size = initiated["part_size"].as_u64().unwrap();
    let url = initiated["part_urls"][number as usize - 1].as_str().unwrap();
    let sent = put(url, None, part_of(path, part_size, number)).await;
    assert_eq!(sent.status(), 200);
    json!({ "part_number": number, "etag": sent.headers()["etag"].to_str().unwrap() })
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_in_any_order_and_completed_twice() {
    let account = cloud().account(Amount::cents(100)).await;
    let folder = tempfile::tempdir().unwrap();
    let path = spacious(folder.path(), (64 << 20) + 1000);
    let initiated = post(&account, "/v1/upload/multipart/initiate", &asked((64 << 20) + 1000)).await;
    let (id, upload_id) = (text(&initiated, "file_id"), text(&initiated, "upload_id"));
    assert_eq!(initiated["part_urls"].as_array().unwrap().len(), 2);
    let complete = |parts: Option<Value>| {
        let mut body = json!({ "file_id": id, "upload_id": upload_id });
        if let Some(parts) = parts {
            body["parts"] = parts;
        }
        let account = account.clone();
        async move { account.post("/v1/upload/multipart/complete", &body).await }
    };
    let refused = |(status, answer): (u16, Value), word: &str| {
        assert_eq!(status, 400, "{answer}");
        assert!(text(&answer, "detail").to_lowercase().contains(word), "{answer}");
    };
    refused(complete(None).await, "part 1 of 2");
    let second = send_part(&initiated, &path, 2).await;
    refused(complete(None).await, "part 1 of 2");
    refused(complete(Some(json!([second]))).await, "all 2 parts");
    // A part of another length is refused where it is sent.
    let url = initiated["part_urls"][0].as_str().unwrap();
    assert_eq!(put(url, None, vec![0; 1000]).await.status(), 403);
    let first = send_part(&initiated, &path, 1).await;
    let wrong = json!([first, { "part_number": 2, "etag": "00000000000000000000000000000000" }]);
    refused(complete(Some(wrong)).await, "another `etag`");
    assert_eq!(account.get(&format!("/v1/upload/{id}")).await.1["status"], "awaiting");
    let (status, other) = account
        .post("/v1/upload/multipart/complete", &json!({ "file_id": id, "upload_id": "another" }))
        .await;
    assert_eq!(status, 400, "{other}");

    let all = json!([{ "PartNumber": 2, "ETag": second["etag"] }, first]);
    let (one, two) = tokio::join!(complete(Some(all.clone())), complete(Some(all.clone())));
    assert_eq!((one.0, two.0), (200, 200), "{} {}", one.1, two.1);
    let ready = looked_at(&account, &id).await;
    assert_eq!(ready["status"], "ready", "{ready}");
    assert_eq!(complete(Some(all)).await, (200, ready.clone()));
    assert_eq!(complete(None).await, (200, ready));
    check_as(&account, json!({ "file_id": id }), "in parts", &usual(), 1.5, 4.25).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_account_leaves_no_file() {
    let account = cloud().account(Amount::cents(100)).await;
    let id = uploaded(&account, &usual()).await;
    let begun = post(&account, "/v1/upload/multipart/initiate", &asked(1000)).await;
    let key = keys::upload_object(&account.id, &FileId::parse(&id).unwrap());
    assert!(bucket(cloud()).stored(&key).await.unwrap().is_some());
    let order =
        json!({ "Records": [{ "messageId": "m", "body": json!({ "account": account.id }).to_string() }] });
    let answer = cloud().invoke("AccountsEraseFunction", &order).await;
    assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");
    assert_eq!(bucket(cloud()).stored(&key).await.unwrap(), None);
    assert!(cloud().table().uploads(&account.id, 9).await.unwrap().is_empty());
    let late = put(begun["part_urls"][0].as_str().unwrap(), None, vec![0; 1000]).await;
    assert_eq!(late.status(), 404, "an upload that was under way is given up");
}

/// A file of several parts arrives and is put together in little memory, and a clip of it costs the clip's bytes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_held_whole() {
    const SIZE: u64 = 210_000_000;
    let folder = tempfile::tempdir().unwrap();
    let cloud = shared(With::LargeFiles);
    let account = cloud.account(Amount::cents(100)).await;
    let path = spacious(folder.path(), SIZE);
    let initiated = post(&account, "/v1/upload/multipart/initiate", &asked(SIZE)).await;
    let mut parts = Vec::new();
    for number in 1..=4 {
        parts.push(send_part(&initiated, &path, number).await);
    }
    let id = text(&initiated, "file_id");
    let complete = json!({ "file_id": id, "upload_id": initiated["upload_id"], "parts": parts });
    post(&account, "/v1/upload/multipart/complete", &complete).await;
    let mut inspector = None;
    let ready = loop {
        let (_, upload) = account.get(&format!("/v1/upload/{id}")).await;
        inspector = inspector.max(crate::stack::download::peak_kb(&cloud.info.state, "media.inspect"));
        if upload["status"] != "checking" {
            break upload;
        }
    };
    assert_eq!(ready["status"], "ready", "{ready}");
    let answer = check_as(&account, json!({ "file_id": id }), "spacious", &usual(), 1.5, 4.25).await;
    assert!(answer["source_bytes_read"].as_u64().unwrap() < 2_000_000, "{answer}");
    let inspector = inspector.expect("the function was seen at work");
    assert!(inspector < 100_000, "{inspector} kB to look at {SIZE} bytes");
    let peak = cloud.peak_kb();
    assert!(peak < 200_000, "the local cloud had {peak} kB for {SIZE} bytes");
}
