//! Signing in without passwords: a link and a code, sent to an address; whoever has one of them owns the address.

use std::fmt;

use crate::{
    ids::{digest, secret_token},
    rate::{Quota, Window},
    time::Timestamp,
};

/// How long a link and its code work: 15 minutes.
pub const SIGN_IN_LIFETIME_MS: i64 = 15 * 60_000;
/// How often a code may be tried; then its link is worth nothing either.
pub const CODE_ATTEMPTS_MAX: u32 = 5;
/// Sign-in mails to one address.
pub const MAILS: Quota = Quota::new("mails", Window::Hour, 5);

/// Sign-in mails that one client address asks for: few enough that nobody opens accounts by the hundred.
#[must_use]
pub const fn mails_asked_for(per_hour: u32) -> Quota {
    Quota::new("mails_asked_for", Window::Hour, per_hour)
}

/// How long a browser stays signed in: 30 days.
pub const SESSION_LIFETIME_MS: i64 = 30 * 24 * 3_600_000;
/// A session older than a day gets a new token when it is next used, so that a stolen one is of short use.
const SESSION_ROTATED_AFTER_MS: i64 = 24 * 3_600_000;
/// How long the old token still works after a rotation: requests of other tabs are under way.
pub const SESSION_GRACE_MS: i64 = 60_000;

/// Whether a session that was opened at `created` is due for a new token.
#[must_use]
pub const fn must_rotate(created: Timestamp, now: Timestamp) -> bool {
    now.0 - created.0 >= SESSION_ROTATED_AFTER_MS
}

secret_token! {
    /// The secret of a sign-in link. It travels by mail; only its digest is stored.
    SignInToken
}

/// The six digits that do the same as the link, for a browser on another machine than the mail.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInCode(String);

impl SignInCode {
    /// A code from a random number. 2^64 is no multiple of a million, which favours some codes by less than
    /// one part in 10^13.
    #[must_use]
    pub fn from_random(number: u64) -> Self {
        Self(format!("{:06}", number % 1_000_000))
    }

    /// Reads the code of a request, as people type it; `None` if it is not six digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        (digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(Self(digits))
    }

    /// SHA-256 of the code together with its token's digest, in hexadecimal. The digest alone would be the same
    /// for the same code everywhere. Twenty bits do not withstand whoever reads the table; that a code lives for
    /// 15 minutes does.
    #[must_use]
    pub fn digest(&self, token_digest: &str) -> String {
        digest(&format!("{token_digest}:{}", self.0))
    }

    /// The code itself, for the mail.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignInCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignInCode(…)")
    }
}

/// Whether two digests are equal, in a time that does not depend on where they differ.
#[must_use]
pub fn same_digest(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).fold(0, |so_far, (a, b)| so_far | (a ^ b));
    one.len() == other.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits_and_never_printed() {
        let code = SignInCode::from_random(1_000_042);
        assert_eq!(code.reveal(), "000042");
        assert_eq!(SignInCode::parse(" 000 042 "), Some(code.clone()));
        for text in ["", "42", "0000042", "00004x", "٠٠٠٠٤٢"] {
            assert_eq!(SignInCode::parse(text), None, "{text}");
        }
        assert_eq!(format!("{code:?}"), "SignInCode(…)");
        assert_ne!(code.digest("a"), code.digest("b"));
    }

    #[test]
    fn digests_are_compared_whole() {
        assert!(same_digest("ab", "ab"));
        for (one, other) in [("ab", "aa"), ("ab", "abc"), ("", "a"), ("ba", "ab")] {
            assert!(!same_digest(one, other));
        }
    }

    #[test]
    fn a_session_rotates_after_a_day() {
        let created = Timestamp(1_000);
        assert!(!must_rotate(created, created.plus_ms(24 * 3_600_000 - 1)));
        assert!(must_rotate(created, created.plus_ms(24 * 3_600_000)));
    }
}
