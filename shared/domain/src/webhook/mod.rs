//! Webhooks: which receiver gets which events. An account has a few receivers for all that happens to it, and each job
//! may name one more address that gets the events of that job alone.
//!
//! Invariants: an address is https; no secret is part of any of this, only the number of its version.

mod delivery;
mod event;
mod signing;

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

pub use delivery::{Attempt, GIVE_UP_AFTER_MS, PAUSES_MS, State, Verdict, kept_until};
pub use event::{BALANCE_LOW, Event, Topic, crosses_low};
pub use signing::{RootSecret, SigningSecret, Versions, signatures};

use crate::{ids::WebhookId, time::Timestamp};

/// How many endpoints an account has at most.
pub const ENDPOINTS_MAX: usize = 5;
/// The longest address, in bytes.
pub const URL_BYTES_MAX: usize = 2048;

/// An address that no webhook is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than [`URL_BYTES_MAX`].
    #[error("must have {URL_BYTES_MAX} characters at most")]
    TooLong,
    /// Not a URL.
    #[error("must be a URL like https://example.com/hooks")]
    NotUrl,
    /// Readable on the way, and anybody could pose as the receiver.
    #[error("must begin with https://")]
    NotHttps,
}

/// Reads an address and brings it into its one form, without a fragment, which is never sent.
///
/// # Errors
/// [`AddressError`]. Which hosts may be reached is for whoever sends to say.
pub fn address(text: &str) -> Result<Url, AddressError> {
    if text.len() > URL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let mut url = Url::parse(text).map_err(|_| AddressError::NotUrl)?;
    if url.scheme() != "https" {
        return Err(AddressError::NotHttps);
    }
    url.set_fragment(None);
    // Escapes make it longer.
    if url.as_str().len() > URL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    Ok(url)
}

/// A receiver: one of the account's own, or the addresses that its jobs name, which share a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Receiver {
    /// An endpoint.
    Endpoint(WebhookId),
    /// The addresses that jobs name.
    Jobs,
}

/// What stands for [`Receiver::Jobs`] where an endpoint's id would; shorter than any id.
const JOBS: &str = "jobs";

impl Receiver {
    /// Reads an endpoint's id, or `jobs`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == JOBS { Some(Self::Jobs) } else { WebhookId::parse(text).map(Self::Endpoint) }
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(id) => id.fmt(f),
            Self::Jobs => f.write_str(JOBS),
        }
    }
}

impl From<Receiver> for String {
    fn from(receiver: Receiver) -> Self {
        receiver.to_string()
    }
}

impl TryFrom<String> for Receiver {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a receiver of webhooks")
    }
}

/// Why an endpoint is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// Its owner did it.
    Owner,
    /// It answered 410.
    Gone,
    /// It took nothing for as long as one event is offered.
    Failing,
}

impl Off {
    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// An address that is told of what happens to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What its owner calls it by.
    pub id: WebhookId,
    /// Where it is.
    pub url: String,
    /// The events that are sent to it; all of them if this is empty.
    pub topics: Vec<Topic>,
    /// Why it is off; `None` while it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<Off>,
    /// The versions of its secret.
    pub secret: Versions,
    /// The time since which every request to it has failed; `None` if the last one succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Endpoint {
    /// An endpoint that is on.
    #[must_use]
    pub fn new(id: WebhookId, url: &Url, topics: Vec<Topic>, now: Timestamp) -> Self {
        let secret = Versions::default();
        let mut endpoint = Self {
            id,
            url: url.to_string(),
            topics: vec![],
            off: None,
            secret,
            failing_since: None,
            created_at: now,
        };
        endpoint.listen_to(topics);
        endpoint
    }

    /// Chooses the events that are sent to it; an empty choice means all of them.
    pub fn listen_to(&mut self, mut topics: Vec<Topic>) {
        topics.sort_unstable();
        topics.dedup();
        self.topics = topics;
    }

    /// Switches it on or off by its owner's wish. On, it begins anew: what it failed at before counts no more.
    pub fn switch(&mut self, on: bool) {
        self.off = (!on).then(|| self.off.unwrap_or(Off::Owner));
        if on {
            self.failing_since = None;
        }
    }

    /// Whether events of `topic` are sent to it.
    #[must_use]
    pub fn hears(&self, topic: Topic) -> bool {
        self.off.is_none() && (self.topics.is_empty() || self.topics.contains(&topic))
    }

    /// What a delivery that went so makes of it; `false` if nothing changes.
    pub fn learn(&mut self, verdict: Verdict, now: Timestamp) -> bool {
        let before = (self.off, self.failing_since);
        match verdict {
            Verdict::Delivered => self.failing_since = None,
            Verdict::Retry(_) => self.failing_since = self.failing_since.or(Some(now)),
            Verdict::Gone => self.off = self.off.or(Some(Off::Gone)),
            // One event that it never took, while it took others, is that event's trouble.
            Verdict::GivenUp => {
                let since = *self.failing_since.get_or_insert(now);
                if now.0.saturating_sub(since.0) >= GIVE_UP_AFTER_MS {
                    self.off = self.off.or(Some(Off::Failing));
                }
            }
        }
        (self.off, self.failing_since) != before
    }
}

/// All that an account has of webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Webhooks {
    /// Its endpoints, oldest first.
    pub endpoints: Vec<Endpoint>,
    /// The versions of the secret for addresses that jobs name.
    pub jobs: Versions,
    /// Counts the changes, so that two at once cannot undo each other.
    pub seq: u64,
}

