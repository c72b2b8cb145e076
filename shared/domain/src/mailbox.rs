//! Whose mailbox an address is: what counts where one person could come as many.
//!
//! An account belongs to an address as it is typed, in its one form (`email`). A bonus belongs to a mailbox: some providers
//! ignore dots, or take several domains for one. Addresses of providers that hand out a new mailbox at each visit get none
//! until they have paid for something, and nobody's domain gets many in a day, unless it is one at which everybody has
//! mailboxes.
//!
//! `disposable.txt` is the list of the Python package `disposable-email-domains` (MIT licence), without the domains below
//! others that it names. `cargo xtask generate` writes it anew when the version that is pinned changes.

use crate::email::EmailAddress;

/// Domains of one provider, and what it ignores in the part before the `@`.
struct Provider {
    /// Mail to a name at one of them is mail to the name at any of them; the first stands for all.
    domains: &'static [&'static str],
    ignored: &'static [char],
}

const PROVIDERS: [Provider; 4] = [
    Provider { domains: &["gmail.com", "googlemail.com"], ignored: &['.'] },
    Provider {
        domains: &["proton.me", "protonmail.com", "protonmail.ch", "pm.me"],
        ignored: &['.', '-', '_'],
    },
    Provider { domains: &["icloud.com", "me.com", "mac.com"], ignored: &[] },
    Provider { domains: &["yandex.com", "yandex.ru", "ya.ru", "yandex.by", "yandex.kz"], ignored: &[] },
];

/// Domains, beside those of [`PROVIDERS`], at which everybody has mailboxes and nobody makes many.
const WELL_KNOWN: [&str; 35] = [
    "126.com",
    "163.com",
    "aol.com",
    "bluewin.ch",
    "btinternet.com",
    "comcast.net",
    "daum.net",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.net",
    "hey.com",
    "hotmail.com",
    "libero.it",
    "live.com",
    "mail.ru",
    "msn.com",
    "naver.com",
    "orange.fr",
    "outlook.com",
    "posteo.de",
    "qq.com",
    "seznam.cz",
    "t-online.de",
    "tuta.com",
    "tutanota.com",
    "web.de",
    "wp.pl",
    "yahoo.com",
    "ymail.com",
    "zoho.com",
];

/// Names of providers with a domain in each country.
const IN_EVERY_COUNTRY: [&str; 4] = ["hotmail", "live", "outlook", "yahoo"];

const DISPOSABLE: &str = include_str!("disposable.txt");

impl EmailAddress {
    /// The address that stands for all that lead to the same mailbox.
    #[must_use]
    pub fn mailbox(&self) -> Self {
        let (local, domain) = self.parts();
        let Some(provider) = PROVIDERS.iter().find(|provider| provider.domains.contains(&domain)) else {
            return self.clone();
        };
        let name: String = local.chars().filter(|c| !provider.ignored.contains(c)).collect();
        // What consists of nothing else is no address there.
        let first = provider.domains.first().copied().unwrap_or(domain);
        Self::parse(&format!("{name}@{first}")).unwrap_or_else(|_| self.clone())
    }

    /// Whether its provider hands out mailboxes to be thrown away.
    #[must_use]
    pub fn is_disposable(&self) -> bool {
        let domain = self.parts().1;
        let parents = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]);
        let mut all = std::iter::once(domain).chain(parents);
        all.any(|domain| DISPOSABLE.lines().any(|listed| listed == domain))
    }

    /// Whether everybody has mailboxes at its domain.
    #[must_use]
    pub fn is_well_known(&self) -> bool {
        let domain = self.parts().1;
        let labels: Vec<&str> = domain.split('.').collect();
        // A country's domain, or one below it at which anybody registers names; not whatever somebody calls so below his own.
        let abroad = match labels[..] {
            [name, country] => IN_EVERY_COUNTRY.contains(&name) && country.len() == 2,
            [name, ..] => {
                IN_EVERY_COUNTRY.contains(&name) && labels.len() == 3 && is_shared_suffix(domain, 3)
            }
            [] => false,
        };
        abroad
            || WELL_KNOWN.contains(&domain)
            || PROVIDERS.iter().any(|provider| provider.domains.contains(&domain))
    }

    /// The domain that somebody has registered, as far as its form tells: who has one, has any number below it.
    #[must_use]
    pub fn registered_domain(&self) -> &str {
        let domain = self.parts().1;
        let labels: Vec<usize> = domain.match_indices('.').map(|(at, _)| at).collect();
        let wanted = if is_shared_suffix(domain, labels.len() + 1) { 3 } else { 2 };
        labels.len().checked_sub(wanted).and_then(|at| labels.get(at)).map_or(domain, |at| &domain[at + 1..])
    }
}

