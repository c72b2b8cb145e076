//! What the stages of a job may leave behind in the bucket, by name: nobody has to list anything to clear it away.

use domain::{fan_out::SHARES_MAX, ids::JobId, job::Job, spec::Spec, transfer::SHARDS_MAX};

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

/// The keys of everything that a job's stages may have left in its work prefix, and in those of its parts.
#[must_use]
pub fn work_files(job: &Job) -> Vec<String> {
    let is_download = matches!(job.spec, Spec::Download(_));
    // Whether a clip was shared out is known to its work files alone.
    let shares = if is_download { 0 } else { SHARES_MAX };
    let shares = (0..shares).flat_map(|share| [keys::share_source(share), keys::share_output(share)]);
    let names: Vec<String> = WORK_FILES.into_iter().map(str::to_owned).chain(shares).collect();
    let parts = (0..if is_download { SHARDS_MAX } else { 0 }).map(|shard| keys::parts_object(&job.id, shard));
    let of = |id: &JobId| names.iter().map(|name| keys::work_object(id, name)).collect::<Vec<_>>();
    makers(job).iter().flat_map(of).chain(parts).collect()
}

/// The same, and what they may have published. For a job that no clip came of: a stage that is at work while the job ends
/// learns of it within a second, and may put one more object into place until then.
#[must_use]
pub fn all(job: &Job) -> Vec<String> {
    let published = [job.spec.format().extension(), "jpg", keys::SPRITE_EXTENSION, keys::CUES_EXTENSION];
    let of = |id: &JobId| published.map(|extension| keys::clip_object(id, extension));
    let mut keys = work_files(job);
    keys.extend(makers(job).iter().flat_map(of));
    keys
}

/// The jobs that make files for this one: itself, or its parts.
fn makers(job: &Job) -> Vec<JobId> {
    match &job.spec {
        Spec::Moments(_) => job.part_ids().collect(),
        Spec::Clip(_) | Spec::Download(_) => vec![job.id.clone()],
    }
}
