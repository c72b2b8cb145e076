//! What the stages hand to each other through the bucket, under `work/{job}/`.

use domain::{cut::Span, ids::JobId, quality::PictureSize, time::MediaTime};
use runtime::{App, StageError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
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
/// The thumbnails.
pub(crate) const SPRITE: &str = "sprite.jpg";
/// What tells the thumbnails apart.
pub(crate) const CUES: &str = "sprite.vtt";
/// A [`Made`].
pub(crate) const MADE: &str = "output.json";

/// How to read what Download fetched.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The source's time at the fetched file's zero.
    pub(crate) origin: MediaTime,
    /// The span around the one that was asked for between whose ends every frame can be copied, if that is wanted.
    #[serde(default)]
    pub(crate) around: Option<Span>,
}

/// What Process made and verified.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) duration: MediaTime,
    /// What the clip shows of the source.
    pub(crate) span: Span,
    pub(crate) picture: Option<PictureSize>,
    pub(crate) size_bytes: u64,
    pub(crate) has_poster: bool,
    pub(crate) has_sprite: bool,
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
