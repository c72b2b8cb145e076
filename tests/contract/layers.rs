//! Layers: domain ← store, media, moments, sources, speech ← runtime ← look ← functions ← devstack, tests. Areas never import each other,
//! and the domain knows no AWS, no tokio, no HTTP.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::root::root;

/// The workspace's packages with the names of their normal dependencies.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let normal = |package: &cargo_metadata::Package| {
        let normal =
            package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.to_string()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), normal(package))).collect()
}

#[test]
fn layers_hold() {
    let of = |names: &[&str]| names.iter().map(|name| format!("clipwright-{name}")).collect::<BTreeSet<_>>();
    let mut allowed = BTreeMap::from([
        ("clipwright-domain".to_owned(), of(&[])),
        ("clipwright-store".to_owned(), of(&["domain"])),
        ("clipwright-media".to_owned(), of(&["domain"])),
        ("clipwright-moments".to_owned(), of(&["domain"])),
        ("clipwright-sources".to_owned(), of(&["domain"])),
        ("clipwright-speech".to_owned(), of(&["domain"])),
        ("clipwright-runtime".to_owned(), of(&["domain", "store", "sources"])),
        ("clipwright-look".to_owned(), of(&["domain", "store", "media", "sources", "runtime"])),
        ("clipwright-places".to_owned(), of(&[])),
        ("clipwright-devstack".to_owned(), of(&["domain", "store", "places", "stripe"])),
        ("clipwright-bench".to_owned(), of(&["domain", "store", "media", "moments", "sources", "signup"])),
        ("clipwright-costs".to_owned(), of(&["places"])),
        ("clipwright-generate".to_owned(), of(&["domain", "runtime"])),
        ("clipwright-signup".to_owned(), of(&[])),
        ("clipwright-stripe".to_owned(), of(&[])),
        ("xtask".to_owned(), of(&["places", "signup"])),
        ("clipwright-tests".to_owned(), of(&[])),
    ]);
    for area in generate::areas::list(&root()).unwrap() {
        let mut uses = of(&["domain", "store", "media", "sources", "runtime", "look"]);
        if area.package == "clipwright-speech-functions" {
            uses.extend(of(&["moments", "speech"]));
        }
        allowed.insert(area.package, uses);
    }
    let dependencies = dependencies();
    assert_eq!(allowed.keys().collect::<Vec<_>>(), dependencies.keys().collect::<Vec<_>>());
    for (package, uses) in dependencies {
        let ours: BTreeSet<String> = uses.into_iter().filter(|name| allowed.contains_key(name)).collect();
        let beyond: Vec<_> = ours.difference(&allowed[&package]).collect();
        assert!(beyond.is_empty(), "{package} may not use {beyond:?}");
    }
}

/// What an area compiles is what it starts with.
#[test]
fn an_area_that_looks_at_no_source_carries_no_media_code() {
    let dependencies = dependencies();
    for (area, looks) in [
        ("accounts", false),
        ("billing", false),
        ("webhooks", false),
        ("stages", false),
        ("pages", false),
        ("clips", true),
    ] {
        let (mut all, mut open) = (BTreeSet::new(), vec![format!("clipwright-{area}")]);
        while let Some(package) = open.pop() {
            let uses = dependencies.get(&package).into_iter().flatten().cloned();
            open.extend(uses.filter(|name| all.insert(name.clone())));
        }
        assert_eq!(all.contains("clipwright-media"), looks, "{area}");
    }
}

/// What cargo would build for these words, each package with its features.
fn built(words: &[&str]) -> BTreeSet<String> {
    let mut tree = std::process::Command::new("cargo");
    tree.current_dir(root()).args(["tree", "--locked", "--prefix", "none", "--format", "{p} with {f}"]);
    let output = tree.args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

/// The local cloud's programs are built by themselves (`cargo xtask clip`) and with everything else (`cargo xtask test`).
/// With other features their dependencies, the AWS SDK among them, would be built twice.
#[test]
fn the_local_cloud_is_built_with_the_features_of_the_workspace() {
    let areas = generate::areas::list(&root()).unwrap().into_iter().map(|area| area.package);
    let programs: Vec<String> = areas.chain(["clipwright-devstack".to_owned()]).collect();
    let chosen = programs.iter().flat_map(|name| ["--package", name.as_str()]);
    let alone = built(&chosen.chain(["--edges", "normal"]).collect::<Vec<_>>());
    let together = built(&["--workspace", "--edges", "normal,dev"]);
    assert!(alone.len() > 150, "{} packages", alone.len());
    let others: Vec<_> = alone.difference(&together).collect();
    assert!(
        others.is_empty(),
        "add the features that tests ask for to infra/devstack/Cargo.toml: {others:#?}"
    );
}

#[test]
fn the_domain_is_pure() {
    let forbidden = ["aws", "tokio", "lambda", "reqwest", "hyper", "axum", "tracing", "futures", "chrono"];
    for dependency in &dependencies()["clipwright-domain"] {
        assert!(!forbidden.iter().any(|word| dependency.starts_with(word)), "domain uses {dependency}");
    }
}
