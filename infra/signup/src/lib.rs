//! What a person does to get an API key, on the local cloud: sign up, read the mail, open its link, make a key.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use ureq::Agent;

/// A mail is here within a second or two.
const MAIL_MAX: Duration = Duration::from_secs(60);

/// A browser that is signed in.
#[derive(Debug)]
pub struct Visitor<'a> {
    agent: &'a Agent,
    base: &'a str,
    cookie: String,
    /// The account's id.
    pub account: String,
    /// Whether the account was made just now.
    pub is_new: bool,
}

/// Signs `email` up at the local cloud at `base`, or in if it has an account. `agent` must hand every status to its caller.
/// One at a time: it waits for the next mail, whoever it is for.
///
/// # Errors
/// When no mail comes, or the service refuses; the message is for people.
pub fn sign_up<'a>(agent: &'a Agent, base: &'a str, email: &str) -> anyhow::Result<Visitor<'a>> {
    let before = mails(agent, base)?.len();
    post(agent, base, ("/v1/auth/signup", None), &json!({ "email": email }))?;
    let token = link_token(agent, base, before)?;
    let (verified, cookie) = post(agent, base, ("/v1/auth/verify", None), &json!({ "token": token }))?;
    Ok(Visitor {
        agent,
        base,
        cookie: cookie.context("signed in without a session")?,
        account: verified["account_id"].as_str().context("an account without an id")?.to_owned(),
        is_new: verified["is_new"] == true,
    })
}

impl Visitor<'_> {
    /// Makes an API key.
    ///
    /// # Errors
    /// When the service refuses.
    pub fn make_key(&self, name: &str) -> anyhow::Result<String> {
        let way = ("/v1/keys", Some(self.cookie.as_str()));
        let (made, _) = post(self.agent, self.base, way, &json!({ "name": name }))?;
        made["key"].as_str().map(str::to_owned).context("a key without a key")
    }
}

fn mails(agent: &Agent, base: &str) -> anyhow::Result<Vec<Json>> {
    let mut answer = agent.get(format!("{base}/_local/mail")).call().context("cannot read the local mail")?;
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
    bail!("no mail came within {} s; the log of MailFunction tells why", MAIL_MAX.as_secs())
}

/// A call as the product's own pages make it, to a path with the session's cookie; returns the cookie, if it is set.
fn post(
    agent: &Agent,
    base: &str,
    (path, cookie): (&str, Option<&str>),
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
        bail!("{} ({status})", json["detail"].as_str().unwrap_or("the service refused the request"));
    }
    Ok((json, set))
}
