//! A job from acceptance to its end.
//!
//! Invariants: status and progress only move forward; a job that has ended never changes again; it ends in the
//! same transaction that resolves its hold.

use serde::{Deserialize, Serialize};

use crate::{
    cut::Span,
    ids::{AccountId, JobId},
    moments::{Found, Moment},
    money::Amount,
    prices::PriceBook,
    quality::{Format, PictureSize},
    source::SourceInfo,
    spec::Spec,
    time::{MediaTime, Timestamp},
};

/// Where a job stands, in FastClip's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Accepted; waits for a slot or for its first stage.
    Pending,
    /// The source is being read for moments (auto clips only).
    Analyzing,
    /// The span is being fetched.
    Downloading,
    /// The output is being made.
    Processing,
    /// The output is being published.
    Uploading,
    /// Done: the clip can be fetched.
    Complete,
    /// Ended without a clip; nothing was charged.
    Failed,
    /// Ended by its owner; nothing was charged.
    Cancelled,
}

impl Status {
    /// Whether a job in this state never changes again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Cancelled)
    }

    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Analyzing => "analyzing",
            Self::Downloading => "downloading",
            Self::Processing => "processing",
            Self::Uploading => "uploading",
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// A sentence for people.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Pending => "Waiting to start",
            Self::Analyzing => "Looking for the right moments",
            Self::Downloading => "Fetching the source",
            Self::Processing => "Making the clip",
            Self::Uploading => "Publishing the clip",
            Self::Complete => "Done!",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Where this state begins and ends on the job's scale from 0 to 100. The ranges do not touch, so that
    /// "progress never goes back" also orders the states.
    const fn scale(self) -> (u8, u8) {
        match self {
            Self::Pending => (0, 0),
            Self::Analyzing => (1, 5),
            Self::Downloading => (6, 29),
            Self::Processing => (30, 89),
            Self::Uploading => (90, 99),
            Self::Complete | Self::Failed | Self::Cancelled => (100, 100),
        }
    }

    /// The job's progress when `fraction` (0 to 1) of this state's work is done.
    #[must_use]
    pub fn progress(self, fraction: f64) -> u8 {
        self.progress_through(self, fraction)
    }

    /// The job's progress when `fraction` (0 to 1) of the work is done that this state does in place of all up to
    /// `last`: what is copied as it comes is never processed.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within 0..=100
    pub fn progress_through(self, last: Self, fraction: f64) -> u8 {
        let (from, to) = (self.scale().0, last.scale().1);
        let fraction = if fraction.is_finite() { fraction.clamp(0.0, 1.0) } else { 0.0 };
        from + (f64::from(to.saturating_sub(from)) * fraction) as u8
    }
}

/// What came out of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Key of the file in the media bucket.
    pub object_key: String,
    /// Key of the poster image; `None` for sound.
    pub poster_key: Option<String>,
    /// Name for the person who downloads it.
    pub file_name: String,
    /// Container.
    pub format: Format,
    /// Length of the file in bytes.
    pub size_bytes: u64,
    /// Length of the clip.
    pub duration: MediaTime,
    /// The picture that was delivered; `None` for sound.
    pub picture: Option<PictureSize>,
    /// How it was made: `copy`, `smart` (only the ends were encoded) or `encode`.
    pub method: String,
    /// What it shows of the source: from its own zero to its end. `None` for a job made before this was kept.
    #[serde(default)]
    pub span: Option<Span>,
    /// Its thumbnails; `None` for what is no video, or too short for them.
    #[serde(default)]
    pub sprite: Option<Sprite>,
    /// What its owner should know of it, although it is charged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

impl Output {
    /// The keys of all its objects.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        let sprite = self.sprite.iter().flat_map(|sprite| [&sprite.picture_key, &sprite.cues_key]);
        [&self.object_key].into_iter().chain(&self.poster_key).chain(sprite)
    }

    /// The same with other keys.
    #[must_use]
    pub fn with_keys(&self, other: impl Fn(&str) -> String) -> Self {
        let sprite = self.sprite.as_ref().map(|sprite| Sprite {
            picture_key: other(&sprite.picture_key),
            cues_key: other(&sprite.cues_key),
        });
        let poster_key = self.poster_key.as_deref().map(&other);
        Self { object_key: other(&self.object_key), poster_key, sprite, ..self.clone() }
    }
}

/// In what a result falls short of the source, or of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A stable word for programs: `source_damaged`.
    pub code: String,
    /// A sentence for the person who asked.
    pub message: String,
    /// Which part of the source it is about.
    #[serde(default)]
    pub span: Option<Span>,
}

