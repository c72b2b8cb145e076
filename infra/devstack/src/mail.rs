//! Mail that the stack sends goes nowhere here: ministack's SES keeps it, and `/_local/mail` shows it.

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::http::for_service;

/// The sender, unless the stack parameter `MailFrom` names another. The top-level domain can never exist (RFC 2606).
pub(crate) const SENDER: &str = "Clipwright <no-reply@clipwright.example>";

/// A mail that was sent.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    from: String,
    to: Vec<String>,
    subject: String,
    text: String,
    html: String,
}

/// Makes the sender's domain one that SES sends for, as an operator does on AWS.
pub(crate) async fn allow_sender(client: &reqwest::Client, url: &str, sender: &str) -> anyhow::Result<()> {
    let domain = sender.rsplit_once('@').context("the sender has no domain")?.1.trim_end_matches('>');
    let answer = client
        .post(format!("{url}/v2/email/identities"))
        .header("authorization", for_service("ses"))
        .header("content-type", "application/json")
        .body(json!({ "EmailIdentity": domain }).to_string())
        .send()
        .await?;
    if !answer.status().is_success() {
        bail!("SES does not take the sender {sender}: {}", answer.status());
    }
    Ok(())
}

/// All mail that was sent since the start, oldest first.
pub(crate) async fn sent(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<Sent>> {
    let answer = client.get(format!("{url}/_ministack/ses/messages")).send().await?;
    let kept: Json = serde_json::from_slice(&answer.bytes().await?)?;
    let accounts = kept["messages"].as_object().context("no list of messages")?;
    Ok(accounts.values().filter_map(Json::as_array).flatten().map(shown).collect())
}

fn shown(message: &Json) -> Sent {
    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let to = message["To"].as_array().into_iter().flatten().filter_map(Json::as_str);
    Sent {
        from: text("Source"),
        to: to.map(str::to_owned).collect(),
        subject: text("Subject"),
        text: text("BodyText"),
        html: text("BodyHtml"),
    }
}
