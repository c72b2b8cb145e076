//! The pages' scripts: their types, which stand in comments, are right.

use std::fs;
use std::process::Command;

use crate::root::{root, tool};

const FOLDER: &str = "functions/pages/assets";

#[test]
fn scripts_keep_their_types() {
    let files = fs::read_dir(root().join(FOLDER)).unwrap().map(|file| file.unwrap().path());
    let scripts: Vec<_> = files.filter(|file| file.extension().is_some_and(|kind| kind == "js")).collect();
    assert!(scripts.len() > 5, "{scripts:?}");
    let checked = Command::new("node")
        .arg(format!("{}/typescript/bin/tsc", tool("NODE_MODULES")))
        .args(["--noEmit", "--allowJs", "--checkJs", "--strict", "--types", ""])
        .args(["--target", "es2023", "--module", "esnext", "--moduleResolution", "bundler"])
        .args(["--lib", "es2023,dom,dom.iterable", "--pretty", "false"])
        .args(scripts)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
