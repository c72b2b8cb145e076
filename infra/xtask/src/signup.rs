//! `cargo xtask signup`: what a person does to get an API key, on the local cloud: sign up, read the mail, open its
//! link, make a key.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value as Json, json};
use ureq::Agent;

use crate::cloud::Cloud;
use crate::{http, say};

/// A mail is here within a second or two.
const MAIL_MAX: Duration = Duration::from_secs(30);
/// No single call takes longer.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Signs `email` up, or in if it has an account, and prints a new key with the balance behind it.
pub(crate) fn run(email: &str) -> anyhow::Result<()> {
    let cloud = Cloud::find_or_start()?;
    let base = cloud.info["base_url"].as_str().context("the local cloud has no address")?.to_owned();
    let agent = http::agent(CALL_MAX);

    let before = mails(&agent, &base)?.len();
    post(&agent, &base, "/v1/auth/signup", None, &json!({ "email": email }))?;
    say::line(&format!("xtask: reading the mail at {base}/_local/mail"));
    let token = link_token(&agent, &base, before)?;
    let (verified, cookie) = post(&agent, &base, "/v1/auth/verify", None, &json!({ "token": token }))?;
    let cookie = cookie.context("signed in without a session")?;
    let name = json!({ "name": "cargo xtask signup" });
    let (made, _) = post(&agent, &base, "/v1/keys", Some(&cookie), &name)?;
    let key = made["key"].as_str().context("a key without a key")?;
    let balance = http::call(&agent, &format!("{base}/v1/balance"), key, None)?;

    let account = verified["account_id"].as_str().unwrap_or_default();
    let is_new = if verified["is_new"] == true { " (new)" } else { "" };
    let dollars = balance["balance"].as_f64().unwrap_or_default();
    say::answer(&format!(
        "account     {account}{is_new}\napi key     {key} (shown this once)\nbalance     ${dollars:.2}"
    ))
}

/// The token of the link in the first mail after the `before` that were there.
fn link_token(agent: &Agent, base: &str, before: usize) -> anyhow::Result<String> {
    let deadline = Instant::now() + MAIL_MAX;
    while Instant::now() < deadline {
        if let Some(mail) = mails(agent, base)?.get(before) {
            let text = mail["text"].as_str().unwrap_or_default();
            let rest = text.split_once("#token=").context("the mail has no link")?.1;
            return Ok(rest.split_whitespace().next().unwrap_or_default().to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("no mail came within {} s; the log of MailFunction tells why", MAIL_MAX.as_secs())
}

fn mails(agent: &Agent, base: &str) -> anyhow::Result<Vec<Json>> {
    let mut answer = agent.get(format!("{base}/_local/mail")).call().context("cannot read the local mail")?;
    Ok(answer.body_mut().read_json()?)
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
        bail!("{} ({status})", json["detail"].as_str().unwrap_or("the service refused the request"));
    }
    Ok((json, set))
}
