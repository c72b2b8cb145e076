//! What an account has beside its money: its keys' rights, its settings, and what it is given when it is opened.

use serde::{Deserialize, Serialize};

use crate::{
    email::EmailAddress,
    money::{Amount, WalletKind},
    rate::{Quota, Window},
};

/// What a mailbox gets when an address of it is verified for the first time, as `signup_bonus`: $5.00, unless the operator
/// gives another sum, 300 edit credits and 50 track credits.
pub const SIGNUP_GRANTS: [(WalletKind, Amount); 3] = [
    (WalletKind::Usd, Amount::cents(500)),
    (WalletKind::Edit, Amount::new(300)),
    (WalletKind::Track, Amount::new(50)),
];

/// On what terms a mailbox gets its bonus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BonusTerms {
    /// The dollars of it; none is no bonus at all.
    pub dollars: Amount,
    /// How many the mailboxes of one domain get, unless everybody has mailboxes there.
    pub of_a_domain: Quota,
    /// How many there are in all.
    pub in_all: Quota,
}

impl BonusTerms {
    /// The usual dollars, so many for a domain in a day, and so many in all in an hour.
    #[must_use]
    pub const fn new(dollars: Amount, of_a_domain: u32, in_all: u32) -> Self {
        Self {
            dollars,
            of_a_domain: Quota::new("bonuses_of_a_domain", Window::Day, of_a_domain),
            in_all: Quota::new("bonuses", Window::Hour, in_all),
        }
    }

    /// What is granted, by wallet.
    pub fn grants(self) -> impl Iterator<Item = (WalletKind, Amount)> {
        let dollars = self.dollars;
        let all = SIGNUP_GRANTS.into_iter().map(move |(kind, usual)| match kind {
            WalletKind::Usd => (kind, dollars),
            _ => (kind, usual),
        });
        all.filter(move |_| dollars > Amount::ZERO)
    }

    /// In which counts the bonus of `address` is one more, each with whom it counts for; `None` if there is none for it at
    /// once.
    #[must_use]
    pub fn counts(self, address: &EmailAddress) -> Option<Vec<(String, Quota)>> {
        if address.is_disposable() {
            return None;
        }
        let domain =
            (!address.is_well_known()).then(|| (address.registered_domain().to_owned(), self.of_a_domain));
        Some(domain.into_iter().chain([(EVERYBODY.to_owned(), self.in_all)]).collect())
    }
}

/// Whom a count of the whole stack is for.
pub const EVERYBODY: &str = "everybody";

/// How many API keys an account has at most.
pub const KEYS_MAX: u32 = 10;
/// The longest name of a key, in characters.
pub const KEY_NAME_CHARS_MAX: usize = 64;
/// The largest daily cap that can be asked for: a million dollars, far above any wallet here.
const DAILY_CAP_DOLLARS_MAX: f64 = 1e6;

/// A right of an API key. A key without any scope has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Read jobs and clips.
    #[serde(rename = "clips:read")]
    ClipsRead,
    /// Make and change clips, which spends money.
    #[serde(rename = "clips:write")]
    ClipsWrite,
    /// Read balances and transactions, and reload.
    #[serde(rename = "billing")]
    Billing,
    /// Read and change webhooks. What they tell includes jobs, clips and the balance.
    #[serde(rename = "webhooks")]
    Webhooks,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ClipsRead, Self::ClipsWrite, Self::Billing, Self::Webhooks];

    /// The word used in requests and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClipsRead => "clips:read",
            Self::ClipsWrite => "clips:write",
            Self::Billing => "billing",
            Self::Webhooks => "webhooks",
        }
    }

    /// Whether a key with `scopes` has this right.
    #[must_use]
    pub fn allowed_by(self, scopes: &[Self]) -> bool {
        scopes.is_empty() || scopes.contains(&self)
    }
}

/// A key's name as it is kept: trimmed, one to 64 characters, none of them a control character.
#[must_use]
pub fn key_name(text: &str) -> Option<&str> {
    let name = text.trim();
    let fits = (1..=KEY_NAME_CHARS_MAX).contains(&name.chars().count());
    (fits && !name.chars().any(char::is_control)).then_some(name)
}

