//! A clip from its making to its end, through HTTP.

use domain::ids::JobId;
use domain::money::Amount;
use serde_json::{Value, json};

use super::{agrees, kept, list, objects_of, pin, rename, send, unpin};
use crate::stack::cloud;
use crate::stack::cloud::{http, now};
use crate::stack::source::{served, usual};

const DAY_MS: i64 = 24 * 3_600_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_is_listed_renamed_pinned_unpinned_and_deleted() {
    let account = cloud().account(Amount::cents(100)).await;
    assert_eq!(
        list(&account, "").await,
        json!({ "clips": [], "page": 1, "per_page": 20, "total_items": 0, "total_pages": 0, "next_cursor": null })
    );
    let server = served(&usual()).await;
    let (made, bytes) = account.clip(&json!({ "url": server.url(), "start": 1, "end": 2 })).await;
    let id = JobId::parse(made["job_id"].as_str().unwrap()).unwrap();
    let listed = list(&account, "").await;
    let clip = &listed["clips"][0];
    for (field, value) in [
        ("id", json!(id)),
        ("name", made["file_name"].clone()),
        ("format", json!("mp4")),
        ("quality", made["quality"].clone()),
        ("duration", made["duration"].clone()),
        ("file_size", json!(bytes.len())),
        ("pinned", json!(false)),
        ("expires_at", made["expires_at"].clone()),
        ("hours_left", json!(23.9)),
        ("share_url", made["share_url"].clone()),
        ("embed_url", made["embed_url"].clone()),
        ("aspect_ratio", json!("16:9")),
        ("source_title", json!("usual")),
    ] {
        assert_eq!(clip[field], value, "{field} of {clip}");
    }
    assert!(clip["created"].as_str().unwrap().ends_with('Z'), "{clip}");
    assert_eq!((&listed["total_items"], &listed["total_pages"]), (&json!(1), &json!(1)));

    // A name in any script, and the file is called so.
    let name = "最終カット – הסוף \"½\"";
    assert_eq!(
        rename(&account, &id, &json!({ "name": format!(" {name} ") })).await,
        (200, json!({ "id": id, "name": name }))
    );
    let file = http().get(download_url(&list(&account, "").await)).send().await.unwrap();
    let disposition = file.headers()["content-disposition"].to_str().unwrap().to_owned();
    let encoded = disposition.split_once("filename*=UTF-8''").unwrap().1;
    let spelled = percent_encoding(encoded);
    assert_eq!(spelled, format!("{name}.mp4"), "{disposition}");
    assert_eq!(file.bytes().await.unwrap(), bytes);
    for body in
        [json!({}), json!({ "name": "" }), json!({ "name": "a\nb" }), json!({ "name": "ß".repeat(201) })]
    {
        assert_eq!(rename(&account, &id, &body).await.0, 400, "{body}");
    }

    // Pinned: other files, the same bytes, and it counts.
    let before = objects_of(cloud(), &id).await;
    for _ in 0..2 {
        assert_eq!(pin(&account, &id).await, (200, json!({ "id": id, "pinned": true })));
    }
    agrees(cloud(), &account, &id, now()).await;
    assert!(
        objects_of(cloud(), &id)
            .await
            .iter()
            .all(|key| key.starts_with("clips/pinned/") && !before.contains(key))
    );
    let pinned = list(&account, "").await;
    let clip = &pinned["clips"][0];
    assert_eq!(
        (&clip["pinned"], &clip["expires_at"], &clip["hours_left"]),
        (&json!(true), &json!(""), &Value::Null)
    );
    let (_, job) = account.get(&format!("/v1/clip/{id}")).await;
    assert_eq!((&job["expires_at"], &job["file_name"]), (&json!(""), &json!(format!("{name}.mp4"))), "{job}");
    for link in [download_url(&pinned), job["download_url"].as_str().unwrap()] {
        assert_eq!(http().get(link).send().await.unwrap().bytes().await.unwrap(), bytes);
    }
    let (_, storage) = account.get("/v1/storage").await;
    let (used, quota) = (bytes.len() as u64, 1_000_000_000);
    assert_eq!(
        storage,
        json!({ "used": used, "quota": quota, "available": quota - used, "pinned_clips": 1,
            "purchased_gb": 0, "price_per_gb": 1.0 })
    );
    let later = now().plus_ms(400 * DAY_MS);
    assert!(cloud().table().clip(&id, later).await.unwrap().is_some(), "it stays");

    // Unpinned: the day begins anew, for S3's rule as well.
    let begun = now();
    let (status, unpinned) = unpin(&account, &id).await;
    assert_eq!((status, &unpinned["pinned"]), (200, &json!(false)), "{unpinned}");
    assert_eq!(unpin(&account, &id).await, (200, unpinned.clone()), "a repeat changes nothing");
    agrees(cloud(), &account, &id, now()).await;
    assert!(
        objects_of(cloud(), &id)
            .await
            .iter()
            .all(|key| key.starts_with("clips/24h/") && !before.contains(key))
    );
    let clip = cloud().table().clip(&id, now()).await.unwrap().unwrap();
    let expires = clip.expires_at.unwrap();
    assert!(expires >= begun.plus_ms(DAY_MS) && expires <= now().plus_ms(DAY_MS), "{expires:?}");
    assert_eq!(unpinned["expires_at"], expires.rfc3339());
    assert_eq!(account.get("/v1/storage").await.1["used"], 0);

    // Nobody else can do any of that.
    let stranger = cloud().account(Amount::ZERO).await;
    assert_eq!(list(&stranger, "").await["total_items"], 0);
    gone(&stranger, &id).await;

    let link = download_url(&list(&account, "").await).to_owned();
    assert_eq!(
        send(&account, "DELETE", &format!("/v1/clips/{id}")).await,
        (200, json!({ "id": id, "deleted": true, "storage_freed": bytes.len() }))
    );
    assert_eq!(http().get(&link).send().await.unwrap().status(), 404);
    agrees(cloud(), &account, &id, now()).await;
    gone(&account, &id).await;
    assert_eq!(account.get(&format!("/v1/clip/{id}")).await.0, 404);
    assert_eq!(list(&account, "").await["total_items"], 0);
}

