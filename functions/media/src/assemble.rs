//! Assemble: make the object of its parts, look at it, and write down what was published.
//!
//! It completes the multipart upload (a repeat finds it completed), reads the index of the finished object by ranges,
//! compares it with the source's, and cuts a second out of its beginning, middle and end, each verified like a clip;
//! the first gives the poster. If one does not decode cleanly, the bytes are compared with the source's: a source that
//! is damaged itself is delivered as it is.
//!
//! A download has a clip's record only with `save_to_library`. Otherwise the job's record is all there is of it, and
//! the file goes with `clips/24h/`.

use std::{ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use domain::{
    job::{Job, Output, Status, Warning},
    transfer::Division,
};
use media::{
    ffmpeg::Tools,
    mp4::{Index, IndexError, ReadAt},
    whole::{self, Facts, Piece, pieces},
};
use runtime::{App, StageError, time_limits};
use serde_json::{Value, json};
use sources::{Limits, SourceError};
use store::{StoreError, keys, multipart::Upload, objects::Objects};
use tracing::warn;

use crate::{
    job::{count_read, open_job, passing, reporting, scratch},
    source::open_file,
    work::{self, TRANSFER, Transfer, Version, warnings},
};

/// For a few looks at the source.
const LIMITS: Limits = Limits { silence: time_limits::SILENCE_OF_A_JOB, bytes_max: 1 << 30 };
/// How many bytes of the source are compared at each of three places when the result does not decode cleanly.
const COMPARED_BYTES: u64 = 16 << 20;

/// Publishes the download of job `{job_id}`. A repeat finds the object made and looks at it again.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let output = reporting(&app, &job.id, Status::Uploading, || 0.5, publish(&app, &job)).await?;
    if app.table()?.set_output(&job.id, &output).await? {
        Ok(json!({ "job_id": job.id }))
    } else {
        Err(StageError::Ended)
    }
}

async fn publish(app: &App, job: &Job) -> Result<Output, StageError> {
    let plan: Transfer = work::get(app, &job.id, TRANSFER).await?;
    let objects = app.objects()?;
    let mut parts = Vec::new();
    for shard in 0..Division::of(plan.bytes_total).shards() {
        let bytes = objects.get_bytes(&keys::parts_object(&job.id, shard)).await?;
        let of_shard: Vec<_> = serde_json::from_slice(&bytes).map_err(passing)?;
        parts.extend(of_shard);
    }
    let upload = Upload { key: &plan.object_key, id: &plan.upload };
    objects.complete_upload(upload, parts, plan.bytes_total).await?;

    let file = Published { objects, key: &plan.object_key, len: objects.len(&plan.object_key).await? };
    let index =
        Index::read(&file).await.map_err(|error: IndexError<StoreError>| passing(format!("{error:?}")))?;
    let facts = Facts::of(&index);
    if file.len != plan.bytes_total || !facts.agree(&plan.facts) {
        return Err(passing(differs(file.len, &facts, &plan)));
    }
    let (poster_key, warnings) = poster(app, job, &plan, &file, &index).await?;
    Ok(Output {
        object_key: plan.object_key.clone(),
        poster_key,
        file_name: job.spec.file_name(&job.source),
        format: job.spec.format(),
        size_bytes: file.len,
        duration: facts.duration,
        picture: facts.picture,
        method: "copy".to_owned(),
        span: None,
        sprite: None,
        warnings,
    })
}

/// What the log says of an object that is not what was planned. Not the whole plan: its ranges may be a million.
fn differs(len: u64, facts: &Facts, plan: &Transfer) -> String {
    format!("{len} bytes, {facts:?} instead of {} bytes, {:?}", plan.bytes_total, plan.facts)
}

/// Looks at beginning, middle and end, and stores the poster that comes of it. A source that is itself damaged there
/// is delivered as it is, once its bytes were found to be the same.
async fn poster(
    app: &App,
    job: &Job,
    plan: &Transfer,
    file: &Published<'_>,
    index: &Index,
) -> Result<(Option<String>, Vec<Warning>), StageError> {
    let folder = scratch()?;
    let tools = Tools::default();
    let checked = match whole::check(&tools, file, index, folder.path()).await {
        Ok(checked) => checked,
        Err(problem) => {
            warn!(detail = ?problem, "cannot be cut cleanly; comparing it with its source");
            must_be_the_sources(app, job, plan, file).await?;
            return Ok((None, vec![Warning::damaged_somewhere()]));
        }
    };
    let warnings = warnings(&checked.damage);
    let Some(first) = checked.first else { return Ok((None, warnings)) };
    match media::engine::poster(&tools, &first).await.map_err(passing)? {
        Some(path) => Ok((Some(store_poster(file.objects, job, &path).await?), warnings)),
        None => Ok((None, warnings)),
    }
}

async fn store_poster(objects: &Objects, job: &Job, path: &Path) -> Result<String, StageError> {
    let key = keys::clip_object(&job.id, "jpg");
    objects.put_file(&key, path, "image/jpeg").await?;
    Ok(key)
}

/// Compares bytes at the beginning, in the middle and at the end with those of the source.
async fn must_be_the_sources(
    app: &App,
    job: &Job,
    plan: &Transfer,
    file: &Published<'_>,
) -> Result<(), StageError> {
    let source = open_file(app, job, LIMITS).await?;
    if !Version::of(&source).is(&plan.source) {
        return Err(SourceError::Changed.into());
    }
    let body = plan.bytes_total - plan.header_len;
    let len = COMPARED_BYTES.min(body);
    for at in [0, (body - len) / 2, body - len].map(|at| plan.header_len + at) {
        let mut theirs = Vec::new();
        for piece in pieces(plan.header_len, &plan.ranges, at..at + len) {
            if let Piece::Source(range) = piece {
                source.copy(range, &mut theirs).await?;
            }
        }
        if file.bytes(at..at + len).await? != theirs {
            return Err(passing(format!("the object differs from its source behind byte {at}")));
        }
    }
    count_read(app, &job.id, source.traffic().bytes()).await.map(drop)
}

/// The finished object, read in ranges.
struct Published<'a> {
    objects: &'a Objects,
    key: &'a str,
    len: u64,
}

impl Published<'_> {
    async fn bytes(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.objects.read_at(self.key, range.start, range.end - range.start).await
    }
}

impl ReadAt for Published<'_> {
    type Error = StoreError;

    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.bytes(offset..offset.saturating_add(len)).await
    }
}

#[cfg(test)]
mod tests {
    use domain::time::MediaTime;

    use super::*;

    #[test]
    fn a_plan_is_not_logged_range_by_range() {
        let facts = |frames| Facts { frames, packets: 2, bytes: 3, picture: None, duration: MediaTime(4) };
        let plan = Transfer {
            upload: String::new(),
            object_key: String::new(),
            header_len: 0,
            ranges: (0..100_000).map(|n| n..n + 1).collect(),
            bytes_total: 100_000,
            source: Version::default(),
            facts: facts(7),
        };
        let said = differs(99_999, &facts(6), &plan);
        assert!(said.contains("99999") && said.contains("frames: 6") && said.contains("frames: 7"), "{said}");
        assert!(said.len() < 500, "{} bytes", said.len());
    }
}
