//! Mail that came back: SES tells EventBridge of each mail of ours that bounced, or that its reader called unwanted. Its address
//! gets no mail for a while.
//!
//! Only a bounce for good counts: a mailbox that is full today is not gone. The events' form:
//! <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>

use std::sync::Arc;

use domain::{email::EmailAddress, sign_in::Unwanted};
use runtime::{App, Metric, StageError};
use serde::Deserialize;
use tracing::info;

/// What EventBridge passes on.
#[derive(Deserialize)]
struct Event {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default)]
    bounce: Option<Bounce>,
    #[serde(default)]
    complaint: Option<Complaint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    #[serde(default)]
    bounced_recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    #[serde(default)]
    complained_recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    email_address: String,
}

/// Remembers whom an event is about. A repeat changes nothing.
///
/// # Errors
/// [`StageError::Passing`]: the message comes again.
pub async fn handle(app: Arc<App>, message: String) -> Result<(), StageError> {
    // The parser's error would quote an address.
    let event: Event = serde_json::from_str(&message)
        .map_err(|_| StageError::Passing("the message is no event of SES".to_owned()))?;
    for (address, why) in unwanted(&event.detail) {
        app.table()?.do_not_mail(&address, why, app.now()).await?;
        app.metrics().add(Metric::MailsReturned, 1);
        info!(?why, "an address gets no mail for a while");
    }
    Ok(())
}

fn unwanted(detail: &Detail) -> Vec<(EmailAddress, Unwanted)> {
    let bounced = detail.bounce.iter().filter(|bounce| bounce.bounce_type == "Permanent");
    let bounced = bounced.flat_map(|bounce| &bounce.bounced_recipients).map(|to| (to, Unwanted::Bounced));
    let complained = detail.complaint.iter().flat_map(|complaint| &complaint.complained_recipients);
    let all = bounced.chain(complained.map(|to| (to, Unwanted::Complained)));
    // Servers write addresses with a name around them, too.
    let bare = |text: &str| text.rsplit('<').next().unwrap_or_default().trim_end_matches('>').to_owned();
    all.filter_map(|(to, why)| Some((EmailAddress::parse(&bare(&to.email_address)).ok()?, why))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_for_good_counts() {
        let told = |detail: &str| {
            let event: Event =
                serde_json::from_str(&format!(r#"{{"source":"aws.ses","detail":{detail}}}"#)).unwrap();
            let all = unwanted(&event.detail).into_iter();
            all.map(|(address, why)| (address.as_str().to_owned(), why)).collect::<Vec<_>>()
        };
        let bounce = |kind: &str| {
            told(&format!(
                r#"{{"eventType":"Bounce","bounce":{{"bounceType":"{kind}","bouncedRecipients":[{{"emailAddress":"Ann <Ann@Example.com>","status":"5.1.1"}},{{"emailAddress":"nonsense"}}]}},"mail":{{}}}}"#
            ))
        };
        assert_eq!(bounce("Permanent"), [("ann@example.com".to_owned(), Unwanted::Bounced)]);
        assert!(bounce("Transient").is_empty() && bounce("Undetermined").is_empty());
        let complaint = r#"{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"bob@example.com"}]}}"#;
        assert_eq!(told(complaint), [("bob@example.com".to_owned(), Unwanted::Complained)]);
        assert!(told(r#"{"eventType":"Delivery"}"#).is_empty());
    }
}
