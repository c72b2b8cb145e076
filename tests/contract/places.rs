//! The checkout may be moved, and its programs with it.

use crate::root::{read, root};

/// Variables of cargo whose value, at compile time, is a place on the machine that compiled.
const PLACES: [&str; 4] =
    ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_TARGET_TMPDIR", "CARGO_BIN_EXE_"];

#[test]
fn no_path_is_compiled_in() {
    let (mut folders, mut files) = (vec![root()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                let source: String = read(&name).split_whitespace().collect();
                for place in PLACES {
                    for call in ["env!(\"", "env!(r\""] {
                        assert!(
                            !source.contains(&format!("{call}{place}")),
                            "{name}: {place} is read when it is compiled; ask places::root() when it runs"
                        );
                    }
                }
            }
        }
    }
    assert!(files > 300, "{files} files");
}