/// The code of what is damaged in the source itself.
const DAMAGED: &str = "source_damaged";

impl Warning {
    /// The source is damaged within `span`, in its sound or its picture, of which so many frames are `missing`.
    #[must_use]
    pub fn damaged(span: Span, is_sound: bool, missing: u64) -> Self {
        let Span { start, end } = span;
        let message = match (is_sound, missing) {
            (true, _) => format!("The source's sound is damaged from {start} to {end}."),
            (false, 0) => format!(
                "The source's picture is damaged from {start} to {end}; it is shown as far as it can be decoded."
            ),
            (false, 1) => {
                format!("The source's picture is damaged from {start} to {end}; a frame is missing.")
            }
            (false, missing) => {
                format!(
                    "The source's picture is damaged from {start} to {end}; {missing} frames are missing."
                )
            }
        };
        Self { code: DAMAGED.to_owned(), message, span: Some(span) }
    }

    /// The source is damaged, and where is not known.
    #[must_use]
    pub fn damaged_somewhere() -> Self {
        let message = "The source is damaged; it is delivered as it is.".to_owned();
        Self { code: DAMAGED.to_owned(), message, span: None }
    }
}

/// The most warnings that one result has; the last one covers what would be more.
pub const WARNINGS_MAX: usize = 20;

/// Thumbnails of a clip at regular intervals, as one picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sprite {
    /// Key of the picture in the media bucket.
    pub picture_key: String,
    /// Key of the WebVTT file that tells which part of the picture belongs to which time.
    pub cues_key: String,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable word for programs: `source_unavailable`, `source_unsupported`, `insufficient_balance`,
    /// `max_cost_exceeded`, `internal`.
    pub code: String,
    /// A sentence for the person who asked, saying what to do.
    pub message: String,
}

/// The code of our own fault.
const INTERNAL: &str = "internal";
/// The code of a job that was stopped because its time was up.
const TIMEOUT: &str = "timeout";

impl Failure {
    /// Our own fault, told without internals.
    #[must_use]
    pub fn internal() -> Self {
        Self {
            code: INTERNAL.to_owned(),
            message: "Something went wrong on our side. You were not charged; please try again.".to_owned(),
        }
    }

    /// It took longer than any job should.
    #[must_use]
    pub fn timeout() -> Self {
        Self {
            code: TIMEOUT.to_owned(),
            message: "The job took too long and was stopped. You were not charged; try a shorter clip."
                .to_owned(),
        }
    }

    /// Whether the operator is to do something about it. Anything else lies with the source, the request or the balance.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.code.as_str(), INTERNAL | TIMEOUT)
    }
}

/// A cap on what may be spent with one API key in a day. What a job reserves counts at once, and what it gives back
/// counts no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// SHA-256 of the key in hexadecimal.
    pub key: String,
    /// When the day ends in which the job was accepted, in epoch seconds.
    pub day_end: i64,
    /// What may be spent.
    pub amount: Amount,
}

/// One request for a clip or a whole video, and all that became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The job's id, also the name of its execution, the id of its hold and of its clip.
    pub id: JobId,
    /// Who pays, and who may ask.
    pub account: AccountId,
    /// What was asked for.
    pub spec: Spec,
    /// The cap of the key that it was asked for with, if that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// The most that it may cost, if its owner said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Amount>,
    /// Where its owner wants its events sent, beside the account's receivers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// The price book that the job was priced by.
    pub price_book: String,
    /// What is set aside for it.
    pub reserved: Amount,
    /// Where it stands.
    pub status: Status,
    /// 0 to 100, never going back.
    pub progress: u8,
    /// Whether it has one of the account's slots; without one it waits.
    pub has_slot: bool,
    /// What the probe saw.
    pub source: SourceInfo,
    /// Bytes read from the source so far.
    pub source_bytes_read: u64,
    /// The multipart upload that the result comes by, if it does; to be given up if the job fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
    /// The result, once published.
    pub output: Option<Output>,
    /// What was charged, once complete.
    pub cost: Option<Amount>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What was found, of a job that looks for moments, once that is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// How many jobs make the clips of what was found: see [`Job::parts`].
    #[serde(default, skip_serializing_if = "is_none")]
    pub parts: usize,
    /// The job that this one is a part of, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<JobId>,
    /// Until when its file is not handed out any more, because it was fetched too often; where it is no clip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_until: Option<Timestamp>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the sweeper looks after it, unless it has ended by then.
    pub due_at: Timestamp,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks
const fn is_none(parts: &usize) -> bool {
    *parts == 0
}

