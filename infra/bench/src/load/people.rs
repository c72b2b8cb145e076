//! People with accounts of their own, who signed up as people do: a mail, its link, a key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde_json::Value as Json;

use super::ask::agent;

/// Somebody with an account.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) account: String,
    pub(crate) keys: Vec<String>,
    jobs: Mutex<Jobs>,
}

/// Ids in the order of their acceptance, and what was last seen of those that have ended.
#[derive(Debug, Default)]
struct Jobs {
    ids: Vec<String>,
    ended: BTreeMap<String, String>,
}

impl Person {
    fn jobs<T>(&self, look: impl FnOnce(&mut Jobs) -> T) -> T {
        look(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn accepted(&self, id: &str) {
        self.jobs(|jobs| jobs.ids.push(id.to_owned()));
    }

    /// One's jobs in turn; `None` as long as there is none.
    pub(crate) fn job(&self, turn: usize) -> Option<String> {
        self.jobs(|jobs| (!jobs.ids.is_empty()).then(|| jobs.ids[turn % jobs.ids.len()].clone()))
    }

    pub(crate) fn seen(&self, id: &str, answer: &Json) {
        let status = answer["status"].as_str().unwrap_or_default();
        if matches!(status, "complete" | "failed" | "cancelled") {
            self.jobs(|jobs| jobs.ended.insert(id.to_owned(), status.to_owned()));
        }
    }

    /// A job that was not yet seen to have ended.
    pub(crate) fn open(&self) -> Option<String> {
        self.jobs(|jobs| jobs.ids.iter().find(|id| !jobs.ended.contains_key(*id)).cloned())
    }

    /// How each of the jobs has ended, by its id.
    pub(crate) fn ended(&self) -> BTreeMap<String, String> {
        self.jobs(|jobs| jobs.ended.clone())
    }

    pub(crate) fn asked_for(&self) -> usize {
        self.jobs(|jobs| jobs.ids.len())
    }
}

/// Signs so many people up.
pub(crate) fn sign_up(base: &str, people: u32, keys: usize) -> anyhow::Result<Vec<Person>> {
    (0..people).map(|number| one(base, number, keys).with_context(|| format!("person {number}"))).collect()
}

fn one(base: &str, number: u32, keys: usize) -> anyhow::Result<Person> {
    let agent = agent();
    let visitor = signup::sign_up(&agent, base, &format!("person-{number}@example.com"))?;
    let keys =
        (0..keys).map(|number| visitor.make_key(&format!("load {number}"))).collect::<anyhow::Result<_>>()?;
    Ok(Person { account: visitor.account, keys, jobs: Mutex::default() })
}