impl Webhooks {
    /// The endpoint with this id.
    #[must_use]
    pub fn endpoint(&self, id: &WebhookId) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == *id)
    }

    /// The same, to be changed.
    pub fn endpoint_mut(&mut self, id: &WebhookId) -> Option<&mut Endpoint> {
        self.endpoints.iter_mut().find(|endpoint| endpoint.id == *id)
    }

    /// Adds an endpoint; `false` if there are [`ENDPOINTS_MAX`] already.
    pub fn add(&mut self, endpoint: Endpoint) -> bool {
        let fits = self.endpoints.len() < ENDPOINTS_MAX;
        if fits {
            self.endpoints.push(endpoint);
        }
        fits
    }

    /// Removes an endpoint; `false` if there is none with this id.
    pub fn remove(&mut self, id: &WebhookId) -> bool {
        let before = self.endpoints.len();
        self.endpoints.retain(|endpoint| endpoint.id != *id);
        self.endpoints.len() < before
    }

    /// The versions of a receiver's secret.
    #[must_use]
    pub fn versions(&self, receiver: &Receiver) -> Option<&Versions> {
        match receiver {
            Receiver::Endpoint(id) => self.endpoint(id).map(|endpoint| &endpoint.secret),
            Receiver::Jobs => Some(&self.jobs),
        }
    }

    /// Gives a receiver another secret and answers its version; `None` if there is no such receiver.
    pub fn rotate(&mut self, receiver: &Receiver, now: Timestamp) -> Option<u32> {
        let versions = match receiver {
            Receiver::Endpoint(id) => &mut self.endpoint_mut(id)?.secret,
            Receiver::Jobs => &mut self.jobs,
        };
        *versions = versions.rotated(now);
        Some(versions.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn endpoint(n: u8, topics: &[Topic]) -> Endpoint {
        let url = address("https://example.com/hook").unwrap();
        Endpoint::new(WebhookId::from_random([n; 16]), &url, topics.to_vec(), NOW)
    }

    #[test]
    fn addresses_are_https() {
        let read = |text: &str| address(text).map(|url| url.to_string());
        assert_eq!(read("HTTPS://Example.com:443/a b?c#d"), Ok("https://example.com/a%20b?c".to_owned()));
        for text in ["http://example.com/", "ftp://example.com", "file:///etc/passwd", "javascript:alert(1)"]
        {
            assert_eq!(read(text), Err(AddressError::NotHttps), "{text}");
        }
        for text in ["", "example.com/hook", "https://", "https:// /", "/hook"] {
            assert_eq!(read(text), Err(AddressError::NotUrl), "{text}");
        }
        let at_most = |len: usize| format!("https://example.com/{}", "a".repeat(len - 20));
        assert!(read(&at_most(URL_BYTES_MAX)).is_ok());
        assert_eq!(read(&at_most(URL_BYTES_MAX + 1)), Err(AddressError::TooLong));
        assert_eq!(read(&format!("https://example.com/{}", "ä".repeat(900))), Err(AddressError::TooLong));
    }

    #[test]
    fn a_filter_lets_through_what_it_names_and_an_empty_one_everything() {
        assert!(Topic::ALL.iter().all(|&topic| endpoint(1, &[]).hears(topic)));
        let mut some = endpoint(1, &[Topic::JobFailed, Topic::BalanceLow, Topic::JobFailed]);
        assert_eq!(some.topics, [Topic::JobFailed, Topic::BalanceLow]);
        assert!(some.hears(Topic::BalanceLow) && !some.hears(Topic::JobCompleted));
        some.switch(false);
        assert!(!some.hears(Topic::BalanceLow));
        assert_eq!(some.off, Some(Off::Owner));
    }

    #[test]
    fn an_account_has_five_endpoints_at_most() {
        let mut webhooks = Webhooks::default();
        assert!((0..5).all(|n| webhooks.add(endpoint(n, &[]))));
        assert!(!webhooks.add(endpoint(5, &[])));
        assert!(webhooks.remove(&WebhookId::from_random([3; 16])));
        assert!(!webhooks.remove(&WebhookId::from_random([3; 16])));
        assert!(webhooks.add(endpoint(5, &[])));
    }

    #[test]
    fn an_endpoint_goes_off_when_it_is_gone_or_took_nothing_for_a_day() {
        let mut gone = endpoint(1, &[]);
        assert!(gone.learn(Verdict::Gone, NOW));
        assert_eq!(gone.off, Some(Off::Gone));
        gone.switch(true);
        assert_eq!(gone.off, None);

        let mut flaky = endpoint(2, &[]);
        assert!(flaky.learn(Verdict::Retry(NOW), NOW));
        assert!(!flaky.learn(Verdict::Retry(NOW), NOW.plus_ms(1)), "it is failing already");
        assert!(flaky.learn(Verdict::Delivered, NOW.plus_ms(2)));
        assert!(flaky.learn(Verdict::GivenUp, NOW.plus_ms(GIVE_UP_AFTER_MS)));
        assert_eq!(flaky.off, None, "it took something in between");

        let mut dead = endpoint(3, &[]);
        dead.learn(Verdict::Retry(NOW), NOW);
        dead.learn(Verdict::GivenUp, NOW.plus_ms(GIVE_UP_AFTER_MS));
        assert_eq!(dead.off, Some(Off::Failing));
    }

    #[test]
    fn receivers_read_back() {
        let endpoint = Receiver::Endpoint(WebhookId::from_random([9; 16]));
        for receiver in [endpoint, Receiver::Jobs] {
            let text = serde_json::to_string(&receiver).unwrap();
            assert_eq!(serde_json::from_str::<Receiver>(&text).unwrap(), receiver);
        }
        assert_eq!(Receiver::parse("job"), None);
    }
}