/// A job that has not started this long after it got its slot is started again by the sweeper.
const START_WITHIN_MS: i64 = 60_000;
/// Longest time from start to end: the state machine's own limit and a margin.
const RUN_WITHIN_MS: i64 = 65 * 60_000;

impl Job {
    /// A job as it is accepted at `now`.
    #[must_use]
    pub fn accepted(
        id: JobId,
        account: AccountId,
        spec: impl Into<Spec>,
        source: SourceInfo,
        price: (String, Amount),
        now: Timestamp,
    ) -> Self {
        let (price_book, reserved) = price;
        Self {
            id,
            account,
            spec: spec.into(),
            cap: None,
            max_cost: None,
            webhook: None,
            price_book,
            reserved,
            status: Status::Pending,
            progress: 0,
            has_slot: true,
            source,
            source_bytes_read: 0,
            upload: None,
            output: None,
            cost: None,
            failure: None,
            found: None,
            parts: 0,
            part_of: None,
            rests_until: None,
            created_at: now,
            updated_at: now,
            due_at: Self::start_due(now),
        }
    }

    /// What is charged when files with these `pictures` were delivered: never more than was set aside, nor than the owner
    /// allows. A picture that came out larger than foreseen is our gift.
    #[must_use]
    pub fn charge(&self, book: &PriceBook, pictures: &[Option<PictureSize>]) -> Amount {
        let price = self.spec.price(book, self.source.duration, pictures).min(self.reserved);
        self.max_cost.map_or(price, |max_cost| price.min(max_cost))
    }

    /// The last status for which looking through the source stands: an analysis has nothing else to do.
    #[must_use]
    pub const fn analyzes_through(&self) -> Status {
        if self.spec.is_analysis() { Status::Uploading } else { Status::Analyzing }
    }

    /// The ids of its parts, in the order of what was found.
    pub fn part_ids(&self) -> impl Iterator<Item = JobId> {
        (0..self.parts).map(|number| self.id.part(number))
    }

    /// The jobs that make the clips of `found`, one each. A part has no hold, no place and no events of its own: it is
    /// ended by the transaction that ends the job that it is a part of.
    #[must_use]
    pub fn divided(&self, found: &Found, now: Timestamp) -> Vec<Self> {
        let Spec::Moments(spec) = &self.spec else { return Vec::new() };
        if spec.clips.is_none() {
            return Vec::new();
        }
        let part = |(number, moment): (usize, &Moment)| {
            let price = (self.price_book.clone(), Amount::ZERO);
            let (id, clip) = (self.id.part(number), spec.clip(moment.span));
            let part = Self::accepted(id, self.account.clone(), clip, self.source.clone(), price, now);
            Self { part_of: Some(self.id.clone()), ..part }
        };
        found.moments.iter().enumerate().map(part).collect()
    }

