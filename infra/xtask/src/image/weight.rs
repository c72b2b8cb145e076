//! What a root file system weighs, and what in it does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// How many of the largest parts are named.
const NAMED: usize = 8;

/// Sizes in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) bytes: u64,
    /// The largest parts, largest first: files from a megabyte on, and folders for what else is in them.
    parts: Vec<(String, u64)>,
}

/// Weighs everything below `root`.
pub(crate) fn of(root: &Path) -> std::io::Result<Weight> {
    let mut parts = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let (path, facts) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if facts.is_dir() {
                open.push(path);
            } else if facts.is_file() {
                *parts.entry(part(path.strip_prefix(root).unwrap_or(&path), facts.len())).or_insert(0) +=
                    facts.len();
            }
        }
    }
    let mut parts: Vec<(String, u64)> = parts.into_iter().collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let bytes = parts.iter().map(|(_, bytes)| bytes).sum();
    parts.truncate(NAMED);
    Ok(Weight { bytes, parts })
}

/// What a file counts as: itself if it is large, else the first three folders that it is in.
fn part(path: &Path, bytes: u64) -> String {
    const LARGE: u64 = 5_000_000;
    if bytes >= LARGE {
        return format!("/{}", path.display());
    }
    let folders = path.parent().into_iter().flat_map(Path::iter).take(3);
    format!("/{}/", folders.collect::<std::path::PathBuf>().display())
}

impl fmt::Display for Weight {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
        writeln!(to, "the image       {}", mb(self.bytes))?;
        for (name, bytes) in &self.parts {
            writeln!(to, "  {:>10}    {name}", mb(*bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_count_alone_and_small_ones_by_their_folder() {
        assert_eq!(part(Path::new("opt/yt-dlp/bin/deno"), 100_000_000), "/opt/yt-dlp/bin/deno");
        assert_eq!(part(Path::new("usr/lib/python3.11/json/decoder.py"), 12_000), "/usr/lib/python3.11/");
        assert_eq!(part(Path::new("etc/hosts"), 9), "/etc/");
    }
}