fn download_url(list: &Value) -> &str {
    list["clips"][0]["download_url"].as_str().unwrap()
}

/// What percent-encoded UTF-8 spells.
fn percent_encoding(text: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://localhost/?{}", text.replace('+', "%2B"))).unwrap();
    url.query_pairs().next().unwrap().0.into_owned()
}

/// Every way to reach a clip is a 404.
async fn gone(account: &crate::stack::Account, id: &JobId) {
    assert_eq!(rename(account, id, &json!({ "name": "x" })).await.0, 404);
    for (method, path) in [("POST", "/pin"), ("POST", "/unpin"), ("DELETE", "")] {
        assert_eq!(send(account, method, &format!("/v1/clips/{id}{path}")).await.0, 404, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_is_gone_at_once_and_then_cleared_away() {
    let account = cloud().account(Amount::cents(100)).await;
    let (old, young) =
        (kept(cloud(), &account, 14, now().plus_ms(-DAY_MS)).await, kept(cloud(), &account, 14, now()).await);
    let listed = list(&account, "").await;
    assert_eq!(
        (&listed["total_items"], &listed["clips"][0]["id"]),
        (&json!(1), &json!(young.id)),
        "{listed}"
    );
    assert_eq!(listed["clips"].as_array().unwrap().len(), 1);
    gone(&account, &old.id).await;
    assert_eq!(account.get(&format!("/v1/clip/{}", old.id)).await.0, 404);
    cloud().invoke("SweepFunction", &json!({})).await;
    for id in [&old.id, &young.id] {
        agrees(cloud(), &account, id, now()).await;
    }
    assert!(objects_of(cloud(), &old.id).await.is_empty());
    assert_eq!(objects_of(cloud(), &young.id).await.len(), 4);
}
