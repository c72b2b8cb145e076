//! The media functions' image: its pins, and what its recipe's files say of each other.

use std::collections::BTreeSet;

use crate::contract::template::template;
use crate::root::read;

const DOCKERFILE: &str = "functions/media/Dockerfile";

/// The value of an `ARG` of the Dockerfile.
fn argument(name: &str) -> String {
    let file = read(DOCKERFILE);
    let value = file.lines().find_map(|line| line.strip_prefix(&format!("ARG {name}=")));
    value.unwrap_or_else(|| panic!("no ARG {name}")).to_owned()
}

/// Debian's packages that a file installs: words of the lines from `apt-get install` on to the end of the command.
fn packages(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for command in text.replace("\\\n", " ").lines() {
        for part in command.split("&&").filter_map(|part| part.split_once("apt-get install")) {
            let words = part.1.split_whitespace().filter(|word| !word.starts_with('-'));
            found.extend(words.map(str::to_owned));
        }
    }
    found
}

#[test]
fn the_bases_are_pinned_by_digest_and_nothing_else_is_one() {
    let file = read(DOCKERFILE);
    let bases: BTreeSet<&str> =
        file.lines().filter_map(|line| line.strip_prefix("FROM ")?.split_whitespace().next()).collect();
    assert_eq!(bases, ["${DEBIAN}", "${RUST}"].into());
    for name in ["DEBIAN", "RUST"] {
        let (image, digest) =
            argument(name).split_once("@sha256:").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(image.contains("bookworm") && image.contains("-slim"), "{image}");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    }
}

#[test]
fn it_is_built_with_the_rust_of_the_checkout() {
    let channel = read("rust-toolchain.toml");
    let channel = channel.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    assert!(argument("RUST").starts_with(&format!("rust:{channel}-slim-bookworm@")));
    assert!(read(DOCKERFILE).contains(&format!("ENV RUSTUP_TOOLCHAIN={channel}\n")));
    assert!(read(".github/workflows/ci.yml").contains(&format!("container: {}\n", argument("RUST"))));
}

#[test]
fn every_library_that_ffmpeg_is_built_with_is_in_the_image() {
    let final_stage = read(DOCKERFILE);
    let (_, final_stage) = final_stage.rsplit_once("\nFROM ").unwrap();
    let installed = packages(final_stage);
    let mut built_with = BTreeSet::new();
    for package in packages(&read("functions/media/ffmpeg/build.sh")) {
        if let Some(library) = package.strip_suffix("-dev").filter(|library| !library.starts_with("dpkg")) {
            // libx264-dev comes from libx264-164, zlib1g-dev from zlib1g.
            let there = installed.iter().any(|name| {
                name.strip_prefix(library)
                    .is_some_and(|version| version.bytes().all(|b| b == b'-' || b.is_ascii_digit()))
            });
            assert!(there, "{library} is not among {installed:?}");
            built_with.insert(library.trim_start_matches("lib").to_owned());
        }
    }
    let wanted = read("functions/media/ffmpeg/options.txt");
    let wanted = wanted.lines().filter_map(|line| line.strip_prefix("--enable-lib"));
    assert!(wanted.clone().count() >= 5);
    for library in wanted {
        assert!(built_with.contains(library), "nothing installs {library}");
    }
}

#[test]
fn python_packages_are_pinned_with_hashes_for_both_architectures() {
    let list = read("functions/media/requirements.txt").replace("\\\n", " ");
    let lines: Vec<&str> =
        list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    assert!(lines.len() >= 3);
    for line in lines {
        assert!(line.contains("=="), "{line}");
        let hashes = line.matches("--hash=sha256:").count();
        // Deno is a program, and so a wheel for each.
        assert_eq!(hashes, if line.starts_with("deno==") { 2 } else { 1 }, "{line}");
    }
    assert!(read(DOCKERFILE).contains("--require-hashes"));
}

#[test]
fn cargo_finds_every_member_in_what_the_image_is_built_from() {
    let manifest = read("Cargo.toml");
    let (_, members) = manifest.split_once("members = [").unwrap();
    let members = members.split_once(']').unwrap().0.split(',').map(|member| member.trim().trim_matches('"'));
    let sent = read(".dockerignore");
    let sent: BTreeSet<&str> = sent.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for member in members.filter(|member| !member.is_empty()) {
        assert!(sent.contains(member.split('/').next().unwrap()), "{member} is kept back");
    }
    for file in ["Cargo.toml", "Cargo.lock", ".cargo"] {
        assert!(sent.contains(file), "{file} is kept back");
    }
}

#[test]
fn every_container_function_runs_the_one_image() {
    let mut count = 0;
    for (name, resource) in template()["Resources"].as_object().unwrap() {
        let properties = &resource["Properties"];
        if properties["PackageType"] == "Image" {
            assert_eq!(properties["ImageUri"]["Ref"], "MediaImage", "{name}");
            count += 1;
        }
    }
    assert!(count > 0);
}
