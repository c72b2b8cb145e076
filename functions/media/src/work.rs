//! What the stages hand to each other through the bucket, under `work/{job}/`.

use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};
use domain::{
    cut::{Pace, Span},
    ids::JobId,
    job::{Job, WARNINGS_MAX, Warning},
    quality::{Format, PictureSize},
    time::MediaTime,
};
use media::{
    engine::{self, Damage, EngineError, Output},
    fan_out::FanOut,
    ffmpeg::Tools,
    whole::Facts,
};
use runtime::{App, StageError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sources::RemoteFile;
use store::keys;
use tracing::{error, info, warn};

use crate::job::{passing, unsupported};

/// The fetched span, or the whole source.
pub(crate) const SOURCE: &str = "source";
/// The fetched sound of a clip that is shared out.
pub(crate) const SOUND: &str = "sound";
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

/// The header of a file that is carried in parts.
pub(crate) const HEADER: &str = "header";
/// A [`Transfer`].
pub(crate) const TRANSFER: &str = "transfer.json";

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

/// How much of a file's beginning tells it from others, in bytes: what opening it brings.
const PROBE_BYTES: usize = 16 << 10;

/// One version of a remote file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Version {
    len: Option<u64>,
    validator: Option<String>,
    /// SHA-256 of its first bytes; plans of earlier releases have none.
    #[serde(default)]
    probe: Option<Vec<u8>>,
}

impl Version {
    pub(crate) fn of(file: &RemoteFile) -> Self {
        Self::told(file.len(), file.validator(), file.head())
    }

    fn told(len: Option<u64>, validator: Option<&str>, head: &[u8]) -> Self {
        let probe = digest(&SHA256, &head[..head.len().min(PROBE_BYTES)]);
        Self { len, validator: validator.map(str::to_owned), probe: Some(probe.as_ref().to_vec()) }
    }

    /// Whether both are one: as long, and of the same name or the same beginning. Servers with several machines often
    /// tell another entity tag or date from each.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let is_named_so = self.validator == other.validator;
        self.len == other.len && (is_named_so || (self.probe.is_some() && self.probe == other.probe))
    }
}

/// How to read what Download fetched. An origin is the source's time at a fetched file's zero.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Plan {
    /// One file, [`SOURCE`], that one function makes the clip of. `around` is the span around the one that was asked for
    /// between whose ends every frame can be copied, if that is wanted. `pace` is the whole source's, if the file is a
    /// part of it. What is damaged is encoded, so that somebody looks at every picture.
    One {
        origin: MediaTime,
        around: Option<Span>,
        #[serde(default)]
        pace: Option<Pace>,
        #[serde(default)]
        damaged: bool,
    },
    /// A file for each share ([`keys::share_source`]), and the sound for all of them ([`SOUND`]) if there is any.
    Shared { fan_out: FanOut, origins: Vec<MediaTime>, sound: Option<MediaTime> },
}

impl Plan {
    /// A file that is all there is.
    pub(crate) const fn whole(origin: MediaTime) -> Self {
        Self::One { origin, around: None, pace: None, damaged: false }
    }

    /// The same of a source that is known to be damaged.
    pub(crate) fn damaged(self) -> Self {
        match self {
            Self::One { origin, pace, .. } => Self::One { origin, around: None, pace, damaged: true },
            shared @ Self::Shared { .. } => shared,
        }
    }
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
    #[serde(default)]
    pub(crate) warnings: Vec<Warning>,
}

/// Name of what is told of a share of a clip.
pub(crate) fn share_warnings(share: usize) -> String {
    format!("warnings-{share}.json")
}

/// What is told of damages. Neighbours are told as one where there are many.
pub(crate) fn warnings(damage: &[Damage]) -> Vec<Warning> {
    let mut told: Vec<Damage> = Vec::new();
    for part in damage {
        let is_full = told.len() >= WARNINGS_MAX;
        match told.last_mut() {
            Some(last) if is_full && last.is_sound == part.is_sound => {
                last.span.end = last.span.end.max(part.span.end);
                last.missing += part.missing;
            }
            _ => told.push(*part),
        }
    }
    told.iter().map(|part| Warning::damaged(part.span, part.is_sound, part.missing)).collect()
}

