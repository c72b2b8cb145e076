//! Signing in without passwords: a link and a code, sent to an address; whoever has one of them owns the address.
//!
//! **Guessing.** A link has 256 bits, which nobody guesses. A code has 8 digits, works for 15 minutes, and only in the
//! browser that asked for it ([`BrowserSecret`]). Whoever wants to guess asks for a mail himself, so that his own browser
//! may try; but all codes of an address together may be tried 10 times a day ([`CODE_TRIES`]), whoever tries and
//! however many codes there are. That is 10 × 366 tries a year at one chance in 10^8 each: below 3.7 in 10^5, less than
//! one in 10^4, for an address that is attacked every day of the year.
//!
//! **Locking out.** What a stranger can use up are the tries of codes. Links take no tries, so they always work. He can
//! also use up an address's mails ([`MAILS`]); but their window is as long as a link works, so whoever is refused one more
//! mail has one in the mailbox whose link still works.

use std::fmt;

use crate::{
    ids::{digest, secret_token},
    rate::{Quota, Window},
    time::Timestamp,
};

/// How long a link and its code work: 15 minutes.
pub const SIGN_IN_LIFETIME_MS: i64 = 15 * 60_000;
/// How often codes of one address may be tried, by whomever. One that is right is not counted.
pub const CODE_TRIES: Quota = Quota::new("code_tries", Window::Day, 10);
/// Sign-in mails to one address. The window is [`SIGN_IN_LIFETIME_MS`], no more: see the module's head.
pub const MAILS: Quota = Quota::new("mails_to", Window::Quarter, 3);

/// Sign-in mails that one client address asks for: few enough that nobody opens accounts by the hundred.
#[must_use]
pub const fn mails_asked_for(per_hour: u32) -> Quota {
    Quota::new("mails_asked_for", Window::Hour, per_hour)
}

/// Sign-in mails of the whole stack to addresses without an account. Those who have one are mailed all the same, or a
/// stranger could lock everybody out.
#[must_use]
pub const fn mails_to_strangers(per_hour: u32) -> Quota {
    Quota::new("mails_to_strangers", Window::Hour, per_hour)
}

/// How long an address gets no mail that does not exist, as its server says: a week. Servers err, and mailboxes are made.
const BOUNCED_MS: i64 = 7 * 24 * 3_600_000;
/// How long an address gets no mail whose owner called one of ours unwanted: 30 days.
const COMPLAINED_MS: i64 = 30 * 24 * 3_600_000;

/// Why an address gets no more mail for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwanted {
    /// There is no such mailbox.
    Bounced,
    /// Its owner has complained.
    Complained,
}

impl Unwanted {
    /// Until when.
    #[must_use]
    pub const fn until(self, now: Timestamp) -> Timestamp {
        now.plus_ms(match self {
            Self::Bounced => BOUNCED_MS,
            Self::Complained => COMPLAINED_MS,
        })
    }
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

secret_token! {
    /// What a browser keeps, in a cookie, while a code is on its way to its owner's mailbox: only with it the code works.
    BrowserSecret
}

/// How many codes there are.
const CODES: u64 = 100_000_000;
/// How many digits a code has.
const CODE_DIGITS: usize = 8;

/// The eight digits that do the same as the link, for a browser on another machine than the mail.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInCode(String);

impl SignInCode {
    /// A code from a random number. 2^64 is no multiple of 10^8, which favours some codes by less than one part in
    /// 10^11.
    #[must_use]
    pub fn from_random(number: u64) -> Self {
        Self(format!("{:0CODE_DIGITS$}", number % CODES))
    }

    /// Reads the code of a request, as people type it; `None` if it is not eight digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        (digits.len() == CODE_DIGITS && digits.bytes().all(|b| b.is_ascii_digit())).then_some(Self(digits))
    }

    /// SHA-256 of the code together with its token's digest, in hexadecimal. The digest alone would be the same
    /// for the same code everywhere. 27 bits do not withstand whoever reads the table; that a code lives for
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
    fn a_code_is_eight_digits_and_never_printed() {
        let code = SignInCode::from_random(100_000_042);
        assert_eq!(code.reveal(), "00000042");
        assert_eq!(SignInCode::parse(" 0000 0042 "), Some(code.clone()));
        for text in ["", "42", "000000042", "0000042", "0000004x", "٠٠٠٠٠٠٤٢"] {
            assert_eq!(SignInCode::parse(text), None, "{text}");
        }
        assert_eq!(format!("{code:?}"), "SignInCode(…)");
        assert_ne!(code.digest("a"), code.digest("b"));
    }

    /// The arithmetic of the module's head.
    #[test]
    fn guessing_for_a_year_succeeds_less_than_once_in_10_000() {
        let tries_a_year = u64::from(CODE_TRIES.max) * 366;
        assert_eq!(CODE_TRIES.window, Window::Day);
        assert!(tries_a_year * 10_000 < CODES, "{tries_a_year} of {CODES}");
    }

    #[test]
    fn whoever_is_refused_a_mail_has_a_link_that_works() {
        assert!(MAILS.window.seconds() * 1000 <= SIGN_IN_LIFETIME_MS);
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
