//! Rate limits: how much one caller may ask for in a window of time.
//!
//! Windows are fixed and aligned to the epoch, so every function agrees on their borders without talking to the
//! others, and a client can be told the very second at which it may go on. A window holds its first instant and not
//! its last.
//!
//! This file has the numbers. Each answer to a counted request tells the strictest limit it has met (`X-RateLimit-*`,
//! errors too), and a 429 says when to come again. A 401 tells none: there is no key whose window it could be.

use std::net::IpAddr;

use crate::time::Timestamp;

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// 60 seconds.
    Minute,
    /// 15 minutes.
    Quarter,
    /// 60 minutes.
    Hour,
    /// 24 hours, from midnight UTC.
    Day,
}

impl Window {
    /// The length in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Quarter => 900,
            Self::Hour => 3600,
            Self::Day => 86_400,
        }
    }

    /// When the window around `now` ends and the next one begins, in epoch seconds.
    #[must_use]
    pub const fn end(self, now: Timestamp) -> i64 {
        (now.epoch_seconds().div_euclid(self.seconds()) + 1) * self.seconds()
    }
}

/// How many times something may be done in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// What is counted, as a word of letters and `_`: quotas of different names never share a count.
    pub name: &'static str,
    /// The window.
    pub window: Window,
    /// How often in a window.
    pub max: u32,
}

/// Requests of one API key.
pub const REQUESTS: Quota = Quota::new("requests", Window::Minute, 60);
/// Status reads of one API key. FastClip's examples poll every 2 s: three jobs at once must not use up [`REQUESTS`].
pub const STATUS_READS: Quota = Quota::new("status", Window::Minute, 300);
/// Requests of one account's sessions, however many there are.
pub const SESSION_REQUESTS: Quota = Quota::new("session", Window::Minute, 120);
/// API keys that one account makes, also where it deletes others.
pub const NEW_KEYS: Quota = Quota::new("new_keys", Window::Day, 20);
/// What the status reads of one account hold that wait: one for each [`WAIT_SECONDS`] begun. So 25 wait at once.
pub const WAITS: Quota = Quota::new("waits", Window::Minute, 300);
/// How long a status read may wait for one of [`WAITS`].
pub const WAIT_SECONDS: u64 = 5;
/// Reloads of one account.
pub const RELOADS: Quota = Quota::new("reloads", Window::Hour, 10);

/// Clip jobs of one account: 20, unless the operator allows another number.
#[must_use]
pub const fn clip_jobs(per_hour: u32) -> Quota {
    Quota::new("clip_jobs", Window::Hour, per_hour)
}

/// Requests of one client address at endpoints that need no key.
#[must_use]
pub const fn open_requests(per_minute: u32) -> Quota {
    Quota::new("open", Window::Minute, per_minute)
}

/// Seconds in which others' servers or our containers are waited for on behalf of one account, to find out what a source is
/// or what is said in it.
#[must_use]
pub const fn look_seconds(per_minute: u32) -> Quota {
    Quota::new("look_seconds", Window::Minute, per_minute)
}

/// The same on behalf of one client address, where no key is needed.
#[must_use]
pub const fn open_look_seconds(per_minute: u32) -> Quota {
    Quota::new("open_look_seconds", Window::Minute, per_minute)
}

/// In which quotas of its key a request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`REQUESTS`].
    Requests,
    /// [`STATUS_READS`].
    StatusReads,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Self; 2] = [Self::Requests, Self::StatusReads];

    /// The quotas. A request passes if it passes all of them.
    #[must_use]
    pub const fn quotas(self) -> &'static [Quota] {
        match self {
            Self::Requests => &[REQUESTS],
            Self::StatusReads => &[STATUS_READS],
        }
    }
}

/// What a caller of Trackyard's API has subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// 5 requests a minute, 50 a day.
    Free,
    /// 10 requests a minute.
    Starter,
    /// 300 requests a minute.
    Pro,
}

impl Tier {
    /// The quotas.
    #[must_use]
    pub const fn quotas(self) -> &'static [Quota] {
        const fn minute(max: u32) -> Quota {
            Quota::new("track_minute", Window::Minute, max)
        }
        const FREE: [Quota; 2] = [minute(5), Quota::new("track_day", Window::Day, 50)];
        const STARTER: [Quota; 1] = [minute(10)];
        const PRO: [Quota; 1] = [minute(300)];
        match self {
            Self::Free => &FREE,
            Self::Starter => &STARTER,
            Self::Pro => &PRO,
        }
    }
}

impl Quota {
    /// A quota of `max` in each `window`.
    #[must_use]
    pub const fn new(name: &'static str, window: Window, max: u32) -> Self {
        Self { name, window, max }
    }

    /// The name of the count for the window around `now`: each window has its own, so that a count never has to be
    /// set back.
    #[must_use]
    pub fn counter(self, now: Timestamp) -> String {
        format!("{}_{}", self.name, self.window.end(now))
    }

