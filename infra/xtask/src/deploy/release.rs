//! What tells one release from another.
//!
//! SAM publishes another version of a function when something of it changes in the template. A parameter's value is not in the
//! template, and `live` would go on calling a version that was made with the old one: so a digest of all values, the
//! image's address among them, goes into the description that all functions share.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

/// The line of `Globals` that it goes into.
const LINE: &str = "    Description: Clipwright";

/// The template with the digest of the parameters in it.
pub(crate) fn marked(template: &str, parameters: &BTreeMap<String, String>) -> anyhow::Result<String> {
    let (before, after) = template
        .split_once(&format!("\n{LINE}\n"))
        .context("the template has no description of all functions to write the release into")?;
    if after.contains(&format!("\n{LINE}\n")) {
        bail!("the template describes all functions twice");
    }
    Ok(format!("{before}\n{LINE} {}\n{after}", digest(parameters)))
}

/// Eight bytes are plenty to tell one set of values from the one before.
fn digest(parameters: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        // The length first, so that no two sets are written alike.
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "Globals:\n  Function:\n    Description: Clipwright\nResources:\n";

    fn parameters(slots: &str) -> BTreeMap<String, String> {
        [("ClipSlots".to_owned(), slots.to_owned())].into()
    }

    #[test]
    fn other_values_make_another_release_and_the_same_ones_none() {
        let five = marked(TEMPLATE, &parameters("5")).unwrap();
        assert_eq!(five, marked(TEMPLATE, &parameters("5")).unwrap());
        assert_ne!(five, marked(TEMPLATE, &parameters("7")).unwrap());
        assert!(
            five.starts_with("Globals:\n  Function:\n    Description: Clipwright ")
                && five.ends_with("\nResources:\n")
        );
        let two = TEMPLATE.repeat(2);
        assert!(marked("Resources:\n", &parameters("5")).is_err() && marked(&two, &parameters("5")).is_err());
    }

    #[test]
    fn the_template_has_the_line() {
        let template = std::fs::read_to_string(crate::setup::root().join("template.yaml")).unwrap();
        marked(&template, &parameters("5")).unwrap();
    }
}
