//! Mail: sends what the mail queue holds, through SES. A mail that SES refuses comes again, and in the end lies in
//! the dead-letter queue.
//!
//! Two kinds of addresses get none (`store::mail`): those to which mail came back or whose owners complained, and, past a bound,
//! those without an account. Whoever asked is told nothing of it, or he would learn who has an account.
//!
//! A message carries the secrets of its link, because the mail must. So nothing of a message is ever logged, and a
//! link that has expired meanwhile is not sent any more.

use std::sync::Arc;

use askama::Template;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use domain::{email::EmailAddress, sign_in::SIGN_IN_LIFETIME_MS, time::Timestamp};
use runtime::{App, AppError, Calls, Metric, StageError, Var};
use serde::{Deserialize, Serialize};
use store::mail::Mailing;
use tracing::{info, warn};

/// A mail to be sent. No `Debug`: it has secrets in it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "mail", rename_all = "snake_case")]
pub enum Mail {
    /// A link and a code to sign in with.
    SignIn {
        /// The address, in its one form.
        to: String,
        /// The secret of the link.
        token: String,
        /// The eight digits.
        code: String,
        /// From when on both are worth nothing.
        expires_at: Timestamp,
    },
}

/// The mail as text.
#[derive(Template)]
#[template(path = "sign_in.txt")]
struct SignInText<'a> {
    link: &'a str,
    code: &'a str,
    minutes: i64,
}

/// The mail as a page.
#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    link: &'a str,
    code: &'a str,
    minutes: i64,
}

/// What a mail says, in both forms.
struct Letter {
    subject: &'static str,
    text: String,
    html: String,
}

/// Sends one mail.
///
/// # Errors
/// [`StageError::Passing`]: the message comes again.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    // The parser's error would quote the message.
    let mail = serde_json::from_str(&message).map_err(|_| passing("the message is no mail"))?;
    let Mail::SignIn { to, token, code, expires_at } = mail;
    if app.now() >= expires_at {
        warn!("a sign-in mail came too late and is not sent");
        return Ok(());
    }
    let address = EmailAddress::parse(&to).map_err(|_| passing("the mail is for no address"))?;
    match app.table()?.mailing(&address, app.config().mails_to_strangers()?, app.now()).await? {
        Mailing::Welcome => {}
        Mailing::Unwanted => {
            warn!("a sign-in mail is not wanted and is not sent");
            return Ok(());
        }
        Mailing::TooMany(_) => {
            warn!("too many sign-in mails to strangers: one is not sent");
            app.metrics().add(Metric::MailsHeld, 1);
            return Ok(());
        }
    }
    let letter = sign_in(app.config().get(Var::PublicUrl)?, &token, &code)?;
    send(&app, &to, letter).await?;
    info!("sent a sign-in mail");
    Ok(())
}

/// The token stands in the fragment: it reaches the page's script, but no server's log on the way and no `Referer`.
fn sign_in(public_url: &str, token: &str, code: &str) -> Result<Letter, StageError> {
    let link = format!("{}/sign-in#token={token}", public_url.trim_end_matches('/'));
    let minutes = SIGN_IN_LIFETIME_MS / 60_000;
    let text = SignInText { link: &link, code, minutes }.render();
    let html = SignInPage { link: &link, code, minutes }.render();
    let broken = |_| passing("the template does not render");
    // The code is not in the subject, which a locked telephone shows.
    Ok(Letter { subject: "Sign in to Clipwright", text: text.map_err(broken)?, html: html.map_err(broken)? })
}

async fn send(app: &App, to: &str, letter: Letter) -> Result<(), StageError> {
    let content = |text: String| Content::builder().data(text).charset("UTF-8").build();
    let failed = |error: &dyn std::error::Error| StageError::from(AppError::aws("SendEmail", error));
    let body = Body::builder()
        .text(content(letter.text).map_err(|error| failed(&error))?)
        .html(content(letter.html).map_err(|error| failed(&error))?)
        .build();
    let subject = content(letter.subject.to_owned()).map_err(|error| failed(&error))?;
    let message = Message::builder().subject(subject).body(body).build();
    let from = app.config().get(Var::MailFrom)?;
    let set = app.config().get(Var::MailSet)?;
    let calls = Calls::only("ses:SendEmail", &format!("identity/{from}"))
        .and("ses:SendEmail", &format!("configuration-set/{set}"));
    let config = aws_sdk_sesv2::config::Builder::from(app.sdk()).interceptor(calls).build();
    let request = aws_sdk_sesv2::Client::from_conf(config)
        .send_email()
        .from_email_address(from)
        .configuration_set_name(set)
        .destination(Destination::builder().to_addresses(to).build())
        .content(EmailContent::builder().simple(message).build());
    request.send().await.map(drop).map_err(|error| failed(&error))
}

fn passing(problem: &str) -> StageError {
    StageError::Passing(problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_have_link_and_code() {
        let letter = sign_in("https://clips.example/", "abc", "042137").unwrap();
        for form in [&letter.text, &letter.html] {
            assert!(form.contains("https://clips.example/sign-in#token=abc"), "{form}");
            assert!(form.contains("042137") && form.contains("15 minutes"), "{form}");
        }
        assert!(!letter.subject.contains("042137"));
    }

    #[test]
    fn a_page_is_escaped() {
        let letter = sign_in("https://clips.example/\"><script>", "abc", "1").unwrap();
        assert!(!letter.html.contains("<script>"), "{}", letter.html);
    }
}
