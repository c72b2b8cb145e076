//! What the stages of a job may leave behind in the bucket, by name: nobody has to list anything to clear it away.

use domain::{fan_out::SHARES_MAX, job::Job, spec::Spec, transfer::SHARDS_MAX};

use crate::keys;

/// The names in a job's work prefix that do not depend on the job.
const WORK_FILES: [&str; 10] = [
    "source",
    "plan.json",
    "output",
    "poster.jpg",
    "sprite.jpg",
    "sprite.vtt",
    "output.json",
    "header",
    "transfer.json",
    "sound",
];

/// The keys of everything that a job's stages may have left in its work prefix.
#[must_use]
pub fn work_files(job: &Job) -> Vec<String> {
    let id = &job.id;
    let is_clip = matches!(job.spec, Spec::Clip(_));
    let shards = if is_clip { 0 } else { SHARDS_MAX };
    let parts = (0..shards).map(|shard| keys::parts_object(id, shard));
    // Whether a clip was shared out is known to its work files alone.
    let shares = if is_clip { SHARES_MAX } else { 0 };
    let shares = (0..shares).flat_map(|share| [keys::share_source(share), keys::share_output(share)]);
    let names = WORK_FILES.into_iter().map(str::to_owned).chain(shares);
    names.map(|name| keys::work_object(id, &name)).chain(parts).collect()
}

/// The same, and what they may have published. For a job that no clip came of: a stage that is at work while the job ends
/// learns of it within a second, and may put one more object into place until then.
#[must_use]
pub fn all(job: &Job) -> Vec<String> {
    let published = [job.spec.format().extension(), "jpg", keys::SPRITE_EXTENSION, keys::CUES_EXTENSION];
    let mut keys = work_files(job);
    keys.extend(published.map(|extension| keys::clip_object(&job.id, extension)));
    keys
}
