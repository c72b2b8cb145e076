//! What the stages hand to each other through the bucket, under `work/{job}/`.

use std::{ops::Range, time::Duration};

use domain::{ids::JobId, quality::PictureSize, time::MediaTime};
use media::whole::Facts;
use runtime::{App, StageError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sources::RemoteFile;
use store::keys;

use crate::job::passing;

/// The fetched span, or the whole source.
pub(crate) const SOURCE: &str = "source";
/// A [`Plan`].
pub(crate) const PLAN: &str = "plan.json";
/// The clip.
pub(crate) const OUTPUT: &str = "output";
/// The poster.
pub(crate) const POSTER: &str = "poster.jpg";
/// A [`Made`].
pub(crate) const MADE: &str = "output.json";

/// The header of a file that is carried in parts.
pub(crate) const HEADER: &str = "header";
/// A [`Transfer`].
pub(crate) const TRANSFER: &str = "transfer.json";

/// The longest that converting a whole source may take: of a function's 15 minutes, two go to fetching and storing
/// 4.5 GB each, and as much to looking at the result.
pub(crate) const CONVERT_LIMIT: Duration = Duration::from_secs(600);
/// The largest source that is converted, in bytes: with the result it must fit a function's disk of 10 GB.
pub(crate) const CONVERT_BYTES_MAX: u64 = 4_500_000_000;

/// A file that is carried in parts: the header, then ranges of the source.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// The multipart upload.
    pub(crate) upload: String,
    /// The object that it becomes.
    pub(crate) object_key: String,
    pub(crate) header_len: u64,
    pub(crate) ranges: Vec<Range<u64>>,
    pub(crate) bytes_total: u64,
    /// Which version of the source it is.
    pub(crate) source: Version,
    /// What the result must be like.
    pub(crate) facts: Facts,
}

/// One version of a remote file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Version {
    len: Option<u64>,
    validator: Option<String>,
}

impl Version {
    pub(crate) fn of(file: &RemoteFile) -> Self {
        Self { len: file.len(), validator: file.validator().map(str::to_owned) }
    }
}

/// How to read what Download fetched.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The source's time at the fetched file's zero.
    pub(crate) origin: MediaTime,
}

/// What Process made and verified.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) duration: MediaTime,
    pub(crate) picture: Option<PictureSize>,
    pub(crate) size_bytes: u64,
    pub(crate) has_poster: bool,
    pub(crate) method: String,
}

pub(crate) async fn put<T: Serialize + Sync>(
    app: &App,
    job: &JobId,
    name: &str,
    value: &T,
) -> Result<(), StageError> {
    let bytes = serde_json::to_vec(value).map_err(passing)?;
    Ok(app.objects()?.put_bytes(&keys::work_object(job, name), bytes, "application/json").await?)
}

pub(crate) async fn get<T: DeserializeOwned>(app: &App, job: &JobId, name: &str) -> Result<T, StageError> {
    let bytes = app.objects()?.get_bytes(&keys::work_object(job, name)).await?;
    serde_json::from_slice(&bytes).map_err(passing)
}
