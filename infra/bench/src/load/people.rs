//! People with accounts of their own, who signed up as people do: a mail, its link, a key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use ureq::Agent;

use super::ask::agent;

/// A mail is here within a second or two.
const MAIL_MAX: Duration = Duration::from_secs(60);

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
    let before = mails(&agent, base)?.len();
    let email = json!({ "email": format!("person-{number}@example.com") });
    post(&agent, base, "/v1/auth/signup", None, &email)?;
    let token = link_token(&agent, base, before)?;
    let (verified, cookie) = post(&agent, base, "/v1/auth/verify", None, &json!({ "token": token }))?;
    let cookie = cookie.context("signed in without a session")?;
    let make = |number: usize| {
        let name = json!({ "name": format!("load {number}") });
        let (made, _) = post(&agent, base, "/v1/keys", Some(&cookie), &name)?;
        made["key"].as_str().map(str::to_owned).context("a key without a key")
    };
    let keys = (0..keys).map(make).collect::<anyhow::Result<_>>()?;
    let account = verified["account_id"].as_str().context("an account without an id")?.to_owned();
    Ok(Person { account, keys, jobs: Mutex::default() })
}

fn mails(agent: &Agent, base: &str) -> anyhow::Result<Vec<Json>> {
    let mut answer = agent.get(format!("{base}/_local/mail")).call()?;
    Ok(answer.body_mut().read_json()?)
}

/// The token of the link in the first mail after the `before` that were there.
fn link_token(agent: &Agent, base: &str, before: usize) -> anyhow::Result<String> {
    let begun = Instant::now();
    while begun.elapsed() < MAIL_MAX {
        if let Some(mail) = mails(agent, base)?.get(before) {
            let rest = mail["text"].as_str().and_then(|text| text.split_once("#token="));
            let token = rest.and_then(|(_, rest)| rest.split_whitespace().next());
            return token.map(str::to_owned).context("the mail has no link");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("no mail came within {} s", MAIL_MAX.as_secs())
}

/// A call as the product's own pages make it; answers with the session's cookie, if it is set.
fn post(
    agent: &Agent,
    base: &str,
    path: &str,
    cookie: Option<&str>,
    body: &Json,
) -> anyhow::Result<(Json, Option<String>)> {
    let mut request = agent.post(format!("{base}{path}")).header("origin", base);
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    let mut answer = request.send_json(body).with_context(|| format!("no answer from {path}"))?;
    let set = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
    let set = set.and_then(|value| value.split(';').next()).map(str::to_owned);
    let status = answer.status();
    let json: Json = answer.body_mut().read_json().unwrap_or_default();
    if !status.is_success() {
        bail!("{path}: {status} {json}");
    }
    Ok((json, set))
}
