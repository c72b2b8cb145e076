//! Join: put the shares of a clip, which were encoded side by side, into one file with its sound, and verify it.

use std::{path::Path, sync::Arc};

use domain::job::{Job, Status};
use media::{
    fan_out::{self, Joining},
    ffmpeg::Tools,
};
use runtime::{App, StageError};
use serde_json::{Value, json};
use store::keys;

use crate::{
    job::{open_job, passing, reporting, scratch},
    work::{self, Made, PLAN, Plan, SOUND, told},
};

/// Joins the shares of job `{job_id}`.
///
/// # Errors
/// [`StageError::Passing`].
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let folder = scratch()?;
    reporting(&app, &job.id, Status::Processing, || 1.0, join(&app, &job, folder.path())).await?;
    Ok(json!({ "job_id": job.id }))
}

async fn join(app: &App, job: &Job, folder: &Path) -> Result<(), StageError> {
    let Plan::Shared { fan_out, sound, .. } = work::get(app, &job.id, PLAN).await? else {
        return Err(passing("this clip was not shared out"));
    };
    let objects = app.objects()?;
    let (mut shares, mut warnings) = (Vec::new(), Vec::new());
    for share in 0..fan_out.shares.len() {
        let path = folder.join(keys::share_output(share));
        objects.get_file(&keys::work_object(&job.id, &keys::share_output(share)), &path).await?;
        shares.push(path);
        warnings.append(&mut work::get(app, &job.id, &work::share_warnings(share)).await?);
    }
    let heard = folder.join(SOUND);
    if sound.is_some() {
        objects.get_file(&keys::work_object(&job.id, SOUND), &heard).await?;
    }
    let joining = Joining {
        fan_out: &fan_out,
        shares: &shares,
        sound: sound.map(|origin| (heard.as_path(), origin)),
        end: job.spec.span(&job.source).end,
        out_dir: folder,
    };
    let output = fan_out::join(&Tools::default(), &joining).await.map_err(told)?;
    Made::put(app, job, &output, warnings).await
}
