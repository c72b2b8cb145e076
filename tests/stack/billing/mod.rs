//! Money in: deposits, cards, reloads, and what goes back. After everything, what Stripe has charged less what went back is
//! what the ledger has credited less what it took back.

mod attack;
mod back;
mod crash;
mod deposit;
mod reload;
mod samples;

use domain::ids::{AccountId, ApiKey};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::time::Timestamp;
use serde_json::{Value, json};
use store::ledger::Immediate;

use crate::stack::Cloud;
use crate::stack::cloud::{answer, http, now, until};
use crate::stack::door::browser::{Browser, address};

/// Stripe's test cards, and what they are for.
pub(crate) const GOOD: &str = "4242424242424242";
pub(crate) const DECLINED: &str = "4000000000000002";
pub(crate) const ASKS_EACH_TIME: &str = "4000002760003184";

/// What everybody has from the start.
const BONUS_CENTS: u64 = 500;

/// Somebody with an account, a browser that is signed in to it, a mailbox and a key.
pub(crate) struct Person {
    cloud: &'static Cloud,
    pub(crate) browser: Browser,
    pub(crate) email: String,
    pub(crate) id: AccountId,
    pub(crate) key: ApiKey,
}

impl Person {
    /// Signs up.
    pub(crate) async fn new(cloud: &'static Cloud, name: &str) -> Self {
        let (mut browser, email) = (Browser::new(cloud), address(name));
        let id = AccountId::parse(&browser.sign_in(cloud, &email).await).unwrap();
        let (_, key) = browser.make_key("billing").await;
        Self { cloud, browser, email, id, key: ApiKey::parse(&key).unwrap() }
    }

    /// One with a saved card, whose keys may reload.
    pub(crate) async fn with_card(cloud: &'static Cloud, name: &str, number: &str) -> Self {
        let mut person = Self::new(cloud, name).await;
        person.save(number).await;
        person.set(&json!({ "enabled": true })).await;
        person
    }

    /// Saves a card on Stripe's page.
    pub(crate) async fn save(&mut self, number: &str) {
        let (status, page) = self.browser.post("/v1/cards", &json!({})).await;
        assert_eq!(status, 200, "{page}");
        let (status, place) = fill(page["url"].as_str().unwrap(), number).await;
        assert_eq!(status, 303, "{place}");
        let (status, text) = seen(&place).await;
        assert!(status == 200 && text.contains("Card saved"), "{text}");
    }

    /// Sets whether and how keys may reload.
    pub(crate) async fn set(&mut self, change: &Value) -> Value {
        let (status, settings) = self.browser.post("/v1/account/reload", change).await;
        assert_eq!(status, 200, "{settings}");
        settings
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        answer(http().get(self.cloud.url(path)).bearer_auth(self.key.reveal())).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answer(http().post(self.cloud.url(path)).bearer_auth(self.key.reveal()).json(body)).await
    }

    /// Asks for a reload, under a name of its own if one is given.
    pub(crate) async fn reload(&self, body: &Value, name: Option<&str>) -> (u16, Value) {
        let request = http().post(self.cloud.url("/v1/reload")).bearer_auth(self.key.reveal()).json(body);
        let request = match name {
            Some(name) => request.header("idempotency-key", name),
            None => request,
        };
        answer(request).await
    }

    /// Spends out of the wallet, so that there is as much as a test wants.
    pub(crate) async fn spend(&self, amount: Amount) {
        let charge = Immediate::Charge(amount);
        let whose = (&self.id, WalletKind::Usd);
        assert!(
            self.cloud.table().transfer(&format!("spent-{}", self.id), whose, charge, now()).await.unwrap()
        );
    }

