//! One folder outside every checkout for what is downloaded or built once per machine and version.
//!
//! An entry is called by the hash of all it is made from, so a changed list gets a new entry and checkouts with different
//! lists do not fight. It is made where it stays (a Python environment holds its own path), under a lock, and its mark is
//! written last: what was interrupted half-way has no mark, is never used, and is made anew.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::system;

/// An entry that nobody has used for so long is removed when another one of its name is made.
const UNUSED_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes of the hash in an entry's name: enough to tell a name's few entries apart.
const HASH_BYTES: usize = 8;
/// Written last into an entry; its time is the last use.
const MARK: &str = "complete";

/// The cache: `CLIPWRIGHT_CACHE`, else `clipwright` below `XDG_CACHE_HOME`, else below `~/.cache`.
pub fn folder() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name);
    let chosen = choose(variable("CLIPWRIGHT_CACHE"), variable("XDG_CACHE_HOME"), variable("HOME"))?;
    // Programs are started in other folders than ours.
    Ok(std::path::absolute(chosen)?)
}

fn choose(own: Option<OsString>, xdg: Option<OsString>, home: Option<OsString>) -> anyhow::Result<PathBuf> {
    let given = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(own) = given(own) {
        return Ok(own);
    }
    // The specification says that a relative path is to be ignored.
    if let Some(xdg) = given(xdg).filter(|path| path.is_absolute()) {
        return Ok(xdg.join("clipwright"));
    }
    match given(home) {
        Some(home) => Ok(home.join(".cache/clipwright")),
        None => bail!("nowhere to keep what is downloaded: set HOME or CLIPWRIGHT_CACHE"),
    }
}

/// Something that is made once, and all that it is made from.
#[derive(Debug, Clone)]
pub struct Entry {
    cache: PathBuf,
    name: &'static str,
    made_from: Sha256,
}

impl Entry {
    /// An entry of this name in the machine's cache, made from nothing yet.
    pub fn new(name: &'static str) -> anyhow::Result<Self> {
        Ok(Self::within(folder()?, name))
    }

    /// An entry in another cache.
    #[must_use]
    pub fn within(cache: PathBuf, name: &'static str) -> Self {
        Self { cache, name, made_from: Sha256::new() }
    }

