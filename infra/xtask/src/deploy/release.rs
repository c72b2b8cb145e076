//! The name of a release, which the functions that are called change with.
//!
//! A version is published where this name changes, and only there (`AutoPublishCodeSha256` in the template). So it is made of
//! everything that a deployment consists of: the packaged template, which names the zips by their digests, and the values of
//! all parameters, the image's digest among them.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

/// The parameter that it is given by.
pub(crate) const PARAMETER: &str = "Release";
/// How many of a digest's bytes are the name: ten hexadecimal digits, as the template asks for.
const BYTES: usize = 5;

/// The name of what `packaged` and `parameters` make together.
pub(crate) fn name(packaged: &str, parameters: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    let values = parameters.iter().flat_map(|(name, value)| [name.as_str(), value]);
    for text in std::iter::once(packaged).chain(values) {
        // The length first, so that no two deployments are written alike.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(slots: &str) -> BTreeMap<String, String> {
        [("ClipSlots".to_owned(), slots.to_owned())].into()
    }

    #[test]
    fn whatever_changes_makes_another_release() {
        let first = name("template", &parameters("5"));
        assert_eq!(first, name("template", &parameters("5")));
        assert!(first.len() == 10 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
        assert_ne!(first, name("template", &parameters("7")));
        assert_ne!(first, name("other code", &parameters("5")));
    }
}
