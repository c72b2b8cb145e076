//! What fuzzing begins with, and all that it once found.

#![allow(clippy::unwrap_used)]

#[path = "../kit/any.rs"]
mod any;

#[tokio::test]
async fn no_file_is_too_odd() {
    let folder = format!("{}/tests/regressions", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 8, "{} files", files.len());
    for file in files {
        any::read(&std::fs::read(&file).unwrap()).await;
    }
}
