//! Endpoints and deliveries as their owner sees them.

use domain::{
    sentence::sentence,
    time::Timestamp,
    webhook::{Attempt, Endpoint, Off, State, Topic},
};
use serde::Serialize;
use store::webhooks::Delivery;
use utoipa::ToSchema;

/// An address that gets the account's events. Its secret is shown only when it is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its id.
    #[schema(example = "a1b2c3d4e5f6g7h8")]
    pub id: String,
    /// Where it is.
    #[schema(example = "https://example.com/hooks/clips")]
    pub url: String,
    /// The events that are sent to it; all of them if this is empty.
    #[schema(value_type = Vec<String>, example = json!(["job.completed", "job.failed"]))]
    pub events: Vec<&'static str>,
    /// Whether events are sent to it.
    pub enabled: bool,
    /// Why it is off: `owner`, `gone` (it answered 410) or `failing` (it took nothing for a day).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "gone")]
    pub disabled_reason: Option<&'static str>,
    /// The time since which every request to it has failed; null if the last one succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<String>,
    /// How long the previous secret signs as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub former_secret_until: Option<String>,
    /// When it was made.
    pub created: String,
}

impl WebhookView {
    pub(crate) fn of(endpoint: &Endpoint, now: Timestamp) -> Self {
        let former = endpoint.secret.former_until().filter(|until| now < *until);
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            events: endpoint.topics.iter().copied().map(Topic::word).collect(),
            enabled: endpoint.off.is_none(),
            disabled_reason: endpoint.off.map(Off::word),
            failing_since: endpoint.failing_since.map(Timestamp::rfc3339),
            former_secret_until: former.map(Timestamp::rfc3339),
            created: endpoint.created_at.rfc3339(),
        }
    }
}

/// One event on its way to one address, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// The event's id, which is the `webhook-id` of each request.
    #[schema(example = "evt_0mz4k8q2xa1b2c3d4e5f6g7h8")]
    pub id: String,
    /// What it is about.
    #[schema(example = "job.completed")]
    pub event: &'static str,
    /// `pending`, `delivered`, `failed` (it was never taken) or `cancelled` (the webhook was deleted or switched off).
    #[schema(example = "delivered")]
    pub status: &'static str,
    /// Where it went, if a job named the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The body of the requests.
    pub payload: String,
    /// The latest requests, oldest first.
    pub attempts: Vec<AttemptView>,
    /// When the event happened.
    pub created: String,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<String>,
}

/// One request to a webhook's address.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// When it was sent.
    pub at: String,
    /// The status of the answer; null if none came.
    #[schema(example = 200)]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    #[schema(example = 120)]
    pub duration_ms: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl DeliveryView {
    pub(crate) fn of(delivery: Delivery) -> Self {
        let next = (delivery.state == State::Pending).then(|| delivery.next_at.rfc3339());
        Self {
            id: delivery.key.event.to_string(),
            event: delivery.topic.word(),
            status: delivery.state.word(),
            url: delivery.url,
            payload: delivery.payload,
            attempts: delivery.log.into_iter().map(AttemptView::of).collect(),
            created: delivery.created_at.rfc3339(),
            next_attempt: next,
        }
    }
}

impl AttemptView {
    fn of(attempt: Attempt) -> Self {
        let Attempt { at, duration_ms, status, error } = attempt;
        Self { at: at.rfc3339(), status, duration_ms, error: error.as_deref().map(sentence) }
    }
}