/// A key's daily cap, from dollars to whole micro-dollars; `None` for what no cap can be.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range: checked in the line before
pub fn daily_cap(dollars: f64) -> Option<Amount> {
    (dollars > 0.0 && dollars <= DAILY_CAP_DOLLARS_MAX).then(|| Amount::new((dollars * 1e6).round() as u64))
}

/// An account's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Whether an API key may reload the balance from a saved card. Off unless the owner switches it on.
    pub api_reload_enabled: bool,
    /// Whether each such reload must first be approved by mail.
    pub api_reload_confirm_by_email: bool,
}

/// Which settings to change; the others stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// For [`Settings::api_reload_enabled`].
    pub api_reload_enabled: Option<bool>,
    /// For [`Settings::api_reload_confirm_by_email`].
    pub api_reload_confirm_by_email: Option<bool>,
}

impl SettingsChange {
    /// The settings that it names, with their new values.
    pub fn switches(self) -> impl Iterator<Item = (&'static str, bool)> {
        let all = [
            ("api_reload_enabled", self.api_reload_enabled),
            ("api_reload_confirm_by_email", self.api_reload_confirm_by_email),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// What comes of it where there were no settings before.
    #[must_use]
    pub fn of_none(self) -> Settings {
        let none = Settings::default();
        Settings {
            api_reload_enabled: self.api_reload_enabled.unwrap_or(none.api_reload_enabled),
            api_reload_confirm_by_email: self
                .api_reload_confirm_by_email
                .unwrap_or(none.api_reload_confirm_by_email),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_scopes_may_do_everything() {
        assert!(Scope::Billing.allowed_by(&[]));
        assert!(Scope::ClipsRead.allowed_by(&[Scope::ClipsRead, Scope::ClipsWrite]));
        assert!(!Scope::ClipsWrite.allowed_by(&[Scope::ClipsRead]));
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.word());
        }
    }

    #[test]
    fn a_bonus_counts_for_its_domain_unless_everybody_is_there() {
        let terms = BonusTerms::new(Amount::cents(200), 3, 50);
        let counts = |text: &str| terms.counts(&EmailAddress::parse(text).unwrap());
        let domain = counts("ann@x.example.org").unwrap();
        assert_eq!(domain[0], ("example.org".to_owned(), terms.of_a_domain));
        assert_eq!((domain.len(), counts("ann@gmail.com").unwrap().len()), (2, 1));
        assert_eq!(counts("ann@mailinator.com"), None);
        let grants: Vec<_> = terms.grants().collect();
        assert_eq!((grants.len(), grants[0]), (3, (WalletKind::Usd, Amount::cents(200))));
        assert_eq!(BonusTerms::new(Amount::ZERO, 3, 50).grants().count(), 0);
    }

    #[test]
    fn a_change_of_settings_names_them_as_they_are_stored() {
        let all = SettingsChange { api_reload_enabled: Some(true), api_reload_confirm_by_email: Some(false) };
        let stored = serde_json::to_value(all.of_none()).unwrap();
        let named: serde_json::Map<_, _> =
            all.switches().map(|(name, value)| (name.to_owned(), value.into())).collect();
        assert_eq!(serde_json::Value::Object(named), stored);
        assert_eq!(SettingsChange::default().switches().count(), 0);
    }

    /// What the account may do in a minute is what its keys may: see `store::rate`.
    #[test]
    fn an_account_has_600_requests_a_minute() {
        assert_eq!(KEYS_MAX * crate::rate::REQUESTS.max, 600);
        assert_eq!(KEYS_MAX * crate::rate::STATUS_READS.max, 3000);
    }

    #[test]
    fn names_and_caps_have_bounds() {
        assert_eq!(key_name("  laptop "), Some("laptop"));
        assert_eq!(key_name(&"ä".repeat(64)), Some("ä".repeat(64).as_str()));
        for text in ["", "   ", "a\r\nb", "a\u{0}b"] {
            assert_eq!(key_name(text), None, "{text:?}");
        }
        assert_eq!(key_name(&"a".repeat(65)), None);
        assert_eq!(daily_cap(0.1), Some(Amount::new(100_000)));
        for dollars in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6 + 1.0] {
            assert_eq!(daily_cap(dollars), None, "{dollars}");
        }
    }
}
