//! The pages' scripts: their types, which stand in comments, are right.

use std::fs;
use std::process::Command;

use crate::root::{read, root, tool};

const FOLDER: &str = "functions/pages/assets";

#[test]
fn every_file_is_served_and_every_import_is_there() {
    let table = read("functions/pages/src/assets.rs");
    let files: Vec<_> = fs::read_dir(root().join(FOLDER)).unwrap().map(|file| file.unwrap().path()).collect();
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(table.contains(&format!("\"{name}\" as")), "functions/pages/src/assets.rs does not serve {name}");
        for line in fs::read_to_string(file).unwrap().lines().filter(|line| line.starts_with("import ")) {
            let (_, wanted) = line.split_once("from './").unwrap();
            let wanted = wanted.trim_end_matches("';");
            assert!(files.iter().any(|file| file.ends_with(wanted)), "{name}: {line}");
        }
    }
}

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