    /// It is made from this text: a version, an option, the name of a machine.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.add(text.as_bytes());
        self
    }

    /// It is made from what this file says, wherever the file lies.
    pub fn file(mut self, file: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        self.add(&bytes);
        Ok(self)
    }

    fn add(&mut self, bytes: &[u8]) {
        // With its length, or "a" and "bc" would be "ab" and "c".
        self.made_from.update((bytes.len() as u64).to_le_bytes());
        self.made_from.update(bytes);
    }

    /// Where it lies, or would lie.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let digest = self.made_from.clone().finalize();
        let hash: String = digest.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
        self.cache.join(format!("{}-{hash}", self.name))
    }

    /// Its folder, if it is there as a whole.
    #[must_use]
    pub fn found(&self) -> Option<PathBuf> {
        let folder = self.folder();
        used(&folder).then_some(folder)
    }

    /// Its folder; `make` makes it there if it is not there yet. The folder does not exist when `make` is called.
    pub fn get(&self, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<PathBuf> {
        if let Some(folder) = self.found() {
            return Ok(folder);
        }
        let folder = self.folder();
        std::fs::create_dir_all(&self.cache)
            .with_context(|| format!("cannot make the cache {}", self.cache.display()))?;
        let _lock = self.lock()?;
        // Somebody else may have made it while we waited.
        if used(&folder) {
            return Ok(folder);
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        make(&folder)?;
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(MARK), "")?;
        self.remove_unused();
        Ok(folder)
    }

    /// One lock for all entries of a name: who makes one may remove old ones.
    fn lock(&self) -> anyhow::Result<File> {
        let path = self.cache.join(format!("{}.lock", self.name));
        let lock = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                system::say(&format!("waiting for another program that makes {}", self.name));
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(lock)
    }

    /// Tidying up: what cannot be removed stays.
    fn remove_unused(&self) {
        let Ok(entries) = std::fs::read_dir(&self.cache) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let hash = name.to_str().and_then(|name| name.strip_prefix(self.name)?.strip_prefix('-'));
            let ours = hash.is_some_and(|hash| {
                hash.len() == 2 * HASH_BYTES && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            let mark = entry.path().join(MARK).metadata().and_then(|mark| mark.modified());
            let old = mark.is_ok_and(|used| used.elapsed().is_ok_and(|unused| unused > UNUSED_MAX));
            if ours && old {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Whether an entry is complete; if so it has been used now.
fn used(folder: &Path) -> bool {
    let Ok(mark) = File::options().append(true).open(folder.join(MARK)) else {
        // A cache that may be read but not written serves as well.
        return folder.join(MARK).is_file();
    };
    let _ = mark.set_modified(SystemTime::now());
    true
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_folder_is_the_first_that_is_named() {
        let choose = |own: &str, xdg: &str, home: &str| {
            let [own, xdg, home] = [own, xdg, home].map(|value| Some(OsString::from(value)));
            choose(own, xdg, home).ok()
        };
        assert_eq!(choose("/own", "/xdg", "/home"), Some("/own".into()));
        assert_eq!(choose("", "/xdg", "/home"), Some("/xdg/clipwright".into()));
        assert_eq!(choose("", "relative", "/home"), Some("/home/.cache/clipwright".into()));
        assert_eq!(choose("", "", ""), None);
    }

    #[test]
    fn the_name_tells_what_it_is_made_from() {
        let name = |texts: &[&str]| {
            let entry = Entry::within(PathBuf::new(), "x");
            texts.iter().fold(entry, |entry, text| entry.text(text)).folder()
        };
        assert_eq!(name(&["a", "bc"]), name(&["a", "bc"]));
        assert_ne!(name(&["a", "bc"]), name(&["ab", "c"]));
        assert_ne!(name(&["a"]), name(&["a", ""]));
    }

    #[test]
    fn it_is_made_once_and_a_half_made_one_is_never_used() {
        let cache = tempfile::tempdir().unwrap();
        // The folder of the cache itself need not be there.
        let entry = Entry::within(cache.path().join("deep/below"), "x").text("1");
        let failed = entry.get(|folder| {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("half"), "")?;
            bail!("interrupted")
        });
        assert_eq!(failed.unwrap_err().to_string(), "interrupted");
        assert_eq!(entry.found(), None);
        let folder = entry
            .get(|folder| {
                assert!(!folder.exists(), "the half-made one is gone");
                std::fs::create_dir(folder)?;
                Ok(std::fs::write(folder.join("whole"), "")?)
            })
            .unwrap();
        assert!(folder.join("whole").is_file());
        assert_eq!(entry.get(|_| bail!("made twice")).unwrap(), folder);
        assert_eq!(entry.found(), Some(folder));
    }

    #[test]
    fn of_many_at_once_one_makes_it_and_all_get_it() {
        let cache = tempfile::tempdir().unwrap();
        let (made, begun) = (AtomicUsize::new(0), std::sync::Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    // Each opens the lock anew, as another program would.
                    let entry = Entry::within(cache.path().to_owned(), "x");
                    begun.wait();
                    let folder = entry.get(|folder| {
                        made.fetch_add(1, Ordering::SeqCst);
                        std::fs::create_dir(folder)?;
                        for number in 0..100 {
                            std::fs::write(folder.join(number.to_string()), "")?;
                        }
                        Ok(())
                    });
                    assert_eq!(std::fs::read_dir(folder.unwrap()).unwrap().count(), 101);
                });
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_nobody_has_used_for_long_goes_when_its_successor_comes() {
        let cache = tempfile::tempdir().unwrap();
        let make = |name: &'static str, version: &str| {
            Entry::within(cache.path().to_owned(), name).text(version).get(|_| Ok(())).unwrap()
        };
        let (old, recent, other) = (make("x", "1"), make("x", "2"), make("x-y", "1"));
        let long_ago = SystemTime::now() - UNUSED_MAX - Duration::from_secs(60);
        for folder in [&old, &other] {
            File::options().append(true).open(folder.join(MARK)).unwrap().set_modified(long_ago).unwrap();
        }
        let new = make("x", "3");
        assert_eq!([old, recent, other, new].map(|folder| folder.exists()), [false, true, true, true]);
    }
}