    /// What to say when `counted` have passed in the window around `now`: of a request that passed, it included
    /// (`allowed`), or of one that did not.
    #[must_use]
    pub fn decision(self, counted: u32, allowed: bool, now: Timestamp) -> Decision {
        let reset = self.window.end(now);
        let rest_ms = reset * 1000 - now.0;
        Decision {
            window: self.window,
            allowed,
            limit: self.max,
            remaining: self.max.saturating_sub(counted),
            reset,
            retry_after: (rest_ms + 999).div_euclid(1000),
        }
    }
}

/// Whether a request may pass, and what its sender is told about the next ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The window's length.
    pub window: Window,
    /// Whether it passes.
    pub allowed: bool,
    /// How many are allowed in a window.
    pub limit: u32,
    /// How many more are allowed in this one.
    pub remaining: u32,
    /// When the window ends, in epoch seconds.
    pub reset: i64,
    /// Seconds until then, rounded up: whoever waits that long finds an open window.
    pub retry_after: i64,
}

impl Decision {
    /// Of two limits that one request has met, the one that stops its sender sooner; if they are alike in that, the
    /// one that stops it longer.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        let order = |decision: &Self| (decision.allowed, decision.remaining, -decision.reset);
        if order(&other) < order(&self) { other } else { self }
    }
}

/// Whom an address stands for. A household has one IPv4 address, but 2^64 IPv6 addresses (a /64 network).
#[must_use]
pub fn client(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const NINE: Timestamp = Timestamp(1_711_789_200_000);

    #[test]
    fn a_window_holds_its_first_instant_and_not_its_last() {
        for (window, length_ms) in [
            (Window::Minute, 60_000),
            (Window::Quarter, 900_000),
            (Window::Hour, 3_600_000),
            (Window::Day, 86_400_000),
        ] {
            let begin = Timestamp(NINE.0.div_euclid(length_ms) * length_ms);
            let end = (begin.0 + length_ms) / 1000;
            assert_eq!(window.end(begin), end);
            assert_eq!(window.end(begin.plus_ms(length_ms - 1)), end);
            assert_eq!(window.end(begin.plus_ms(length_ms)), end + length_ms / 1000);
            assert_eq!(window.end(begin.plus_ms(-1)), end - length_ms / 1000);
        }
    }

    #[test]
    fn who_waits_as_told_finds_an_open_window() {
        let at = |ms| REQUESTS.decision(60, false, NINE.plus_ms(ms));
        assert_eq!((at(0).retry_after, at(0).reset), (60, 1_711_789_260));
        assert_eq!((at(1).retry_after, at(18_000).retry_after, at(18_001).retry_after), (60, 42, 42));
        assert_eq!((at(59_000).retry_after, at(59_999).retry_after), (1, 1));
        assert_eq!((at(60_000).retry_after, at(60_000).reset), (60, 1_711_789_320));
    }

    #[test]
    fn the_stricter_limit_shows() {
        let minute = REQUESTS.decision(10, true, NINE);
        let hour = clip_jobs(20).decision(19, true, NINE);
        let full = clip_jobs(20).decision(20, false, NINE);
        assert_eq!(minute.stricter(hour), hour);
        assert_eq!(hour.stricter(minute), hour);
        assert_eq!(minute.stricter(full).retry_after, 3600);
        let last = REQUESTS.decision(60, true, NINE);
        assert_eq!(last.stricter(full), full, "a refusal is stricter than a last one that passed");
        let last_job = clip_jobs(20).decision(20, true, NINE);
        assert_eq!(last.stricter(last_job), last_job, "the longer one");
    }

    #[test]
    fn tiers_are_trackyards() {
        let maxima = |tier: Tier| tier.quotas().iter().map(|q| (q.max, q.window)).collect::<Vec<_>>();
        assert_eq!(maxima(Tier::Free), [(5, Window::Minute), (50, Window::Day)]);
        assert_eq!(maxima(Tier::Starter), [(10, Window::Minute)]);
        assert_eq!(maxima(Tier::Pro), [(300, Window::Minute)]);
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let of = |text: &str| client(text.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    proptest! {
        /// Counting by the rule lets exactly `max` pass in each window, whenever the requests come.
        #[test]
        fn exactly_as_many_pass_as_may(times in prop::collection::vec(0..400_000_i64, 1..400), max in 1..20_u32) {
            let quota = Quota::new("test", Window::Minute, max);
            let mut counts: HashMap<String, u32> = HashMap::new();
            let (mut passed, mut asked) = (HashMap::new(), HashMap::new());
            for now in times.into_iter().map(|ms| NINE.plus_ms(ms)) {
                let count = counts.entry(quota.counter(now)).or_default();
                let allowed = *count < quota.max;
                *count += u32::from(allowed);
                let decision = quota.decision(*count, allowed, now);
                prop_assert!(decision.reset * 1000 > now.0 && decision.reset * 1000 <= now.0 + 60_000);
                prop_assert!(decision.allowed || decision.remaining == 0);
                *passed.entry(now.0.div_euclid(60_000)).or_insert(0_u32) += u32::from(allowed);
                *asked.entry(now.0.div_euclid(60_000)).or_insert(0_u32) += 1;
            }
            for (window, asked) in asked {
                prop_assert_eq!(passed[&window], asked.min(max));
            }
        }
    }
}
