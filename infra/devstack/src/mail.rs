//! Mail that the stack sends goes nowhere here: ministack's SES keeps it, and `/_local/mail` shows it, to programs as a list
//! and to people as a page.

use anyhow::{Context as _, bail};
use askama::Template;
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

/// The mails as a page, newest first. Nothing in it can do anything: it shows what clients have typed.
#[derive(Template)]
#[template(path = "mail.html")]
struct Page<'a> {
    mails: Vec<Shown<'a>>,
}

#[derive(Debug)]
struct Shown<'a> {
    mail: &'a Sent,
    to: String,
    lines: Vec<Vec<Piece<'a>>>,
}

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Link(&'a str),
}

/// A page with these mails, which come oldest first.
pub(crate) fn page(mails: &[Sent]) -> anyhow::Result<String> {
    let shown = mails.iter().rev().map(|mail| Shown {
        mail,
        to: mail.to.join(", "),
        lines: mail.text.lines().map(pieces).collect(),
    });
    Ok(Page { mails: shown.collect() }.render()?)
}

/// A line with what can be followed in it.
fn pieces(mut line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some(at) = ["http://", "https://"].iter().filter_map(|scheme| line.find(scheme)).min() {
        let (before, rest) = line.split_at(at);
        let (link, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        pieces.extend((!before.is_empty()).then_some(Piece::Text(before)));
        pieces.push(Piece::Link(link));
        line = rest;
    }
    pieces.extend((!line.is_empty()).then_some(Piece::Text(line)));
    pieces
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_the_newest_mail_first_with_links_to_follow_and_nothing_that_acts() {
        let mail = |subject: &str, text: &str| Sent {
            from: SENDER.to_owned(),
            to: vec!["a@b.example".to_owned()],
            subject: subject.to_owned(),
            text: text.to_owned(),
            html: "<p>never shown</p>".to_owned(),
        };
        let page =
            page(&[mail("old", "x"), mail("<script>", "Go to\nhttp://a.example/?b=1&c=\"2 now")]).unwrap();
        assert!(page.find("&#60;script&#62;").unwrap() < page.find("old").unwrap(), "{page}");
        assert!(page.contains("<a href=\"http://a.example/?b=1&#38;c=&#34;2\">"), "{page}");
        assert!(!page.contains("<script") && !page.contains("never shown"), "{page}");
        assert!(super::page(&[]).unwrap().contains("No mail"));
    }

    #[test]
    fn links_are_found_in_lines() {
        use Piece::{Link, Text};
        assert_eq!(pieces("a https://b/c d"), [Text("a "), Link("https://b/c"), Text(" d")]);
        assert_eq!(pieces("http://b"), [Link("http://b")]);
        assert_eq!(pieces("no link"), [Text("no link")]);
        assert_eq!(pieces(""), []);
    }
}
