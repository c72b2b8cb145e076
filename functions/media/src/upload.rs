//! Upload: publish the verified clip. Copied within the bucket, so that none of its bytes passes through here; the
//! job learns of it only when everything is in place.

use std::sync::Arc;

use domain::job::{Output, Sprite, Status};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::keys;

use crate::{
    job::{open_job, reporting},
    work::{self, CUES, MADE, Made, OUTPUT, POSTER, SPRITE},
};

/// Publishes the clip of job `{job_id}`. A repeat publishes the same again.
///
/// # Errors
/// [`StageError::Ended`] if the job has ended.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let publish = async {
        let made: Made = work::get(&app, &job.id, MADE).await?;
        let objects = app.objects()?;
        let object_key = keys::clip_object(&job.id, job.spec.format().extension());
        objects.copy(&keys::work_object(&job.id, OUTPUT), &object_key).await?;
        let poster_key = made.has_poster.then(|| keys::clip_object(&job.id, "jpg"));
        if let Some(key) = &poster_key {
            objects.copy(&keys::work_object(&job.id, POSTER), key).await?;
        }
        let sprite = made.has_sprite.then(|| Sprite {
            picture_key: keys::clip_object(&job.id, keys::SPRITE_EXTENSION),
            cues_key: keys::clip_object(&job.id, keys::CUES_EXTENSION),
        });
        if let Some(sprite) = &sprite {
            objects.copy(&keys::work_object(&job.id, SPRITE), &sprite.picture_key).await?;
            objects.copy(&keys::work_object(&job.id, CUES), &sprite.cues_key).await?;
        }
        Ok(Output {
            object_key,
            poster_key,
            file_name: job.spec.file_name(&job.source),
            format: job.spec.format(),
            size_bytes: made.size_bytes,
            duration: made.duration,
            picture: made.picture,
            method: made.method,
            span: Some(made.span),
            sprite,
            warnings: made.warnings,
        })
    };
    let output = reporting(&app, &job.id, Status::Uploading, || 0.5, publish).await?;
    if app.table()?.set_output(&job.id, &output).await? {
        Ok(json!({ "job_id": job.id }))
    } else {
        Err(StageError::Ended)
    }
}
