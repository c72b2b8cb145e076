//! What requests for moments say, and how moments are told.

use domain::{
    ids::JobId,
    job::Job,
    moments::{Found, Moment, MomentsSpec, Wish},
    source::Location,
};
use runtime::ApiError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::clips::Clip;
use utoipa::ToSchema;

use crate::{
    accept::{Ask, webhook},
    max_cost::{self, MaxCost},
};

/// What to look for in a video.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MomentsRequest {
    /// Address of the video, of 3 hours at most.
    #[schema(example = "https://youtube.com/watch?v=dQw4w9WgXcQ")]
    pub url: Option<String>,
    /// An upload of yours, in place of `url`.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub file_id: Option<String>,
    /// What to look for, in your own words, 500 characters at most.
    #[schema(example = "the part about neural networks", min_length = 1, max_length = 500)]
    pub query: String,
    /// Format of the clips: `mp4` (the default), `mp3`, `gif`, `m4a`, `wav` or `flac`.
    #[schema(example = "mp4")]
    pub format: Option<String>,
    /// Quality of the clips: `720p`, `1080p` (the default) or `4k`. Ignored for sound.
    #[schema(example = "1080p")]
    pub quality: Option<String>,
    /// The most moments that are found, 1 to 20; 5 if clips are made of them and 20 if not.
    #[schema(example = 3, minimum = 1, maximum = 20)]
    pub max_segments: Option<u64>,
    /// The least length of a moment in seconds.
    #[schema(example = 20.0)]
    pub min_seconds: Option<f64>,
    /// The greatest length of a moment in seconds: 600 at most, for a gif 30.
    #[schema(example = 60.0)]
    pub max_seconds: Option<f64>,
    /// Where moments begin and end: `sentences` (the default), `words`, or `none` for wherever they are found.
    #[schema(example = "sentences")]
    pub snap: Option<String>,
    /// Seconds that are added before and after each moment, 30 at most.
    #[schema(example = 0.5, minimum = 0, maximum = 30)]
    pub pad: Option<f64>,
    /// The language of the words to look through, as in `en` or `pt-BR`. If left out, the spoken one.
    #[schema(example = "en")]
    pub language: Option<String>,
    /// Whether each moment says why it was chosen.
    #[serde(default)]
    pub explain: Option<bool>,
    /// Whether to tell what else might have been meant.
    #[serde(default)]
    pub alternates: Option<bool>,
    /// The most that it may cost.
    #[serde(default)]
    #[schema(schema_with = max_cost::schema)]
    pub max_cost: MaxCost,
    /// Where to send the event of its end: an https URL, 2048 characters at most. See the account's webhooks.
    #[schema(example = "https://example.com/hooks/clips")]
    pub webhook: Option<String>,
}

impl MomentsRequest {
    /// The job that makes clips of what is found.
    ///
    /// # Errors
    /// 400 for what cannot be, whatever the source.
    pub(crate) fn auto(self) -> Result<Ask, ApiError> {
        let spec =
            MomentsSpec::auto(self.location()?, self.wish(), self.format.as_deref(), self.quality.as_deref());
        self.ask(spec?)
    }

    /// The job that only tells what is found.
    ///
    /// # Errors
    /// 400 for what cannot be, whatever the source.
    pub(crate) fn analyze(self) -> Result<Ask, ApiError> {
        let spec = MomentsSpec::analyze(self.location()?, self.wish());
        self.ask(spec?)
    }

    fn location(&self) -> Result<Location, ApiError> {
        Ok(Location::named(self.url.as_deref(), self.file_id.as_deref())?)
    }

    fn wish(&self) -> Wish<'_> {
        Wish {
            query: &self.query,
            max_segments: self.max_segments,
            min_seconds: self.min_seconds,
            max_seconds: self.max_seconds,
            snap: self.snap.as_deref(),
            pad: self.pad,
            language: self.language.as_deref(),
            explain: self.explain.unwrap_or(false),
            alternates: self.alternates.unwrap_or(false),
        }
    }

    fn ask(self, spec: MomentsSpec) -> Result<Ask, ApiError> {
        Ok(Ask {
            spec: spec.into(),
            max_cost: self.max_cost.amount()?,
            webhook: webhook(self.webhook.as_deref())?,
        })
    }
}

/// A moment of a video.
#[derive(Debug, Serialize, ToSchema)]
pub struct MomentView {
    /// Where it begins, in seconds.
    #[schema(example = 45.0)]
    pub start: f64,
    /// Where it ends, in seconds.
    #[schema(example = 112.0)]
    pub end: f64,
    /// What is said in it.
    #[schema(example = "...where machine learning really changed the game...")]
    pub excerpt: String,
    /// How sure it is that this was meant, from 0 to 1.
    #[schema(example = 0.92)]
    pub confidence: f64,
    /// Why it was chosen, if that was asked: words and sentences that fit, and the parts of its score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Value>,
}

impl From<&Moment> for MomentView {
    fn from(moment: &Moment) -> Self {
        Self {
            start: moment.span.start.seconds(),
            end: moment.span.end.seconds(),
            excerpt: moment.excerpt.clone(),
            confidence: moment.confidence.share(),
            why: moment.why.clone(),
        }
    }
}

/// What was found, in the order of time.
#[must_use]
pub(crate) fn in_time(moments: &[Moment]) -> Vec<MomentView> {
    let mut moments: Vec<&Moment> = moments.iter().collect();
    moments.sort_by_key(|moment| moment.span.start);
    moments.into_iter().map(MomentView::from).collect()
}

/// What else might have been meant; `None` if nothing was asked about it, or there is nothing.
#[must_use]
pub(crate) fn alternates(found: &Found) -> Option<Vec<MomentView>> {
    (!found.alternates.is_empty()).then(|| in_time(&found.alternates))
}

/// A part of a job, and its clip as it is now.
pub(crate) type Part = (Job, Option<Clip>);

/// The parts of a job with what was found for each, in the order of time.
#[must_use]
pub(crate) fn paired<'a>(job: &'a Job, parts: &'a [Part]) -> Vec<(&'a Moment, &'a Part)> {
    let moments = job.found.iter().flat_map(|found| &found.moments).zip(job.part_ids());
    let part = |id: &JobId| parts.iter().find(|(part, _)| part.id == *id);
    let mut pairs: Vec<_> = moments.filter_map(|(moment, id)| part(&id).map(|part| (moment, part))).collect();
    pairs.sort_by_key(|(moment, _)| moment.span.start);
    pairs
}
