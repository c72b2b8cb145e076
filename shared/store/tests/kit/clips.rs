//! Jobs that are accepted, and the clips that come of them.

use domain::ids::{AccountId, JobId};
use domain::job::{Job, Output};
use domain::quality::Format;
use domain::time::{MediaTime, Timestamp};
use store::Table;
use store::accept::{Acceptance, Terms};
use store::clips::Clip;

/// The clip of a job, of 7 bytes.
pub(crate) fn clip(id: &JobId, account: AccountId, now: Timestamp) -> Clip {
    let output = Output {
        object_key: store::keys::clip_object(id, "mp3"),
        poster_key: None,
        file_name: "a.mp3".to_owned(),
        format: Format::Mp3,
        size_bytes: 7,
        duration: MediaTime(1),
        picture: None,
        method: "encode".to_owned(),
        span: None,
        sprite: None,
        warnings: Vec::new(),
    };
    Clip {
        id: id.clone(),
        account,
        name: "a.mp3".to_owned(),
        source_title: "a".to_owned(),
        output,
        created_at: now,
        expires_at: Some(domain::expiry::clip_expires_at(now)),
        rests_until: None,
    }
}

/// Asks for a job, in an hour that has room for it.
pub(crate) async fn accept(table: &Table, job: Job, slots_max: u32) -> Acceptance {
    let quota = domain::rate::clip_jobs(1000);
    let outlook = table.outlook(&job.account, quota, None, job.created_at).await.unwrap();
    table.accept(job, &outlook, &Terms { slots_max, quota, intention: None }).await.unwrap()
}