    /// The text of the latest mail with this subject, once there are `count` of them.
    pub(crate) async fn mail(&self, subject: &str, count: usize) -> String {
        let own = || async {
            let all: Value =
                http().get(self.cloud.url("/_local/mail")).send().await.unwrap().json().await.unwrap();
            let all = all.as_array().unwrap().clone();
            let own =
                all.into_iter().filter(|mail| mail["to"][0] == self.email && mail["subject"] == subject);
            own.map(|mail| mail["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        until(subject, || async { own().await.len() >= count }).await;
        own().await.swap_remove(count - 1)
    }

    /// Stripe's id of this person.
    pub(crate) async fn customer(&self) -> String {
        self.cloud.table().customer(&self.id).await.unwrap().unwrap()
    }

    /// The same money is at Stripe and in the ledger, and the ledger is sound; answers how much of it is left, in cents.
    pub(crate) async fn books(&self) -> i64 {
        let (at_stripe, in_ledger) = (self.at_stripe().await, self.in_ledger().await);
        assert_eq!(at_stripe, in_ledger, "Stripe has {at_stripe} cents, the ledger {in_ledger}");
        in_ledger
    }

    /// Waits until the books agree, for what is on its way.
    pub(crate) async fn settled(&self, cents: i64) {
        until("the books agree", || async {
            self.at_stripe().await == cents && self.in_ledger().await == cents
        })
        .await;
        assert_eq!(self.books().await, cents);
    }

    pub(crate) async fn in_ledger(&self) -> i64 {
        let table = self.cloud.table();
        let wallet = table.wallet(&self.id, WalletKind::Usd).await.unwrap();
        let mut rows = table.entries(&self.id, WalletKind::Usd).await.unwrap();
        rows.retain(|row| row.entry.seq <= wallet.seq);
        let audit = domain::audit::audit(wallet, rows.iter().map(|row| (&row.entry, row.reference.as_str())));
        assert!(audit.is_ok(), "{audit:?}: {rows:#?}");
        let kinds = [EntryKind::Purchase, EntryKind::DepositRefund, EntryKind::Dispute];
        let moved = rows.iter().filter(|row| kinds.contains(&row.entry.kind));
        moved.map(|row| row.entry.available_delta).sum::<i64>() / 10_000
    }

    pub(crate) async fn at_stripe(&self) -> i64 {
        let Some(customer) = self.cloud.table().customer(&self.id).await.unwrap() else { return 0 };
        let (mut sum, number) = (0, |value: &Value| value.as_i64().unwrap_or_default());
        let charges = stripe(self.cloud, &format!("charges?limit=100&customer={customer}")).await;
        for charge in charges["data"].as_array().unwrap() {
            if charge["status"] == "succeeded" {
                sum += number(&charge["amount_captured"]) - number(&charge["amount_refunded"]);
            }
        }
        let disputes = stripe(self.cloud, "disputes?limit=100").await;
        let own = |dispute: &&Value| {
            let all = charges["data"].as_array().unwrap();
            dispute["status"] == "lost" && all.iter().any(|charge| charge["id"] == dispute["charge"])
        };
        sum - disputes["data"]
            .as_array()
            .unwrap()
            .iter()
            .filter(own)
            .map(|it| number(&it["amount"]))
            .sum::<i64>()
    }
}

/// Reads from the local Stripe's own API.
pub(crate) async fn stripe(cloud: &Cloud, path: &str) -> Value {
    let url = format!("{}/v1/{path}", cloud.info.stripe_url);
    let answer = http().get(url).bearer_auth(key(cloud)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

/// Posts a form to the local Stripe's own API, as its owner's dashboard would.
pub(crate) async fn tell_stripe(cloud: &Cloud, path: &str, form: &[(&str, &str)]) -> Value {
    let url = format!("{}/v1/{path}", cloud.info.stripe_url);
    let body: String =
        form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let request = http().post(url).bearer_auth(key(cloud)).body(body);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// Deletes something at the local Stripe, as its owner's dashboard would.
pub(crate) async fn delete_at_stripe(cloud: &Cloud, path: &str) {
    let url = format!("{}/v1/{path}", cloud.info.stripe_url);
    let answer = http().delete(url).bearer_auth(key(cloud)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
}

/// What only the local Stripe has: its clock, its network, its faults.
pub(crate) async fn control(cloud: &Cloud, path: &str, body: &Value) -> Value {
    let url = format!("{}/_local/stripe/{path}", cloud.info.stripe_url);
    let answer = http().post(url).json(body).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// The key of the local Stripe, as the functions have it.
pub(crate) fn key(cloud: &Cloud) -> String {
    format!("sk_test_{}", secret(cloud, "StripeKey"))
}

/// What the local Stripe signs its events with.
pub(crate) fn signing_secret(cloud: &Cloud) -> String {
    format!("whsec_{}", secret(cloud, "StripeWebhook"))
}

fn secret(cloud: &Cloud, name: &str) -> String {
    std::fs::read_to_string(cloud.info.state.join("secrets").join(name)).unwrap()
}

/// Fills in one of Stripe's pages as a person does; answers the status and where it leads.
pub(crate) async fn fill(page: &str, number: &str) -> (u16, String) {
    let shown = http().get(page).send().await.unwrap();
    assert_eq!(shown.status(), 200, "{page}");
    let form = format!("number={number}&expiry=12%2F34&cvc=123&name=Ann&email=ann%40example.com");
    posted(page, form).await
}

/// Posts a form to a page, without following where it leads.
pub(crate) async fn posted(page: &str, form: String) -> (u16, String) {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let request = client.post(page).header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = request.send().await.unwrap();
    let place = answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned());
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, place.unwrap_or(text))
}

/// Looks at a page.
pub(crate) async fn seen(url: &str) -> (u16, String) {
    let answer = http().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Runs the sweeper once.
pub(crate) async fn sweep(cloud: &Cloud) {
    cloud.invoke("BillingSweepFunction", &json!({})).await;
}

/// Moves when a payment is looked after, and when it was begun, into the past.
pub(crate) async fn age_payments(cloud: &Cloud, account: &AccountId, age_ms: i64) {
    use aws_sdk_dynamodb::types::AttributeValue;
    let (client, table) = crate::stack::door::secrets::client(cloud);
    let page = cloud.table().payment_page(account, None, 100).await.unwrap();
    for payment in page.payments {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let aged = client
            .update_item()
            .table_name(&table)
            .key("pk", AttributeValue::S(format!("ACCOUNT#{account}")))
            .key("sk", AttributeValue::S(format!("PAYMENT#{}", payment.id)))
            .update_expression("ADD due_at :age, created_at :age")
            .condition_expression("attribute_exists(due_at)")
            .expression_attribute_values(":age", number(-age_ms));
        // One that has ended is not looked after.
        let _ = aged.send().await;
    }
}

/// A signature of `body`, as Stripe makes it.
pub(crate) fn signature(body: &str, secret: &str, at: Timestamp) -> String {
    use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
    let time = at.epoch_seconds();
    let tag = sign(&Key::new(HMAC_SHA256, secret.as_bytes()), format!("{time}.{body}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={time},v1={digits}")
}
