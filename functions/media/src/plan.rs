//! Plan: decide how a whole video gets into the bucket. What fits MP4 as it is will be carried in parts, straight from
//! the source into one multipart upload; anything else goes the way of a clip, by way of ffmpeg.
//!
//! What fits: its codecs fit MP4, and its picture the quality that was asked for. The multipart upload is begun and
//! written down with the job, so that Release can abort it; the header and the list of byte ranges go to `work/`. Sound
//! alone (MP3) costs the bytes of its own samples. Other containers and servers without ranges are fetched whole, up to
//! 4.5 GB, and copied by ffmpeg where their codecs fit; what does not fit is encoded, if an estimate says that ten
//! minutes are enough.

use std::sync::Arc;

use domain::{
    delivery::BONUS_DOWNLOAD_BYTES_MAX,
    download::DownloadSpec,
    job::{Failure, Job, Status},
    quality::Format,
    spec::Spec,
    transfer::{BYTES_MAX, Division},
};
use media::{
    mp4::{Index, Part, SpanError, Wanted},
    whole::{self, Facts, Whole},
};
use runtime::{App, StageError, time_limits};
use serde_json::{Value, json};
use sources::{Limits, SourceError};
use store::keys;
use tracing::info;

use crate::{
    job::{count_read, open_job, reporting, unsupported},
    sound,
    source::Source,
    work::{self, HEADER, TRANSFER, Transfer, Version},
};

/// An index is 64 MiB at most.
const LIMITS: Limits = Limits { silence: time_limits::SILENCE_OF_A_JOB, bytes_max: 1 << 30 };

/// Plans the download of job `{job_id}`; returns the route and, for a copy, the shards to carry. A repeat goes on with
/// the upload that was begun.
///
/// # Errors
/// [`StageError::Job`] if the source cannot be delivered as a whole.
pub async fn handle(app: Arc<App>, input: Value) -> Result<Value, StageError> {
    let job = open_job(&app, &input).await?;
    let Spec::Download(spec) = &job.spec else {
        return Err(StageError::Passing("the job is no download".to_owned()));
    };
    let shards = reporting(&app, &job.id, Status::Downloading, || 0.0, plan(&app, &job, spec)).await?;
    let route = if shards == 0 { "convert" } else { "copy" };
    info!(route, shards, "planned");
    Ok(json!({ "job_id": job.id, "route": route, "shards": (0..shards).collect::<Vec<_>>() }))
}

/// How many shards are to be carried; none if the source has to be converted.
async fn plan(app: &App, job: &Job, spec: &DownloadSpec) -> Result<u64, StageError> {
    // A page's addresses are good for one function only, not for those of a Map.
    if spec.format != Format::Mp4 || job.source.is_page {
        return Ok(0);
    }
    let Source::File(file) = Source::open(app, job, LIMITS).await? else { return Ok(0) };
    let index = if file.serves_ranges() { sound::index(app, job, &file, Part::Whole).await? } else { None };
    count_read(app, &job.id, file.traffic().bytes()).await?;
    let Some(index) = index else { return Ok(0) };
    let Some(whole) = copy(&index, spec)? else { return Ok(0) };
    if whole.bytes_total > BYTES_MAX {
        let max = BYTES_MAX / 1_000_000_000;
        return Err(SourceError::TooLarge(format!("the limit is {max} GB; ask for clips of it")).into());
    }
    must_be_paid_for(app, job, whole.bytes_total).await?;
    let object_key = keys::clip_object(&job.id, spec.format.extension());
    let transfer = Transfer {
        upload: upload(app, job, &object_key).await?,
        object_key,
        header_len: whole.header.len() as u64,
        ranges: whole.ranges,
        bytes_total: whole.bytes_total,
        source: Version::of(&file),
        facts: Facts::of(&index),
    };
    let header = keys::work_object(&job.id, HEADER);
    app.objects()?.put_bytes(&header, whole.header, "application/octet-stream").await?;
    work::put(app, &job.id, TRANSFER, &transfer).await?;
    Ok(Division::of(transfer.bytes_total).shards())
}

/// Refuses a large file to an account that has never paid anything in. (What goes another way is bounded by what a function
/// can hold.)
async fn must_be_paid_for(app: &App, job: &Job, bytes: u64) -> Result<(), StageError> {
    if bytes <= BONUS_DOWNLOAD_BYTES_MAX {
        return Ok(());
    }
    let account = app.table()?.account(&job.account).await?;
    if account.is_some_and(|account| account.has_deposited) {
        return Ok(());
    }
    let max = BONUS_DOWNLOAD_BYTES_MAX / 1_000_000_000;
    let message = format!(
        "The video is larger than the {max} GB that an account may download before its first deposit. Ask for clips of it, \
         or reload your balance."
    );
    Err(StageError::Job(Failure { code: "deposit_required".to_owned(), message }))
}

/// The plan of a copy; `None` if the source has to be converted.
fn copy(index: &Index, spec: &DownloadSpec) -> Result<Option<Whole>, StageError> {
    if whole::fits(index, spec.quality) {
        return match Whole::plan(index, Wanted { video: true, audio: true }) {
            Ok(whole) => Ok(Some(whole)),
            Err(SpanError::Unsupported(why)) => {
                info!(why, "cannot be copied");
                Ok(None)
            }
            Err(error) => Err(unsupported(format!("The source cannot be delivered: {error}."))),
        };
    }
    // Refused now, before gigabytes are fetched for nothing.
    let shown = index.video.as_ref().and_then(media::mp4::Track::picture);
    let shown = shown.filter(|shown| !shown.fits(spec.quality));
    match shown.and_then(|shown| {
        whole::too_long_to_encode(time_limits::CONVERT, index.duration(), shown, spec.quality)
    }) {
        Some(message) => Err(StageError::Job(Failure { code: "source_too_long".to_owned(), message })),
        None => Ok(None),
    }
}

/// The job's multipart upload, begun now or by an earlier attempt.
async fn upload(app: &App, job: &Job, object_key: &str) -> Result<String, StageError> {
    if let Some(upload) = &job.upload {
        return Ok(upload.clone());
    }
    let objects = app.objects()?;
    let upload = objects.begin_upload(object_key, Format::Mp4.media_type()).await?;
    if app.table()?.set_upload(&job.id, &upload).await? {
        return Ok(upload);
    }
    // The job has ended. An upload without a part costs nothing until the bucket's rule takes it.
    Err(StageError::Ended)
}
