//! One event on its way to one receiver: attempts with growing pauses, for a day at most.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The pauses after an attempt that failed: at once, then 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 16 h and 24 h after the
/// first.
pub const PAUSES_MS: [i64; 8] = [
    5 * SECOND_MS,
    5 * MINUTE_MS - 5 * SECOND_MS,
    25 * MINUTE_MS,
    90 * MINUTE_MS,
    3 * HOUR_MS,
    5 * HOUR_MS,
    6 * HOUR_MS,
    8 * HOUR_MS,
];
/// By so much, in percent, a pause is shortened at random, so that what failed together does not come again together.
const JITTER_PERCENT: i64 = 10;
/// How long an endpoint must have taken nothing to be switched off when an event is given up: less than the pauses
/// together can be.
pub const GIVE_UP_AFTER_MS: i64 = 21 * HOUR_MS;
/// How long the log of a delivery is kept.
const KEPT_MS: i64 = 7 * 24 * HOUR_MS;
/// How many attempts the log keeps, the latest; replays would make it grow without end.
const LOGGED_MAX: usize = 20;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There is another attempt to come.
    Pending,
    /// The receiver took it.
    Delivered,
    /// The receiver never took it.
    Failed,
    /// The receiver was deleted or switched off before it took it.
    Cancelled,
}

impl State {
    /// The word in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What came of one request to a receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: u64,
    /// The status of the answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why that is no success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Delivered,
    /// The next attempt is at this instant.
    Retry(Timestamp),
    /// There were as many as there are.
    GivenUp,
    /// The receiver asked for no more requests.
    Gone,
}

impl Attempt {
    /// What follows from this attempt, the `tries`th (from 1 on) of its kind, which ended at `now`. `random` is any number;
    /// it makes the jitter.
    #[must_use]
    pub fn verdict(&self, tries: u32, random: u32, now: Timestamp) -> Verdict {
        match self.status {
            Some(200..=299) => return Verdict::Delivered,
            Some(410) => return Verdict::Gone,
            _ => {}
        }
        let pause = usize::try_from(tries.saturating_sub(1)).ok().and_then(|n| PAUSES_MS.get(n));
        let Some(pause) = pause else { return Verdict::GivenUp };
        let range = pause * JITTER_PERCENT / 100;
        Verdict::Retry(now.plus_ms(pause - i64::from(random) % (range + 1)))
    }

    /// Adds it to a log, whose oldest attempts go when it is full.
    #[must_use]
    pub fn logged(self, log: &[Self]) -> Vec<Self> {
        let skip = (log.len() + 1).saturating_sub(LOGGED_MAX);
        log.iter().skip(skip).cloned().chain([self]).collect()
    }
}

impl Verdict {
    /// Where it leaves the delivery.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Delivered => State::Delivered,
            Self::Retry(_) => State::Pending,
            Self::GivenUp | Self::Gone => State::Failed,
        }
    }
}

/// How long a delivery that last changed at `now` stays in the log.
#[must_use]
pub const fn kept_until(now: Timestamp) -> Timestamp {
    now.plus_ms(KEPT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn answered(status: Option<u16>) -> Attempt {
        Attempt { at: NOW, duration_ms: 3, status, error: None }
    }

    #[test]
    fn only_2xx_is_taken_and_only_410_is_gone() {
        for status in 200..=299 {
            assert_eq!(answered(Some(status)).verdict(9, 0, NOW), Verdict::Delivered, "{status}");
        }
        for status in [100, 199, 300, 301, 302, 307, 308, 400, 401, 404, 408, 409, 411, 429, 500, 503, 599] {
            assert!(matches!(answered(Some(status)).verdict(1, 0, NOW), Verdict::Retry(_)), "{status}");
        }
        assert_eq!(answered(Some(410)).verdict(1, 0, NOW), Verdict::Gone);
        assert!(matches!(answered(None).verdict(1, 0, NOW), Verdict::Retry(_)));
    }

    #[test]
    fn the_attempts_are_where_they_are_said_to_be() {
        let minutes = |at: &[i64]| at.iter().map(|m| m * MINUTE_MS).collect::<Vec<_>>();
        let mut at = NOW;
        let mut offsets = vec![];
        for tries in 1.. {
            let Verdict::Retry(next) = answered(Some(500)).verdict(tries, 0, at) else { break };
            at = next;
            offsets.push(at.0 - NOW.0);
        }
        assert_eq!(offsets[0], 5 * SECOND_MS);
        assert_eq!(offsets[1..], minutes(&[5, 30, 120, 300, 600, 960, 1440]));
    }

    #[test]
    fn the_log_has_a_bound() {
        let mut log = vec![];
        for n in 0..30 {
            log = Attempt { duration_ms: n, ..answered(None) }.logged(&log);
        }
        assert_eq!(
            log.iter().map(|attempt| attempt.duration_ms).collect::<Vec<_>>(),
            (10..30).collect::<Vec<_>>()
        );
    }

    proptest! {
        /// Whatever the jitter: pauses grow, the whole takes a day at most, and long enough for an endpoint that took
        /// nothing to be switched off.
        #[test]
        fn a_delivery_is_tried_nine_times_within_a_day(randoms in prop::collection::vec(any::<u32>(), 9)) {
            let (mut at, mut last, mut tries) = (NOW, 0, 0);
            for random in randoms {
                tries += 1;
                match answered(Some(500)).verdict(tries, random, at) {
                    Verdict::Retry(next) => {
                        let pause = next.0 - at.0;
                        prop_assert!(pause > last, "{pause} after {last}");
                        (last, at) = (pause, next);
                    }
                    verdict => prop_assert_eq!(verdict, Verdict::GivenUp),
                }
            }
            prop_assert_eq!(tries as usize, PAUSES_MS.len() + 1);
            prop_assert!(at.0 - NOW.0 <= 24 * HOUR_MS && at.0 - NOW.0 >= GIVE_UP_AFTER_MS);
        }
    }
}
