//! What an account keeps: the list, names, pins, the end of a clip, and the room that there is.

mod calls;
mod clock;
mod crash;
mod life;
mod scale;
mod storage;

use std::collections::BTreeSet;

use domain::ids::JobId;
use domain::job::{Output, Sprite};
use domain::money::Amount;
use domain::quality::{Format, PictureSize};
use domain::time::{MediaTime, Timestamp};
use serde_json::Value;
use store::clips::Clip;
use store::jobs::Ending;

use crate::stack::cloud::{Answer, answer};
use crate::stack::queue::{accept_job, accepted};
use crate::stack::upload::{bucket, s3};
use crate::stack::{Account, Cloud};

/// What the files of a [`kept`] clip hold.
const FILE: &[u8] = b"a clip's bytes";

/// What a job has published, with all the files that there can be.
pub(crate) fn output(id: &JobId, size_bytes: u64) -> Output {
    let key = |extension: &str| store::keys::clip_object(id, extension);
    Output {
        object_key: key("mp4"),
        poster_key: Some(key("jpg")),
        file_name: "clip_0-01-0-02.mp4".to_owned(),
        format: Format::Mp4,
        size_bytes,
        duration: MediaTime(1_000_000),
        picture: Some(PictureSize { width: 320, height: 180 }),
        method: "smart".to_owned(),
        span: None,
        sprite: Some(Sprite { picture_key: key("sprite.jpg"), cues_key: key("sprite.vtt") }),
        warnings: Vec::new(),
    }
}

/// A clip with all the files that one can have, as if a job had ended at `created`. Its record says that its file has
/// `size` bytes.
pub(crate) async fn kept(cloud: &Cloud, account: &Account, size: u64, created: Timestamp) -> Clip {
    let job = accept_job(account, accepted(account, "https://example.com/a.mp4"), 5).await;
    let output = output(&job.id, size);
    for key in output.keys() {
        bucket(cloud).put_bytes(key, FILE.to_vec(), "video/mp4").await.unwrap();
    }
    let clip = Clip {
        id: job.id.clone(),
        account: account.id.clone(),
        name: output.file_name.clone(),
        source_title: "a".to_owned(),
        output,
        created_at: created,
        expires_at: Some(domain::expiry::clip_expires_at(created)),
        rests_until: None,
    };
    let table = cloud.table();
    assert!(table.set_output(&job.id, &clip.output).await.unwrap());
    let ending = Ending::Complete { cost: Amount::cents(1), clips: vec![clip.clone()] };
    assert!(table.end(&job.id, &ending, created).await.unwrap().is_some());
    clip
}

/// The keys of all of a clip's objects that are in the bucket.
async fn objects_of(cloud: &Cloud, id: &JobId) -> BTreeSet<String> {
    let list = s3(cloud).list_objects_v2().bucket(&cloud.info.buckets["MediaBucket"]).prefix("clips/");
    let mut pages = list.into_paginator().send();
    let mut keys = BTreeSet::new();
    while let Some(page) = pages.next().await {
        let objects = page.unwrap().contents.unwrap_or_default();
        keys.extend(objects.into_iter().filter_map(|object| object.key));
    }
    keys.into_iter().filter(|key| key.contains(id.as_str())).collect()
}

async fn send(account: &Account, method: &str, path: &str) -> Answer {
    answer(account.request(method.parse().unwrap(), path)).await
}

pub(crate) async fn pin(account: &Account, id: &JobId) -> Answer {
    send(account, "POST", &format!("/v1/clips/{id}/pin")).await
}

pub(crate) async fn unpin(account: &Account, id: &JobId) -> Answer {
    send(account, "POST", &format!("/v1/clips/{id}/unpin")).await
}

async fn rename(account: &Account, id: &JobId, body: &Value) -> Answer {
    answer(account.request(reqwest::Method::PATCH, &format!("/v1/clips/{id}")).json(body)).await
}

async fn list(account: &Account, query: &str) -> Value {
    let (status, list) = account.get(&format!("/v1/clips{query}")).await;
    assert_eq!(status, 200, "{list}");
    list
}

/// The clip's files, its place in the list, its account's sums and what is left to do all say the same.
async fn agrees(cloud: &Cloud, account: &Account, id: &JobId, now: Timestamp) {
    let table = cloud.table();
    let clip = table.clip(id, now).await.unwrap();
    let named = clip.iter().flat_map(|clip| clip.output.keys()).cloned().collect();
    assert_eq!(objects_of(cloud, id).await, named, "no file is lost, none is left");
    let listed = table.oldest_clips(&account.id, 100).await.unwrap();
    let is_listed = listed.iter().any(|listed| listed.id == *id);
    assert_eq!(is_listed, clip.is_some());
    let clips: Vec<&Clip> = listed.iter().map(|listed| listed.clip.as_ref().unwrap()).collect();
    let pinned = || clips.iter().filter(|clip| clip.expires_at.is_none());
    let sums = table.storage(&account.id).await.unwrap();
    assert_eq!(
        (sums.clips, sums.pinned, sums.used),
        (
            clips.len() as u64,
            pinned().count() as u64,
            pinned().map(|clip| clip.output.size_bytes).sum::<u64>()
        )
    );
    assert_eq!(
        table.clip_count(&account.id, now).await.unwrap(),
        clips.iter().filter(|clip| clip.is_alive(now)).count() as u64
    );
}
