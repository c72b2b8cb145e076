//! The log on disk: a line of JSON for each change, so that a change is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::state::{Change, State};

const LOG: &str = "log.jsonl";
const NEXT: &str = "log.next";
const LOCK: &str = "lock";
/// How long an answer is kept under its idempotency key.
pub(crate) const KEPT_SECONDS: i64 = 24 * 3600;

/// The log of one folder, which nobody else writes meanwhile.
#[derive(Debug)]
pub(crate) struct Journal {
    log: File,
    /// Bytes of whole lines.
    length: u64,
    _lock: File,
}

impl Journal {
    /// Reads what the folder has, and writes it anew without what is no longer needed at `now`.
    pub(crate) fn open(folder: &Path, now: i64) -> anyhow::Result<(Self, State)> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = File::create(folder.join(LOCK))?;
        if lock.try_lock().is_err() {
            bail!("another Stripe runs in {}", folder.display());
        }
        let path = folder.join(LOG);
        let mut state = read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let now = now + state.settings.offset;
        state.kept.retain(|_, kept| now - kept.at < KEPT_SECONDS);
        let next = folder.join(NEXT);
        let mut writer = BufWriter::new(File::create(&next)?);
        for change in whole(&state) {
            serde_json::to_writer(&mut writer, &change)?;
            writer.write_all(b"\n")?;
        }
        writer.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        fs::rename(&next, &path)?;
        let log = OpenOptions::new().append(true).open(&path)?;
        let length = log.metadata()?.len();
        Ok((Self { log, length, _lock: lock }, state))
    }

    /// Adds a change. If that fails, the log is as it was.
    pub(crate) fn append(&mut self, change: &Change) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(change)?;
        line.push(b'\n');
        // A killed process loses nothing that was written; a machine without power may, and here that is borne.
        if let Err(error) = self.log.write_all(&line) {
            self.log.set_len(self.length)?;
            return Err(error.into());
        }
        self.length += line.len() as u64;
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<State> {
    let mut state = State::default();
    let Ok(file) = File::open(path) else { return Ok(state) };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        // The last line of a process that was killed while it wrote is not whole: that call never happened.
        let Some(whole) = line.strip_suffix(b"\n") else { break };
        let change = serde_json::from_slice(whole).with_context(|| format!("line {number}"))?;
        state.apply(change);
    }
    Ok(state)
}

/// A state as changes that make it.
fn whole(state: &State) -> impl Iterator<Item = Change> {
    let counter = state.counter;
    let settings = Change { counter, settings: Some(state.settings.clone()), ..Change::default() };
    let records = state.records().map(move |record| Change {
        counter,
        put: [(record.id().to_owned(), record.clone())].into(),
        ..Change::default()
    });
    let kept = state.kept.values().map(move |kept| Change {
        counter,
        kept: Some(kept.clone()),
        ..Change::default()
    });
    let deliveries = state.deliveries.iter().map(move |(seq, delivery)| Change {
        counter,
        deliveries: [(*seq, delivery.clone())].into(),
        ..Change::default()
    });
    std::iter::once(settings).chain(records).chain(kept).chain(deliveries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::state::Record;

    fn put(counter: u64) -> Change {
        let id = format!("cus_{counter}");
        let object = json!({ "id": id, "object": "customer" });
        let record = Record { seq: counter, object, hidden: json!({ "a": 1 }) };
        Change { counter, put: [(id, record)].into(), ..Change::default() }
    }

    #[test]
    fn a_log_cut_anywhere_is_read_up_to_its_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path(), 0).unwrap();
        let empty = fs::read(folder.path().join(LOG)).unwrap();
        journal.append(&put(1)).unwrap();
        journal.append(&put(2)).unwrap();
        drop(journal);
        let log = fs::read(folder.path().join(LOG)).unwrap();
        let first = empty.len() + log[empty.len()..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in empty.len()..=log.len() {
            let other = tempfile::tempdir().unwrap();
            fs::write(other.path().join(LOG), &log[..length]).unwrap();
            let (mut journal, state) = Journal::open(other.path(), 0).unwrap();
            let whole = [first, log.len()].iter().filter(|end| **end <= length).count();
            assert_eq!(state.of_kind("customer").count(), whole, "{length} bytes");
            // It can be written to and read again.
            journal.append(&put(3)).unwrap();
            drop(journal);
            let (_, state) = Journal::open(other.path(), 0).unwrap();
            assert_eq!(state.of_kind("customer").count(), whole + 1);
            assert_eq!(state.get("cus_3").unwrap().hidden["a"], 1);
        }
    }

    #[test]
    fn two_do_not_share_a_folder_and_a_broken_log_is_not_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let first = Journal::open(folder.path(), 0).unwrap();
        assert!(Journal::open(folder.path(), 0).is_err());
        drop(first);
        fs::write(folder.path().join(LOG), "nonsense\n").unwrap();
        assert!(Journal::open(folder.path(), 0).is_err());
    }
}
