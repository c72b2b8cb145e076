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
use domain::{
    email::EmailAddress, mail::Mail, money::Amount, reload::APPROVAL_LIFETIME_MS,
    sign_in::SIGN_IN_LIFETIME_MS, time::Timestamp,
};
use runtime::{App, AppError, Calls, Metric, StageError, Var};
use store::mail::Mailing;
use tracing::{info, warn};

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

/// Any other mail, as text.
#[derive(Template)]
#[template(path = "notice.txt")]
struct NoticeText<'a> {
    said: &'a str,
    link: Option<&'a str>,
    foot: &'a str,
}

/// And as a page.
#[derive(Template)]
#[template(path = "notice.html")]
struct NoticePage<'a> {
    title: &'a str,
    said: &'a str,
    link: Option<&'a str>,
    button: &'a str,
    foot: &'a str,
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
    let mail: Mail = serde_json::from_str(&message).map_err(|_| passing("the message is no mail"))?;
    if app.now() >= mail.expires_at() {
        warn!("a mail came too late and is not sent");
        return Ok(());
    }
    let address = EmailAddress::parse(mail.to()).map_err(|_| passing("the mail is for no address"))?;
    match app.table()?.mailing(&address, app.config().mails_to_strangers()?, app.now()).await? {
        Mailing::Welcome => {}
        Mailing::Unwanted => {
            warn!("a mail is not wanted and is not sent");
            return Ok(());
        }
        Mailing::TooMany(_) => {
            warn!("too many mails to strangers: one is not sent");
            app.metrics().add(Metric::MailsHeld, 1);
            return Ok(());
        }
    }
    let letter = letter(app.config().get(Var::PublicUrl)?, &mail)?;
    let subject = letter.subject;
    send(&app, mail.to(), letter).await?;
    info!(subject, "sent a mail");
    Ok(())
}

/// What a mail says.
fn letter(public_url: &str, mail: &Mail) -> Result<Letter, StageError> {
    match mail {
        Mail::SignIn { token, code, .. } => sign_in(public_url, token, code),
        Mail::ApproveReload { token, cents, .. } => {
            let (amount, minutes) = (Amount::cents(*cents), APPROVAL_LIFETIME_MS / 60_000);
            notice(
                ("Approve a reload", "Approve"),
                &format!(
                    "A program with one of your API keys wants to charge {amount} to your saved card. Nothing is charged \
                     unless you approve it."
                ),
                // In the fragment, as that of signing in.
                Some(&format!("{}/v1/reload/approve#token={token}", public_url.trim_end_matches('/'))),
                &format!(
                    "The link works once, within {minutes} minutes. If this is none of your programs, delete the key."
                ),
            )
        }
        Mail::FinishPayment { url, cents, .. } => notice(
            ("Confirm a payment", "Pay"),
            &format!(
                "Your bank wants you to confirm the payment of {} yourself, so your card was not charged. You can pay on \
                 this page, where it will ask you.",
                Amount::cents(*cents)
            ),
            Some(url),
            "The page is open for an hour.",
        ),
        Mail::ReloadLocked { until, .. } => notice(
            ("Your reload password was guessed at", ""),
            &format!(
                "Somebody who has one of your API keys has sent five wrong reload passwords within an hour. Nothing was \
                 charged, and no reload is tried until {}.",
                Timestamp::rfc3339(*until)
            ),
            None,
            "If it was not one of your own programs, delete the key.",
        ),
    }
}

fn notice(
    (subject, button): (&'static str, &str),
    said: &str,
    link: Option<&str>,
    foot: &str,
) -> Result<Letter, StageError> {
    let text = NoticeText { said, link, foot }.render();
    let html = NoticePage { title: subject, said, link, button, foot }.render();
    let broken = |_| passing("the template does not render");
    Ok(Letter { subject, text: text.map_err(broken)?, html: html.map_err(broken)? })
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
    fn every_mail_says_how_much_and_where() {
        let expires_at = Timestamp(1_800_000_000_000);
        let to = "ann@example.com".to_owned();
        let approve =
            Mail::ApproveReload { to: to.clone(), token: "abc".to_owned(), cents: 2500, expires_at };
        let finish =
            Mail::FinishPayment { to: to.clone(), url: "https://pay".to_owned(), cents: 2500, expires_at };
        for (mail, link) in
            [(approve, "https://clips.example/v1/reload/approve#token=abc"), (finish, "https://pay")]
        {
            let letter = letter("https://clips.example/", &mail).unwrap();
            for form in [&letter.text, &letter.html] {
                assert!(form.contains(link) && form.contains("$25.00"), "{form}");
            }
        }
        let locked = letter("https://clips.example/", &Mail::ReloadLocked { to, until: expires_at }).unwrap();
        assert!(!locked.text.contains("http") && !locked.html.contains("<a "), "{}", locked.text);
    }

    #[test]
    fn a_page_is_escaped() {
        let letter = sign_in("https://clips.example/\"><script>", "abc", "1").unwrap();
        assert!(!letter.html.contains("<script>"), "{}", letter.html);
    }
}
