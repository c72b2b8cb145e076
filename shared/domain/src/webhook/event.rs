//! The events, and their JSON: `{type, timestamp, data}`. An event carries no link: links are signed on each
//! read, and an event may arrive a day late.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    expiry,
    ids::{JobId, WebhookId},
    job::{Failure, Job, Status},
    money::Amount,
    quality::PictureSize,
    sentence::sentence,
    spec::Spec,
    time::Timestamp,
};

/// The balance below which `balance.low` is sent: one dollar.
pub const BALANCE_LOW: Amount = Amount::cents(100);

/// Whether a balance that goes from `before` to `after` crosses [`BALANCE_LOW`].
#[must_use]
pub const fn crosses_low(before: Amount, after: Amount) -> bool {
    before.units() >= BALANCE_LOW.units() && after.units() < BALANCE_LOW.units()
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topic {
    /// A job is complete.
    #[serde(rename = "job.completed")]
    JobCompleted,
    /// A job has failed.
    #[serde(rename = "job.failed")]
    JobFailed,
    /// A job was cancelled by its owner.
    #[serde(rename = "job.cancelled")]
    JobCancelled,
    /// A clip expires in an hour.
    #[serde(rename = "clip.expiring")]
    ClipExpiring,
    /// The balance fell below [`BALANCE_LOW`].
    #[serde(rename = "balance.low")]
    BalanceLow,
    /// Its owner tests a receiver.
    #[serde(rename = "webhook.test")]
    Test,
}

impl Topic {
    /// Those that an endpoint may choose from.
    pub const ALL: [Self; 5] =
        [Self::JobCompleted, Self::JobFailed, Self::JobCancelled, Self::ClipExpiring, Self::BalanceLow];

    /// The word in requests, answers and events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::JobCompleted => "job.completed",
            Self::JobFailed => "job.failed",
            Self::JobCancelled => "job.cancelled",
            Self::ClipExpiring => "clip.expiring",
            Self::BalanceLow => "balance.low",
            Self::Test => "webhook.test",
        }
    }

    /// The topic of a word that an endpoint may choose.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.word() == word)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it is about.
    pub topic: Topic,
    /// When it happened.
    pub at: Timestamp,
    /// All that is told of it.
    pub data: Value,
}

impl Event {
    /// `job` has become complete at `at` and costs `cost`. The words are those of `GET /v1/clip/{job_id}`.
    #[must_use]
    pub fn job_completed(job: &Job, cost: Amount, at: Timestamp) -> Self {
        let saved = job.spec.saved_to_library();
        let mut data = json!({
            "job_id": job.id,
            "status": Status::Complete.word(),
            "format": job.spec.format().extension(),
            "cost": cost.dollars(),
            "saved_to_library": saved,
            "clip_id": saved.then(|| job.id.as_str()),
            "share_url": saved.then(|| format!("/c/{}", job.id)),
            "expires_at": expiry::clip_expires_at(at).rfc3339(),
        });
        if let (Some(output), Some(data)) = (&job.output, data.as_object_mut()) {
            data.insert("quality".to_owned(), json!(output.picture.map(PictureSize::label)));
            data.insert("duration".to_owned(), json!(output.duration.seconds()));
            data.insert("file_name".to_owned(), json!(output.file_name));
            data.insert("file_size".to_owned(), json!(output.size_bytes));
        }
        if let (Spec::Moments(_), Some(data)) = (&job.spec, data.as_object_mut()) {
            // They are fetched with the job: which of them came of it, and for how long they are kept.
            data.insert(
                "segments".to_owned(),
                json!(job.found.as_ref().map_or(0, |found| found.moments.len())),
            );
        }
        Self { topic: Topic::JobCompleted, at, data }
    }

    /// `job` has failed at `at`.
    #[must_use]
    pub fn job_failed(job: &Job, failure: &Failure, at: Timestamp) -> Self {
        let data = json!({
            "job_id": job.id,
            "status": Status::Failed.word(),
            "format": job.spec.format().extension(),
            "error": sentence(&failure.message),
            "error_code": failure.code,
        });
        Self { topic: Topic::JobFailed, at, data }
    }

    /// `job` was cancelled at `at`.
    #[must_use]
    pub fn job_cancelled(job: &Job, at: Timestamp) -> Self {
        let data = json!({
            "job_id": job.id,
            "status": Status::Cancelled.word(),
            "format": job.spec.format().extension(),
        });
        Self { topic: Topic::JobCancelled, at, data }
    }

    /// The clip `id` expires at `expires`.
    #[must_use]
    pub fn clip_expiring(id: &JobId, name: &str, expires: Timestamp, at: Timestamp) -> Self {
        let data = json!({
            "clip_id": id,
            "name": name,
            "share_url": format!("/c/{id}"),
            "expires_at": expires.rfc3339(),
        });
        Self { topic: Topic::ClipExpiring, at, data }
    }

    /// `balance` can be spent, and before that it was more than [`BALANCE_LOW`].
    #[must_use]
    pub fn balance_low(balance: Amount, at: Timestamp) -> Self {
        let data = json!({
            "balance": balance.dollars(),
            "threshold": BALANCE_LOW.dollars(),
            "currency": "usd",
        });
        Self { topic: Topic::BalanceLow, at, data }
    }

    /// A try of the endpoint `id`.
    #[must_use]
    pub fn test(id: &WebhookId, at: Timestamp) -> Self {
        let data = json!({ "webhook_id": id, "message": "If you can read this, your endpoint works." });
        Self { topic: Topic::Test, at, data }
    }

    /// The body of the requests that tell of it: the same bytes at each attempt.
    #[must_use]
    pub fn payload(&self) -> String {
        #[derive(Serialize)]
        struct Payload<'a> {
            r#type: Topic,
            timestamp: String,
            data: &'a Value,
        }
        let payload = Payload { r#type: self.topic, timestamp: self.at.rfc3339(), data: &self.data };
        // Maps with text for keys always serialise.
        serde_json::to_string(&payload).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_a_test_cannot_be_chosen() {
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(topic.word()), Some(topic));
        }
        for topic in Topic::ALL.into_iter().chain([Topic::Test]) {
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.word());
        }
        for word in ["", "job", "job.*", "*", "Job.completed", "webhook.test"] {
            assert_eq!(Topic::parse(word), None, "{word}");
        }
    }

    #[test]
    fn a_crossing_is_told_once() {
        let path = [500, 100, 99, 50, 0, 60, 100, 99].map(Amount::cents);
        let crossings: Vec<bool> = path.windows(2).map(|pair| crosses_low(pair[0], pair[1])).collect();
        assert_eq!(crossings, [false, true, false, false, false, false, true]);
    }

    #[test]
    fn a_payload_has_type_timestamp_and_data() {
        let event = Event::balance_low(Amount::cents(90), Timestamp(1_800_000_000_999));
        assert_eq!(
            event.payload(),
            r#"{"type":"balance.low","timestamp":"2027-01-15T08:00:00Z","data":{"balance":0.9,"currency":"usd","threshold":1.0}}"#
        );
    }
}