impl Made {
    /// Leaves what the engine made for Upload, and says what it is.
    /// `told` is what else its owner should know.
    pub(crate) async fn put(
        app: &App,
        job: &Job,
        output: &Output,
        mut told: Vec<Warning>,
    ) -> Result<(), StageError> {
        told.append(&mut warnings(&output.damage));
        told.truncate(WARNINGS_MAX);
        let (objects, media_type) = (app.objects()?, job.spec.format().media_type());
        // What uploading the clip leaves of the processor is enough for its pictures.
        let ((), has_poster, has_sprite) = tokio::try_join!(
            async {
                Ok(objects.put_file(&keys::work_object(&job.id, OUTPUT), &output.media, media_type).await?)
            },
            poster(app, job, output),
            thumbnails(app, job, output),
        )?;
        let made = Self {
            duration: output.verified.duration,
            span: output.verified.span,
            picture: output.verified.picture,
            size_bytes: output.verified.size_bytes,
            has_poster,
            has_sprite,
            method: output.method.to_owned(),
            warnings: told,
        };
        put(app, &job.id, MADE, &made).await?;
        info!(method = made.method, size_bytes = made.size_bytes, duration_us = made.duration.0, "made");
        Ok(())
    }
}

/// Makes and stores the first picture of a clip; tells whether there is any.
async fn poster(app: &App, job: &Job, output: &Output) -> Result<bool, StageError> {
    match engine::poster(&Tools::default(), output).await.map_err(told)? {
        None => Ok(false),
        Some(poster) => {
            let key = keys::work_object(&job.id, POSTER);
            app.objects()?.put_file(&key, &poster, "image/jpeg").await?;
            Ok(true)
        }
    }
}

/// Makes and stores the thumbnails of a video; tells whether there are any. A clip is complete without them, so a
/// failure is only logged.
async fn thumbnails(app: &App, job: &Job, output: &Output) -> Result<bool, StageError> {
    if job.spec.format() != Format::Mp4 {
        return Ok(false);
    }
    match engine::sprite(&Tools::default(), output, &keys::sprite_name(&job.id)).await {
        Ok(None) => Ok(false),
        Ok(Some(sprite)) => {
            let objects = app.objects()?;
            objects.put_file(&keys::work_object(&job.id, SPRITE), &sprite.picture, "image/jpeg").await?;
            objects.put_file(&keys::work_object(&job.id, CUES), &sprite.cues, "text/vtt").await?;
            Ok(true)
        }
        Err(problem) => {
            warn!(detail = ?problem, "the clip has no thumbnails");
            Ok(false)
        }
    }
}

/// What the owner is told when the source is the reason; our own faults are logged and tried again.
pub(crate) fn told(problem: EngineError) -> StageError {
    match problem.source_message() {
        Some(message) => {
            info!(detail = ?problem, "the source cannot give this clip");
            unsupported(message)
        }
        None => {
            error!(detail = ?problem, "the clip could not be made");
            StageError::Passing(problem.to_string())
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_by_its_length_and_its_name_or_its_beginning() {
        let version = |len, tag, head: &[u8]| Version::told(Some(len), tag, head);
        let long = |last: u8| [vec![1; PROBE_BYTES], vec![last]].concat();
        let one = version(9, Some("\"a\""), b"begin");
        assert!(one.is(&version(9, Some("\"a\""), b"begin")) && one.is(&version(9, Some("\"b\""), b"begin")));
        assert!(
            !one.is(&version(8, Some("\"a\""), b"begin")) && !one.is(&version(9, Some("\"b\""), b"other"))
        );
        assert!(version(9, Some("1"), &long(1)).is(&version(9, Some("2"), &long(2))), "what came besides");
        let earlier: Version = serde_json::from_str(r#"{"len":9,"validator":"\"a\""}"#).unwrap();
        assert!(earlier.is(&one) && !earlier.is(&version(9, Some("\"b\""), b"begin")));
    }
}
