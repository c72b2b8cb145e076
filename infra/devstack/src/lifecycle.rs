//! The buckets' lifecycle rules, which S3 runs and s3s-fs does not know.
//!
//! As S3 does it: the time of an object is up so many whole days after it was last written, rounded up to the next midnight
//! in UTC (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html>), and that of an upload in
//! parts so many after it was begun. A rule that asks for something else is refused at the start.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::bend::Bucket;

const DAY_MS: u64 = 24 * 3_600_000;
/// How often the rules are run. S3 does it once a day, some time behind midnight.
pub(crate) const EVERY: Duration = Duration::from_secs(3600);

/// `LifecycleConfiguration`, as far as there is any of it here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Configuration {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Rule {
    #[serde(rename = "Id", default)]
    _id: String,
    status: Status,
    /// Whose keys begin like this.
    #[serde(default)]
    prefix: String,
    expiration_in_days: Option<u64>,
    abort_incomplete_multipart_upload: Option<Abort>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
enum Status {
    Enabled,
    Disabled,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Abort {
    days_after_initiation: u64,
}

/// What a run of the rules took away.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expired {
    /// Objects, as `bucket/key`, in order.
    pub objects: Vec<String>,
    /// Uploads in parts that were never put together, by their ids, in order.
    pub uploads: Vec<String>,
}

/// The rules of all buckets.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    /// s3s-fs's folder: the buckets are its folders, uploads in parts lie beside them.
    root: PathBuf,
    rules: Vec<(String, Rule)>,
}

impl Lifecycle {
    /// Reads the rules of `buckets`, whose folders are in `root`.
    pub(crate) fn new(root: &Path, buckets: &[Bucket]) -> anyhow::Result<Self> {
        let mut rules = Vec::new();
        for Bucket { logical_id, name, lifecycle } in buckets {
            let read = read(lifecycle).with_context(|| format!("the lifecycle rules of {logical_id}"))?;
            rules.extend(read.into_iter().map(|rule| (name.clone(), rule)));
        }
        Ok(Self { root: root.to_owned(), rules })
    }

    /// Takes away whatever is past its time at `now`.
    pub(crate) fn run(&self, now: SystemTime) -> std::io::Result<Expired> {
        let now_ms = since_epoch_ms(now);
        let mut expired = Expired::default();
        for (bucket, rule) in &self.rules {
            if let Some(days) = rule.expiration_in_days {
                let folder = self.root.join(bucket);
                for (key, path) in files(&folder)?.filter(|(key, _)| key.starts_with(&rule.prefix)) {
                    if is_past(&path, days, now_ms)? && remove(&path)? {
                        expired.objects.push(format!("{bucket}/{key}"));
                    }
                }
            }
            if let Some(Abort { days_after_initiation: days }) = rule.abort_incomplete_multipart_upload {
                for (id, path) in uploads(&self.root)? {
                    if is_past(&path, days, now_ms)? && remove(&path)? {
                        self.give_up(&id)?;
                        expired.uploads.push(id);
                    }
                }
            }
        }
        expired.objects.sort();
        expired.uploads.sort();
        Ok(expired)
    }

    /// Deletes all that s3s-fs (and [`crate::strict`]) kept of an upload.
    fn give_up(&self, id: &str) -> std::io::Result<()> {
        let (parts, about) = (format!(".upload_id-{id}."), format!(".upload-{id}.metadata.json"));
        for (name, path) in beside(&self.root)? {
            if name.starts_with(&parts) || name.ends_with(&about) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

/// The rules of one bucket that are switched on.
fn read(lifecycle: &Json) -> anyhow::Result<Vec<Rule>> {
    if lifecycle.is_null() {
        return Ok(Vec::new());
    }
    let Configuration { mut rules } = serde_json::from_value(lifecycle.clone())?;
    rules.retain(|rule| rule.status == Status::Enabled);
    let has_prefix =
        |rule: &Rule| rule.abort_incomplete_multipart_upload.is_some() && !rule.prefix.is_empty();
    anyhow::ensure!(!rules.iter().any(has_prefix), "s3s-fs does not tell the key of an upload in parts");
    Ok(rules)
}

/// When what was written at `written_ms` is past its time.
const fn due_ms(written_ms: u64, days: u64) -> u64 {
    written_ms.saturating_add(days * DAY_MS).div_ceil(DAY_MS) * DAY_MS
}

/// Whether a file is past its time; one that has gone meanwhile is not.
fn is_past(path: &Path, days: u64, now_ms: u64) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(about) => Ok(due_ms(since_epoch_ms(about.modified()?), days) <= now_ms),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes a file; `false` if somebody else has.
fn remove(path: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// All files below `folder`, with their paths below it.
fn files(folder: &Path) -> std::io::Result<impl Iterator<Item = (String, PathBuf)>> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    let folder = folder.to_owned();
    let key = move |path: &PathBuf| Some(path.strip_prefix(&folder).ok()?.to_str()?.to_owned());
    Ok(found.into_iter().filter_map(move |path| Some((key(&path)?, path))))
}

/// The uploads that have begun and not ended, with the file that was written when they did.
fn uploads(root: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let id = |name: &str| name.strip_prefix(".upload-")?.strip_suffix(".json").map(str::to_owned);
    Ok(beside(root)?.into_iter().filter_map(|(name, path)| Some((id(&name)?, path))).collect())
}

/// What s3s-fs keeps beside the buckets.
fn beside(root: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let named = |entry: std::fs::DirEntry| Some((entry.file_name().to_str()?.to_owned(), entry.path()));
    let entries: Vec<_> = std::fs::read_dir(root)?.collect::<Result<_, _>>()?;
    Ok(entries.into_iter().filter_map(named).collect())
}

fn since_epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_are_whole_and_end_at_midnight() {
        let hour = 3_600_000;
        assert_eq!(due_ms(0, 1), DAY_MS, "at midnight to the millisecond it is exactly a day");
        assert_eq!(due_ms(1, 1), 2 * DAY_MS);
        assert_eq!(due_ms(23 * hour, 1), 2 * DAY_MS);
        assert_eq!(
            due_ms(10 * hour, 3),
            4 * DAY_MS,
            "S3's own example: the 15th, 10:30, and 3 days: the 19th"
        );
    }

    #[test]
    fn a_rule_that_is_not_run_here_is_refused() {
        let rules = |rule: Json| read(&json!({ "Rules": [rule] }));
        let rule = json!({ "Id": "work", "Status": "Enabled", "Prefix": "work/", "ExpirationInDays": 1 });
        assert_eq!(rules(rule).unwrap().len(), 1);
        assert!(rules(json!({ "Status": "Disabled", "ExpirationInDays": 1 })).unwrap().is_empty());
        assert!(read(&Json::Null).unwrap().is_empty());
        assert!(rules(json!({ "Status": "Enabled", "Transitions": [] })).is_err());
        let upload = json!({ "DaysAfterInitiation": 1 });
        let of_some =
            json!({ "Status": "Enabled", "Prefix": "a/", "AbortIncompleteMultipartUpload": upload });
        assert!(rules(of_some).is_err());
    }
}
