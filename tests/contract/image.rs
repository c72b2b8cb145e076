//! The images of functions: their pins, and what their recipes' files say of each other.

use std::collections::BTreeSet;

use crate::contract::template::template;
use crate::root::read;

const DOCKERFILE: &str = "functions/media/Dockerfile";
const SPEECH: &str = "functions/speech/Dockerfile";

/// The value of an `ARG` of a Dockerfile.
fn argument(file: &str, name: &str) -> String {
    let file = read(file);
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
    for file in [DOCKERFILE, SPEECH] {
        let file = read(file);
        let bases: BTreeSet<&str> =
            file.lines().filter_map(|line| line.strip_prefix("FROM ")?.split_whitespace().next()).collect();
        assert_eq!(bases, ["${DEBIAN}", "${RUST}"].into());
    }
    for name in ["DEBIAN", "RUST"] {
        assert_eq!(argument(SPEECH, name), argument(DOCKERFILE, name));
        let (image, digest) = argument(DOCKERFILE, name)
            .split_once("@sha256:")
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert!(image.contains("bookworm") && image.contains("-slim"), "{image}");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    }
}

#[test]
fn it_is_built_with_the_rust_of_the_checkout() {
    let channel = read("rust-toolchain.toml");
    let channel = channel.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap().trim_matches('"');
    let rust = argument(DOCKERFILE, "RUST");
    assert!(rust.starts_with(&format!("rust:{channel}-slim-bookworm@")));
    for file in [DOCKERFILE, SPEECH] {
        assert!(read(file).contains(&format!("ENV RUSTUP_TOOLCHAIN={channel}\n")), "{file}");
    }
    assert!(read(".github/workflows/ci.yml").contains(&format!("container: {rust}\n")));
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
fn every_container_function_runs_its_areas_image() {
    let mut images = BTreeSet::new();
    for (name, resource) in template()["Resources"].as_object().unwrap() {
        let properties = &resource["Properties"];
        if properties["PackageType"] == "Image" {
            let handler = properties["ImageConfig"]["Command"][0].as_str().unwrap();
            let area = handler.split_once('.').unwrap().0;
            let image = format!("{}{}Image", area[..1].to_uppercase(), &area[1..]);
            assert_eq!(properties["ImageUri"]["Ref"], *image, "{name}");
            images.insert(image);
        }
    }
    assert_eq!(images, ["MediaImage".to_owned(), "SpeechImage".to_owned()].into());
}

#[test]
fn the_speech_image_has_the_models_and_says_where() {
    let file = read(SPEECH);
    let (build, last) = file.rsplit_once("\nFROM ").unwrap();
    assert!(build.contains("--package clipwright-places --example models -- /opt/models"));
    assert!(
        last.contains("COPY --from=function /opt/models /opt/models")
            && last.contains("ENV MODELS_DIR=/opt/models")
    );
    for compiler in ["cmake", "g++"] {
        assert!(packages(build).contains(compiler) && !packages(last).contains(compiler), "{compiler}");
    }
}
