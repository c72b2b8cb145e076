//! Signatures of Stripe's events (<https://docs.stripe.com/webhooks#verify-manually>): HMAC-SHA256 of the time, a point and
//! the body, in the header `Stripe-Signature: t=…,v1=…`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::time::Timestamp;

/// How far the time in a signature may be from ours, in seconds: an event that somebody has kept is worth nothing later.
const TOLERANCE_S: i64 = 300;

/// Whether `header` signs `body` with `secret`, and was made about `now`. Of several `v1` one is enough: while a secret is
/// replaced, Stripe signs with both.
#[must_use]
pub fn is_signed(header: &str, body: &[u8], secret: &str, now: Timestamp) -> bool {
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let mut times = pairs().filter(|(name, _)| *name == "t").map(|(_, time)| time);
    let (Some(time), None) = (times.next(), times.next()) else { return false };
    let is_near =
        time.parse::<i64>().is_ok_and(|at| at.abs_diff(now.epoch_seconds()) <= TOLERANCE_S.unsigned_abs());
    if !is_near || secret.is_empty() {
        return false;
    }
    let signatures = pairs().filter(|(name, _)| *name == "v1").filter_map(|(_, digits)| bytes(digits));
    // Compared in a time that does not depend on where they differ.
    signatures.into_iter().any(|signature| {
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).is_ok_and(|mut mac| {
            [time.as_bytes(), b".", body].into_iter().for_each(|part| mac.update(part));
            mac.verify_slice(&signature).is_ok()
        })
    })
}

/// The bytes of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let whole = digits.len().is_multiple_of(2) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let read = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if whole { pairs.map(read).collect() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;
    const SECRET: &str = "whsec_test_secret";
    /// `printf '1800000000.%s' "$BODY" | openssl dgst -sha256 -hmac whsec_test_secret`
    const SIGNATURE: &str = "d0ffffa7434b9a227ebe60bf97ad6137fbc31cbd39613e1ac0e4bc924c41fde7";

    fn header(time: i64, signatures: &[&str]) -> String {
        let signatures: String = signatures.iter().map(|signature| format!(",v1={signature}")).collect();
        format!("t={time}{signatures}")
    }

    #[test]
    fn a_signature_is_good_for_its_body_its_time_and_its_secret() {
        let good = header(1_800_000_000, &[SIGNATURE]);
        assert!(is_signed(&good, BODY, SECRET, NOW));
        assert!(is_signed(&good, BODY, SECRET, NOW.plus_ms(300_000)));
        assert!(is_signed(&good, BODY, SECRET, NOW.plus_ms(-300_000)));
        assert!(is_signed(&format!("{good},v0=1234"), BODY, SECRET, NOW));
        assert!(is_signed(&header(1_800_000_000, &["00", SIGNATURE]), BODY, SECRET, NOW), "several");
        assert!(!is_signed(&good, b"{}", SECRET, NOW));
        assert!(!is_signed(&good, BODY, "whsec_other", NOW));
        assert!(!is_signed(&good, BODY, SECRET, NOW.plus_ms(301_000)));
        assert!(!is_signed(&good, BODY, SECRET, NOW.plus_ms(-301_000)));
        assert!(!is_signed(&header(1_800_000_001, &[SIGNATURE]), BODY, SECRET, NOW));
    }

    #[test]
    fn what_is_no_signature_is_none() {
        for text in [
            "",
            "t=",
            "t=1800000000",
            "v1=00",
            &format!("v1={SIGNATURE}"),
            &format!("t=1800000000,v0={SIGNATURE}"),
            &format!("t=1800000000,v1={}", &SIGNATURE[..62]),
            &format!("t=1800000000,v1={}", "ä".repeat(32)),
            &format!("t=1800000000,t=1800000000,v1={SIGNATURE}"),
            &format!("t=now,v1={SIGNATURE}"),
            &format!("t={},v1={SIGNATURE}", i64::MIN),
        ] {
            assert!(!is_signed(text, BODY, SECRET, NOW), "{text}");
        }
        assert!(!is_signed(&header(1_800_000_000, &[SIGNATURE]), BODY, "", NOW));
    }
}
