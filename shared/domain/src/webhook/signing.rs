//! Secrets and signatures as Standard Webhooks has them
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! No secret is stored. Each is made from the stack's root secret, the receiver and a version number, so that what the
//! table holds (numbers) signs nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Receiver;
use crate::{
    ids::{AccountId, EventId},
    time::Timestamp,
};

/// How long a secret still signs after the next one was made: 24 hours.
const OVERLAP_MS: i64 = 24 * 3_600_000;
/// How many former secrets sign at once; of more rotations within a day, the oldest secret ends early.
const FORMER_MAX: usize = 3;
/// What a secret's text begins with.
const SECRET_PREFIX: &str = "whsec_";

/// HMAC-SHA256. A key is filled up with zeros to a block of the hash, as the algorithm itself does (RFC 2104).
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A former version of a secret that still signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    /// Which one.
    version: u32,
    /// From this instant on it signs no more.
    until: Timestamp,
}

/// Which versions of a receiver's secret sign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Versions {
    /// The latest.
    pub current: u32,
    /// Those before it, the latest first.
    former: Vec<Former>,
}

impl Versions {
    /// With one version more, made at `now`; the one before signs for another day.
    #[must_use]
    pub fn rotated(&self, now: Timestamp) -> Self {
        let replaced = Former { version: self.current, until: now.plus_ms(OVERLAP_MS) };
        let alive = self.former.iter().copied().filter(|former| now < former.until);
        let former = [replaced].into_iter().chain(alive).take(FORMER_MAX).collect();
        Self { current: self.current + 1, former }
    }

    /// The versions that sign at `now`, the latest first.
    pub fn signing(&self, now: Timestamp) -> impl Iterator<Item = u32> {
        let former = self.former.iter().filter(move |former| now < former.until);
        [self.current].into_iter().chain(former.map(|former| former.version))
    }

    /// How long the previous version signs as well.
    #[must_use]
    pub fn former_until(&self) -> Option<Timestamp> {
        self.former.first().map(|former| former.until)
    }
}

/// The one secret that the stack has. Never printed.
#[derive(Clone)]
pub struct RootSecret([u8; 32]);

impl RootSecret {
    /// The secret as its keeper has it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// The secret of a receiver, in one version.
    #[must_use]
    pub fn derive(&self, account: &AccountId, receiver: &Receiver, version: u32) -> SigningSecret {
        // No part has a slash in it, so no two receivers read the same.
        let whose = format!("clipwright/webhooks/{account}/{receiver}/{version}");
        SigningSecret(hmac(&self.0, &[whose.as_bytes()]))
    }
}

/// What a receiver's requests are signed with. Shown to its owner once, never stored or printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret([u8; 32]);

impl SigningSecret {
    /// The secret itself, for its owner: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{SECRET_PREFIX}{}", BASE64.encode(self.0))
    }

    /// Signs one attempt.
    #[must_use]
    pub fn sign(&self, id: &EventId, at: Timestamp, payload: &str) -> String {
        let head = format!("{id}.{}.", at.epoch_seconds());
        format!("v1,{}", BASE64.encode(hmac(&self.0, &[head.as_bytes(), payload.as_bytes()])))
    }
}

/// The value of `webhook-signature`: one signature for each secret.
#[must_use]
pub fn signatures(secrets: &[SigningSecret], id: &EventId, at: Timestamp, payload: &str) -> String {
    secrets.iter().map(|secret| secret.sign(id, at, payload)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WebhookId;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn key(bytes: &[u8]) -> [u8; 32] {
        let mut key = [0; 32];
        key[..bytes.len()].copy_from_slice(bytes);
        key
    }

    /// RFC 4231, test case 2.
    #[test]
    fn hmac_is_hmac() {
        let mac = hmac(&key(b"Jefe"), &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(crate::ids::hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    /// The example of the specification's libraries.
    #[test]
    fn signs_as_the_specification_says() {
        let secret = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let content: [&[u8]; 1] = [b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}"];
        assert_eq!(
            BASE64.encode(hmac(&key(&secret), &content)),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn every_part_of_whose_it_is_makes_another_secret() {
        let root = RootSecret::new("root");
        let (one, two) = (AccountId::from_random([1; 16]), AccountId::from_random([2; 16]));
        let hook = Receiver::Endpoint(WebhookId::from_random([3; 16]));
        let first = root.derive(&one, &hook, 0);
        assert!(first == root.derive(&one, &hook, 0));
        let others = [
            RootSecret::new("other").derive(&one, &hook, 0),
            root.derive(&two, &hook, 0),
            root.derive(&one, &Receiver::Jobs, 0),
            root.derive(&one, &hook, 1),
        ];
        assert!(others.iter().all(|other| *other != first));
        let text = first.reveal();
        assert_eq!(BASE64.decode(text.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
    }

    #[test]
    fn the_old_secret_signs_for_a_day() {
        let first = Versions::default();
        let second = first.rotated(NOW);
        let at = |versions: &Versions, ms| versions.signing(NOW.plus_ms(ms)).collect::<Vec<_>>();
        assert_eq!(at(&first, 0), [0]);
        assert_eq!(at(&second, OVERLAP_MS - 1), [1, 0]);
        assert_eq!(at(&second, OVERLAP_MS), [1]);
        let third = second.rotated(NOW.plus_ms(OVERLAP_MS / 2));
        assert_eq!(at(&third, OVERLAP_MS - 1), [2, 1, 0]);
        assert_eq!(at(&third, OVERLAP_MS), [2, 1]);
        let many = (0..50).fold(first, |versions, n| versions.rotated(NOW.plus_ms(n)));
        assert_eq!(at(&many, 50), [50, 49, 48, 47], "what is kept has a bound");
    }

    #[test]
    fn several_secrets_make_several_signatures() {
        let root = RootSecret::new("root");
        let account = AccountId::from_random([1; 16]);
        let secrets = [0, 1].map(|version| root.derive(&account, &Receiver::Jobs, version));
        let id = EventId::new(NOW, [7; 16]);
        let header = signatures(&secrets, &id, NOW, "{}");
        let parts: Vec<&str> = header.split(' ').collect();
        assert_eq!(parts, [secrets[0].sign(&id, NOW, "{}"), secrets[1].sign(&id, NOW, "{}")]);
        assert!(parts.iter().all(|part| part.starts_with("v1,")));
    }
}
