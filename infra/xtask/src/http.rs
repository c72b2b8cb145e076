//! The few HTTP calls that the commands make.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value as Json;
use ureq::Agent;

/// An agent that hands every status to the caller; `limit` bounds one call.
pub(crate) fn agent(limit: Duration) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_global(Some(limit))
        // Loopback must never go through a proxy from the environment.
        .proxy(None)
        .build()
        .into()
}

/// A JSON call; `key` becomes the bearer token. A problem document becomes its `detail`.
pub(crate) fn call(agent: &Agent, url: &str, key: &str, body: Option<&Json>) -> anyhow::Result<Json> {
    let bearer = format!("Bearer {key}");
    let answer = match body {
        Some(body) => agent.post(url).header("authorization", &bearer).send_json(body),
        None => agent.get(url).header("authorization", &bearer).call(),
    };
    let mut answer = answer.with_context(|| format!("no answer from {url}"))?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string()?;
    let json: Json = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() {
        let detail = ["detail", "title", "message"].into_iter().find_map(|name| json[name].as_str());
        bail!("{} ({status})", detail.unwrap_or("the service refused the request"));
    }
    Ok(json)
}
