//! `cargo xtask signup`: what a person does to get an API key, on the local cloud.

use std::time::Duration;

use anyhow::Context as _;

use crate::cloud::Cloud;
use crate::{http, say};

/// No single call takes longer.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Signs `email` up, or in if it has an account, and prints a new key with the balance behind it.
pub(crate) fn run(email: &str) -> anyhow::Result<()> {
    let cloud = Cloud::find_or_start()?;
    let base = cloud.info["base_url"].as_str().context("the local cloud has no address")?.to_owned();
    let agent = http::agent(CALL_MAX);

    say::line(&format!("xtask: reading the mail at {base}/_local/mail"));
    let visitor = signup::sign_up(&agent, &base, email)?;
    let key = visitor.make_key("cargo xtask signup")?;
    let balance = http::call(&agent, &format!("{base}/v1/balance"), &key, None)?;

    let is_new = if visitor.is_new { " (new)" } else { "" };
    let dollars = balance["balance"].as_f64().unwrap_or_default();
    say::answer(&format!(
        "account     {}{is_new}\napi key     {key} (shown this once)\nbalance     ${dollars:.2}",
        visitor.account
    ))
}
