//! No client of AWS is without the interceptor that tells what is asked of AWS: what it does not see is not compared with
//! what the template grants.

use std::path::Path;

use crate::root::root;

#[test]
fn every_client_tells_of_its_calls() {
    let mut clients = 0;
    for folder in ["functions", "shared/runtime"] {
        visit(&root().join(folder), &mut |path, text| {
            assert!(!text.contains("Client::new(app.sdk"), "{}: made without Calls", path.display());
            assert!(!text.contains("Client::new(&sdk"), "{}: made without Calls", path.display());
            assert!(!text.contains("Client::new(&self.sdk"), "{}: made without Calls", path.display());
            let made = text.matches("Client::from_conf").count();
            assert_eq!(text.matches(".interceptor(").count(), made, "{}: made without Calls", path.display());
            clients += made;
        });
    }
    assert!(clients > 5, "the search finds clients at all");
}

/// Shows every Rust file below `folder`.
fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}