/// Words below a country's domain under which anybody registers names.
const SHARED: [&str; 12] = ["ac", "co", "com", "edu", "gob", "gov", "ltd", "me", "ne", "net", "or", "org"];

/// Whether names end with two labels that nobody has registered alone, as in `co.uk`. Where they are
/// somebody's own after all (`co.de`), he could have many bonuses; but such names are few, and worth more than those.
fn is_shared_suffix(domain: &str, labels: usize) -> bool {
    let mut last = domain.rsplit('.');
    let (country, word) = (last.next().unwrap_or_default(), last.next().unwrap_or_default());
    labels >= 3 && country.len() == 2 && SHARED.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> EmailAddress {
        EmailAddress::parse(text).unwrap()
    }

    #[test]
    fn many_spellings_are_one_mailbox() {
        for (text, mailbox) in [
            ("a.n.n+x@gmail.com", "ann@gmail.com"),
            ("Ann@GoogleMail.com", "ann@gmail.com"),
            ("a_n-n.x@pm.me", "annx@proton.me"),
            ("ann@me.com", "ann@icloud.com"),
            ("a.nn@me.com", "a.nn@icloud.com"),
            ("ann@ya.ru", "ann@yandex.com"),
            ("a.nn@example.com", "a.nn@example.com"),
            ("a.nn@gmail.com.example.com", "a.nn@gmail.com.example.com"),
        ] {
            assert_eq!(address(text).mailbox().as_str(), mailbox, "{text}");
            assert_eq!(address(mailbox).mailbox().as_str(), mailbox);
        }
    }

    #[test]
    fn disposable_domains_are_known_with_all_below_them() {
        for text in ["ann@mailinator.com", "ann@x.mailinator.com", "ann@yopmail.com"] {
            assert!(address(text).is_disposable(), "{text}");
        }
        for text in ["ann@gmail.com", "ann@example.com", "ann@mailinator.example", "ann@com.mailinator"] {
            assert!(!address(text).is_disposable(), "{text}");
        }
        let listed: Vec<&str> = DISPOSABLE.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(listed.len() > 5000 && listed.is_sorted(), "{}", listed.len());
        let known = WELL_KNOWN.iter().chain(PROVIDERS.iter().flat_map(|provider| provider.domains));
        for domain in known {
            assert!(!address(&format!("ann@{domain}")).is_disposable(), "{domain}");
        }
    }

    #[test]
    fn a_name_below_a_domain_is_its_owners() {
        for (text, domain) in [
            ("ann@example.com", "example.com"),
            ("ann@a.b.example.com", "example.com"),
            ("ann@example.co.uk", "example.co.uk"),
            ("ann@x.example.co.uk", "example.co.uk"),
            ("ann@x.example.de", "example.de"),
            ("ann@web.de", "web.de"),
        ] {
            assert_eq!(address(text).registered_domain(), domain, "{text}");
        }
        for text in ["ann@gmail.com", "ann@yahoo.co.uk", "ann@hotmail.fr", "ann@web.de"] {
            assert!(address(text).is_well_known(), "{text}");
        }
        for text in [
            "ann@example.com",
            "ann@yahoo.example.com",
            "ann@x.gmail.com",
            "ann@yahoo.a.co.uk",
            "ann@live.xyz",
        ] {
            assert!(!address(text).is_well_known(), "{text}");
        }
    }
}
