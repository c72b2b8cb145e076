//! The checkout, and the tools that `cargo xtask test` sets up.

use std::path::PathBuf;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    places::root().unwrap()
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The path of a tool, from the variable in which `cargo xtask test` hands it over.
pub(crate) fn tool(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run the tests with `cargo xtask test`"))
}