    /// Where the job stands, as its parts tell as long as it has not ended.
    #[must_use]
    pub fn following<'a>(mut self, parts: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let count = parts.clone().count();
        if self.status.is_final() || count == 0 {
            return self;
        }
        let done =
            parts.clone().map(|part| if part.status.is_final() { 100 } else { usize::from(part.progress) });
        let mean = u8::try_from(done.sum::<usize>() / count).unwrap_or(100);
        let status = if parts.clone().all(|part| part.status >= Status::Uploading) {
            Status::Uploading
        } else if parts.clone().any(|part| part.status >= Status::Processing) {
            Status::Processing
        } else {
            Status::Downloading
        };
        let (from, to) = status.scale();
        (self.status, self.progress) = (status, self.progress.max(mean.clamp(from, to)));
        self
    }

    /// Whether a clip came of it that is in the history, unless it was deleted since.
    #[must_use]
    pub fn has_clip(&self) -> bool {
        self.status == Status::Complete && self.spec.saved_to_library()
    }

    /// When a job that got its slot at `now` should have started.
    #[must_use]
    pub const fn start_due(now: Timestamp) -> Timestamp {
        now.plus_ms(START_WITHIN_MS)
    }

    /// When a job that started at `now` must have ended.
    #[must_use]
    pub const fn run_due(now: Timestamp) -> Timestamp {
        now.plus_ms(RUN_WITHIN_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_fastclips() {
        let words: Vec<_> =
            [Status::Pending, Status::Downloading, Status::Uploading, Status::Complete, Status::Failed]
                .iter()
                .map(|s| s.word())
                .collect();
        assert_eq!(words, ["pending", "downloading", "uploading", "complete", "failed"]);
        assert_eq!(serde_json::to_string(&Status::Processing).unwrap(), r#""processing""#);
    }

    #[test]
    fn a_record_from_before_there_was_a_max_cost_reads() {
        let span = Span { start: MediaTime(0), end: MediaTime(1) };
        let spec = crate::clip::ClipSpec::new("https://example.com/a.mp4", span, None, None).unwrap();
        let (id, account) = (JobId::from_random([1; 16]), AccountId::from_random([2; 16]));
        let price = ("fastclip-2026-03".to_owned(), Amount::cents(10));
        let job = Job::accepted(id, account, spec, SourceInfo::default(), price, Timestamp(0));
        let record = serde_json::to_value(&job).unwrap();
        assert!(record.get("max_cost").is_none(), "{record}");
        assert_eq!(serde_json::from_value::<Job>(record).unwrap(), job);
        let bounded = Job { max_cost: Some(Amount::cents(20)), ..job };
        let record = serde_json::to_value(&bounded).unwrap();
        assert_eq!(serde_json::from_value::<Job>(record).unwrap(), bounded);
    }

    fn looking(parts: usize) -> (Job, Found) {
        let wish = crate::moments::Wish { query: "q", ..crate::moments::Wish::default() };
        let location = crate::source::Location::Url("https://example.com/a.mp4".to_owned());
        let spec = crate::moments::MomentsSpec::auto(location, wish, None, None).unwrap();
        let (id, account) = (JobId::from_random([1; 16]), AccountId::from_random([2; 16]));
        let price = ("fastclip-2026-11".to_owned(), Amount::cents(20));
        let job = Job::accepted(id, account, spec, SourceInfo::default(), price, Timestamp(0));
        let moment = |second: i64| Moment {
            span: Span { start: MediaTime(second), end: MediaTime(second + 1) },
            excerpt: String::new(),
            confidence: crate::moments::Confidence::default(),
            why: None,
        };
        let found = Found { moments: (0..20).take(parts).map(moment).collect(), ..Found::default() };
        (Job { parts, ..job }, found)
    }

    #[test]
    fn a_job_is_divided_among_others_that_nobody_can_tell_from_it() {
        let (job, found) = looking(20);
        let parts = job.divided(&found, Timestamp(1));
        let ids: Vec<JobId> = parts.iter().map(|part| part.id.clone()).collect();
        assert_eq!(ids, job.part_ids().collect::<Vec<_>>());
        let different: std::collections::BTreeSet<_> =
            ids.iter().chain([&job.id]).map(JobId::as_str).collect();
        assert_eq!(different.len(), 21);
        for (part, moment) in parts.iter().zip(&found.moments) {
            assert_eq!((part.spec.kind(), part.spec.span(&part.source)), ("clip", moment.span));
            assert_eq!((part.reserved, part.part_of.as_ref()), (Amount::ZERO, Some(&job.id)));
            let record = serde_json::to_value(part).unwrap();
            assert_eq!(&serde_json::from_value::<Job>(record).unwrap(), part);
        }
    }

    proptest! {
        #[test]
        fn a_job_never_goes_back_while_its_parts_go_on(
            steps in prop::collection::vec((0usize..3, 0usize..4, 0f64..1.0), 1..40),
        ) {
            let (job, found) = looking(3);
            let job = Job { status: Status::Analyzing, progress: 5, ..job };
            let mut parts = job.divided(&found, Timestamp(1));
            let mut last = (job.status, job.progress);
            for (which, next, fraction) in steps {
                let status = [Status::Downloading, Status::Processing, Status::Uploading, Status::Failed][next];
                let part = &mut parts[which];
                let progress = status.progress(fraction);
                if !part.status.is_final() && progress > part.progress {
                    (part.status, part.progress) = (status, if status.is_final() { part.progress } else { progress });
                }
                let now = job.clone().following(parts.iter());
                prop_assert!(now.status >= last.0 && now.progress >= last.1, "{last:?} {now:?}");
                prop_assert!(now.status < Status::Complete && now.progress < 100);
                last = (now.status, now.progress);
            }
        }

        #[test]
        fn progress_never_goes_back_from_state_to_state(a in -0.5f64..1.5, b in -0.5f64..1.5) {
            let order = [Status::Pending, Status::Analyzing, Status::Downloading, Status::Processing,
                Status::Uploading, Status::Complete];
            for pair in order.windows(2) {
                prop_assert!(pair[0].progress(a) < pair[1].progress(b));
            }
            let copied = Status::Downloading.progress_through(Status::Processing, a);
            prop_assert!(Status::Pending.progress(b) < copied && copied < Status::Uploading.progress(b));
            prop_assert!(Status::Processing.progress(f64::NAN) <= Status::Processing.progress(a.max(0.0)));
        }
    }
}
