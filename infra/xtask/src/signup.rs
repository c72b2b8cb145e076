//! `cargo xtask signup`: what a person does to get an API key, on the local cloud.

use std::time::Duration;

use anyhow::Context as _;
use lexopt::prelude::*;

use crate::cloud::Cloud;
use crate::{http, say};

/// No single call takes longer.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Signs the address of the command line up, or in if it has an account, and prints a new key with the balance behind it.
pub(crate) fn run(arguments: &mut lexopt::Parser) -> anyhow::Result<()> {
    let (mut email, mut base_url) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("base-url") => base_url = Some(arguments.value()?.string()?),
            Value(value) if email.is_none() => email = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let email = &email.context("which address? Give an e-mail address")?;
    let cloud = match &base_url {
        Some(base_url) => {
            let base_url = base_url.trim_end_matches('/');
            Cloud::at(base_url).with_context(|| format!("there is no local cloud at {base_url}"))?
        }
        None => Cloud::find_or_start()?,
    };
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
