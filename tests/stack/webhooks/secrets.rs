//! No secret of a webhook is stored or logged, nor the one that they are made from; and they outlive a restart, for which
//! `stack::local` calls this.

use domain::money::Amount;
use serde_json::json;

use super::receiver::Receiver;
use super::verify::accepts;
use super::{Hook, act, hook, is, latest};
use crate::stack::cloud::until;
use crate::stack::door::secrets::{has, logs, whole_table};
use crate::stack::{Account, Cloud};

/// A webhook whose secrets are known, before its cloud is started again.
pub(crate) struct Known {
    account: Account,
    receiver: Receiver,
    hook: Hook,
    second: String,
}

/// Makes a webhook and searches the table and the logs for its secrets.
pub(crate) async fn none_is_stored_or_logged(cloud: &Cloud) -> Known {
    let receiver = Receiver::willing().await;
    let account = cloud.account(Amount::ZERO).await;
    let made = hook(&account, &receiver.url("/?token=in-the-address"), &[]).await;
    let text = |answer: serde_json::Value| answer["secret"].as_str().unwrap().to_owned();
    let second = text(act(&account, &made.id, "rotate").await.1);
    let jobs = text(act(&account, "jobs", "rotate").await.1);
    act(&account, &made.id, "test").await;
    latest(&account, &made.id, is("delivered")).await;
    // The functions write their last lines behind their answers.
    let told = |word: &str| logs(cloud).iter().any(|(_, text)| text.contains(word));
    until("the attempt is logged", || async { told("attempted") }).await;

    let root = std::fs::read_to_string(cloud.info.state.join("secrets/WebhooksSecret")).unwrap();
    let (items, logs) = (whole_table(cloud).await, logs(cloud));
    assert!(items.iter().any(|item| item.contains(&made.id)), "the scan sees the webhook at all");
    let logged = |word: &str| logs.iter().any(|(_, text)| text.contains(word));
    assert!(logged("made a webhook") && logged("made another secret") && logged("attempted"));
    for secret in [&made.secret, &second, &jobs, &root] {
        let bare = secret.trim_start_matches("whsec_");
        assert!(bare.len() >= 44);
        for item in &items {
            assert!(!has(item, bare), "stored: {item}");
        }
        for (name, text) in &logs {
            assert!(!has(text, bare), "logged in {name}");
        }
    }
    for (name, text) in logs.iter().filter(|(name, _)| !name.ends_with("ministack.log")) {
        assert!(!text.contains("in-the-address"), "an address may be a secret, too: {name}");
    }
    Known { account, receiver, hook: made, second }
}

/// Both secrets still sign on the cloud that was started again.
pub(crate) async fn none_has_changed(cloud: &Cloud, known: Known) {
    let Known { account, receiver, hook: made, second } = known;
    let account = account.moved_to(cloud);
    let (status, sent) = act(&account, &made.id, "test").await;
    assert_eq!((status, &sent["event"]), (200, &json!("webhook.test")));
    let hit = receiver.heard(2).await.remove(1);
    assert!(accepts(&second, &hit).await && accepts(&made.secret, &hit).await);
}
