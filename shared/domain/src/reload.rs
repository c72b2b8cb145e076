//! Reloads by API: the password that stands between a leaked key and a card, and the approval by mail.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::{Deserialize, Serialize};

use crate::{ids::secret_token, sign_in::same_digest, time::Timestamp};

/// The shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// The longest, in characters.
pub const PASSWORD_CHARS_MAX: usize = 128;
/// How many wrong passwords lock it.
pub const TRIES_MAX: u32 = 5;
/// Within this time, and for this time: one hour.
const TRIES_WINDOW_MS: i64 = 3_600_000;
/// How long the link of an approval works: 30 minutes.
pub const APPROVAL_LIFETIME_MS: i64 = 30 * 60_000;

/// Memory in KiB and passes of Argon2id: OWASP's recommendation, for one thread.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// The same, as a hash's text begins (PHC string format).
const MADE_WITH: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

secret_token! {
    /// The secret of an approval's link. It travels by mail; only its digest is stored.
    ApprovalToken
}

/// A reload password as it was typed. Never printed, never stored.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ReloadPassword(String);

impl ReloadPassword {
    /// Whether it can be one.
    #[must_use]
    pub fn fits(&self) -> bool {
        (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&self.0.chars().count())
    }

    /// Its hash, with what it was made with: the only form that is stored. `None` for one that does not fit.
    #[must_use]
    pub fn hash(&self, salt: &[u8]) -> Option<String> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None).ok().filter(|_| self.fits())?;
        let mut hash = [0; Params::DEFAULT_OUTPUT_LEN];
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        hasher.hash_password_into(self.0.as_bytes(), salt, &mut hash).ok()?;
        Some(format!("{MADE_WITH}{}${}", BASE64.encode(salt), BASE64.encode(hash)))
    }

    /// Whether it is the one that `hash` was made of, in a time that does not depend on where it differs.
    #[must_use]
    pub fn is(&self, hash: &str) -> bool {
        let salt = hash.strip_prefix(MADE_WITH).and_then(|rest| rest.split('$').next());
        let salt = salt.and_then(|salt| BASE64.decode(salt).ok());
        salt.and_then(|salt| self.hash(&salt)).is_some_and(|own| same_digest(&own, hash))
    }
}

impl From<&str> for ReloadPassword {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for ReloadPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReloadPassword(…)")
    }
}

/// How often a wrong password was tried of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// How often.
    pub wrong: u32,
    /// Until when that counts, and, once there were too many, until when nothing is tried.
    pub until: Timestamp,
}

impl Tries {
    /// Until when nothing is tried, if it is locked.
    #[must_use]
    pub fn locked_until(self, now: Timestamp) -> Option<Timestamp> {
        (self.wrong >= TRIES_MAX && now < self.until).then_some(self.until)
    }

    /// Counts a try before it is looked at, as a wrong one, so that no number of tries at once gets more of them; `None`
    /// if it is locked. The last one begins the time of the lock.
    #[must_use]
    pub fn begin(self, now: Timestamp) -> Option<Self> {
        if self.locked_until(now).is_some() {
            return None;
        }
        let wrong = if now < self.until { self.wrong + 1 } else { 1 };
        let begins = wrong == 1 || wrong >= TRIES_MAX;
        let until = if begins { now.plus_ms(TRIES_WINDOW_MS) } else { self.until };
        Some(Self { wrong, until })
    }

    /// Takes a try back that was right. The wrong ones before it stay: whoever guesses between the owner's own requests
    /// gets no more tries by them.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { wrong: self.wrong.saturating_sub(1), until: self.until }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_never_printed() {
        let password = ReloadPassword::from("correct horse");
        let hash = password.hash(&[7; 16]).unwrap();
        assert!(hash.starts_with(MADE_WITH) && hash.len() > 90, "{hash}");
        assert_eq!(MADE_WITH, format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p=1$"));
        assert!(password.is(&hash));
        assert!(!ReloadPassword::from("correct horsE").is(&hash));
        assert_ne!(password.hash(&[8; 16]).unwrap(), hash);
        assert_eq!(format!("{password:?}"), "ReloadPassword(…)");
        for bad in ["", "short", "1234567", &"x".repeat(129)] {
            assert_eq!(ReloadPassword::from(bad).hash(&[7; 16]), None);
            assert!(!ReloadPassword::from(bad).is(&hash));
        }
        assert!(!password.is("nonsense"));
    }

    #[test]
    fn five_wrong_ones_lock_it_for_an_hour() {
        let at = |minutes: i64| Timestamp(1_800_000_000_000 + minutes * 60_000);
        let mut tries = Tries::default();
        for minute in 0..5 {
            assert_eq!(tries.locked_until(at(minute)), None);
            tries = tries.begin(at(minute)).unwrap();
        }
        assert_eq!(tries.begin(at(5)), None);
        assert_eq!(tries.locked_until(at(63)), Some(at(64)));
        let next = tries.begin(at(64)).unwrap();
        assert_eq!(next.wrong, 1);
    }

    #[test]
    fn a_right_one_takes_back_its_own_try_alone() {
        let now = Timestamp(1_800_000_000_000);
        let mut tries = Tries::default();
        for _ in 0..4 {
            tries = tries.begin(now).unwrap();
            tries = tries.begin(now).unwrap().right();
        }
        assert_eq!(tries.wrong, 4);
        assert_eq!(tries.begin(now).unwrap().locked_until(now), Some(now.plus_ms(TRIES_WINDOW_MS)));
    }

    proptest! {
        /// However tries are spread, no hour sees more than twice five wrong ones, and no more than five follow one another
        /// without a whole hour's pause.
        #[test]
        fn guesses_are_few(pauses in prop::collection::vec(0i64..2_000_000, 1..200)) {
            let mut now = Timestamp(1_800_000_000_000);
            let (mut tries, mut tried) = (Tries::default(), Vec::new());
            for pause in pauses {
                now = now.plus_ms(pause);
                if let Some(next) = tries.begin(now) {
                    tries = next;
                    tried.push(now);
                }
            }
            for window in tried.windows(11) {
                prop_assert!(window[10].0 - window[0].0 >= TRIES_WINDOW_MS);
            }
        }
    }
}
