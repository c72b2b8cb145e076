//! E-mail addresses, brought to the one form in which two spellings of the same mailbox are equal.

use std::fmt;

use crate::ids::digest;

/// An address in its one form: lower case, without a plus-tag, the domain in ASCII.
///
/// This form is an account's identity *and* the address that mail goes to. If mail went to the address as typed,
/// then at a provider that knows no plus-tags the owner of `ann+x@…` could sign in as `ann@…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EmailAddress(String);

/// RFC 5321, section 4.5.3.1.1, in bytes.
const LOCAL_BYTES_MAX: usize = 64;
/// RFC 5321, section 4.5.3.1.3: a path of 256 bytes without its angle brackets.
const ADDRESS_BYTES_MAX: usize = 254;

/// Why a text is no address that we send mail to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address like name@example.com")]
pub struct NotAnAddress;

impl EmailAddress {
    /// Reads an address as a person types it.
    ///
    /// # Errors
    /// [`NotAnAddress`] for anything but an unquoted ASCII local part at a domain name. So no line break, comma,
    /// bracket or second `@` ever reaches a mail header.
    pub fn parse(text: &str) -> Result<Self, NotAnAddress> {
        let (local, domain) = text.trim().split_once('@').ok_or(NotAnAddress)?;
        let local = local.split_once('+').map_or(local, |(name, _tag)| name).to_ascii_lowercase();
        let address = format!("{}@{}", checked_local(&local)?, checked_domain(domain)?);
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(NotAnAddress);
        }
        Ok(Self(address))
    }

    /// What stands before and behind the `@`.
    pub(crate) fn parts(&self) -> (&str, &str) {
        self.0.split_once('@').unwrap_or((&self.0, ""))
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the address in hexadecimal: the key under which things about an address are kept, so that an
    /// address that asked for a sign-in mail once is not written down for good.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.0)
    }
}

/// RFC 5322's dot-atom, the only form that real mailboxes have.
fn checked_local(local: &str) -> Result<&str, NotAnAddress> {
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*/=?^_`{|}~-".contains(&byte);
    let atoms = local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(atext));
    if atoms && local.len() <= LOCAL_BYTES_MAX { Ok(local) } else { Err(NotAnAddress) }
}

/// A domain name with a dot, in ASCII (IDNA). Addresses of machines and single labels receive no mail of ours.
fn checked_domain(domain: &str) -> Result<String, NotAnAddress> {
    // `Host` would percent-decode, and a mail domain has no such thing.
    if domain.contains('%') {
        return Err(NotAnAddress);
    }
    match url::Host::parse(domain) {
        Ok(url::Host::Domain(name)) if well_formed(&name) => Ok(name),
        _ => Err(NotAnAddress),
    }
}

fn well_formed(domain: &str) -> bool {
    let label = |label: &str| {
        let inside = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inside && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(label)
}

impl fmt::Debug for EmailAddress {
    /// Personal data stays out of the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_are_equal() {
        let one = EmailAddress::parse("ann@example.com").unwrap();
        for text in
            ["  Ann@Example.COM\n", "ann+clips@example.com", "ANN+a+b@example.com", "ann+@example.com"]
        {
            assert_eq!(EmailAddress::parse(text).unwrap(), one, "{text}");
        }
        assert_eq!(EmailAddress::parse("ann@bücher.example").unwrap().as_str(), "ann@xn--bcher-kva.example");
        assert_ne!(EmailAddress::parse("a.nn@example.com").unwrap(), one);
    }

    #[test]
    fn nothing_else_passes() {
        for text in [
            "",
            "ann",
            "@example.com",
            "+tag@example.com",
            "ann@",
            "ann@localhost",
            "ann@127.0.0.1",
            "ann@[::1]",
            "ann@example.com, bob@example.com",
            "ann@example.com\r\nBcc: bob@example.com",
            "ann\r\n@example.com",
            "ann@exam\nple.com",
            "ann@example.com@example.org",
            "\"a b\"@example.com",
            "a..b@example.com",
            ".ann@example.com",
            "<ann@example.com>",
            "ann@-example.com",
            "ann@example..com",
            "ann@example.com.",
            "ann@exa%6Dple.com",
            "ännchen@example.com",
        ] {
            assert_eq!(EmailAddress::parse(text), Err(NotAnAddress), "{text:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
        assert!(EmailAddress::parse(&format!("a@{}com", "abcdefg.".repeat(32))).is_err());
    }

    #[test]
    fn an_address_is_not_logged() {
        assert_eq!(format!("{:?}", EmailAddress::parse("ann@example.com")), "Ok(EmailAddress(…))");
    }
}
