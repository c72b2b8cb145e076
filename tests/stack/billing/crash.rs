//! Functions are killed before and after each of their calls of AWS and of Stripe, and whoever comes next brings the payment
//! to its end.

use std::path::Path;

use serde_json::{Value, json};

use super::{GOOD, Person, age_payments, control, fill, seen, stripe, sweep};
use crate::stack::cloud::{answer, http, until};
use crate::stack::{With, fragile};

/// More calls than any of them makes.
const CALLS_MAX: usize = 24;

/// Every place at which a function can be killed.
fn places() -> impl Iterator<Item = String> {
    let calls = (1..=CALLS_MAX).map(|number| format!("call.{number}"));
    ["start".to_owned()].into_iter().chain(calls).chain(["end".to_owned()])
}

/// Has the function `handler` killed at `place`.
fn fault(faults: &Path, handler: &str, place: &str) -> std::path::PathBuf {
    let file = faults.join(format!("{handler}.{place}"));
    std::fs::write(&file, "").unwrap();
    file
}

/// Whether it was killed; takes the fault away if the function makes fewer calls.
fn struck(file: &Path) -> bool {
    let struck = !file.exists();
    let _ = std::fs::remove_file(file);
    struck
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_is_killed_anywhere_charges_once() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let mut person = Person::with_card(cloud, "killed", GOOD).await;
    let (mut paid, mut strikes) = (0, 0);
    for place in places() {
        if paid == 5000 {
            // Ten an hour: somebody else goes on.
            person.settled(paid).await;
            (person, paid) = (Person::with_card(cloud, "killed", GOOD).await, 0);
        }
        let file = fault(&fragile.faults, "billing.reload", &place);
        let body = json!({ "amount": 500 });
        let ask = || http().post(cloud.url("/v1/reload")).bearer_auth(person.key.reveal()).json(&body);
        let _ = ask().header("idempotency-key", &place).send().await;
        strikes += u32::from(struck(&file));
        let (status, told) = person.reload(&body, Some(&place)).await;
        assert_eq!((status, &told["success"]), (200, &json!(true)), "{place}: {told}");
        paid += 500;
        assert_eq!(person.books().await, paid, "{place}");
        let charges = stripe(cloud, &format!("charges?limit=100&customer={}", person.customer().await)).await;
        assert_eq!(charges["data"].as_array().unwrap().len() as i64 * 500, paid, "{place}");
    }
    assert!(strikes >= 12, "only {strikes} places");
    person.settled(paid).await;
}

/// Nobody asks again: the sweeper brings it to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_nobody_asks_for_again_is_found_by_the_sweeper() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let person = Person::with_card(cloud, "swept", GOOD).await;
    control(cloud, "network", &json!({ "drop": true })).await;
    let mut begun = 0;
    for call in 8..=14 {
        let file = fault(&fragile.faults, "billing.reload", &format!("call.{call}"));
        let body = json!({ "amount": 500 });
        let _ =
            http().post(cloud.url("/v1/reload")).bearer_auth(person.key.reveal()).json(&body).send().await;
        let _ = struck(&file);
        begun = cloud.table().payment_page(&person.id, None, 100).await.unwrap().payments.len();
    }
    age_payments(cloud, &person.id, 120_000).await;
    sweep(cloud).await;
    control(cloud, "network", &json!({})).await;
    assert!(begun >= 5, "{begun}");
    person.settled(i64::try_from(begun).unwrap() * 500).await;
    // Of others there may be some on the cloud that tests share.
    let due = cloud.table().due_payments(crate::stack::cloud::now().plus_ms(99_000_000), None).await.unwrap();
    assert!(due.found.iter().all(|payment| payment.account != person.id), "{:?}", due.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_is_killed_anywhere_is_paid_once_or_not_at_all() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let mut person = Person::new(cloud, "deposit-killed").await;
    let (mut paid, mut strikes) = (0, 0);
    for place in places().filter(|place| !place.ends_with(['7', '8', '9'])) {
        let file = fault(&fragile.faults, "billing.deposit", &place);
        let ask = json!({ "amount": 500 });
        let session = person.browser.session.clone().unwrap();
        let request =
            http().post(cloud.url("/v1/deposits")).json(&ask).header("origin", &cloud.info.base_url);
        let _ = request.header("cookie", format!("__Host-session={session}")).send().await;
        if !struck(&file) && place != "end" {
            continue;
        }
        strikes += 1;
        // The person asks again, pays, and comes back to a page that is killed, too.
        let (status, deposit) = person.browser.post("/v1/deposits", &ask).await;
        assert_eq!(status, 200, "{place}: {deposit}");
        let file = fault(&fragile.faults, "billing.paid", &place);
        let (status, back) = fill(deposit["url"].as_str().unwrap(), GOOD).await;
        assert_eq!(status, 303, "{back}");
        let _ = http().get(&back).send().await;
        let _ = struck(&file);
        let (_, text) = seen(&back).await;
        assert!(text.contains("$5.00 was added"), "{place}: {text}");
        paid += 500;
        person.settled(paid).await;
    }
    assert!(strikes >= 8, "only {strikes} places");
    // The pages that nobody was told of are given up.
    age_payments(cloud, &person.id, 2 * 3_600_000).await;
    sweep(cloud).await;
    person.settled(paid).await;
    let (_, listed) = person.get("/v1/payments?limit=100").await;
    let words = listed["payments"].as_array().unwrap().iter().map(|payment| payment["status"].clone());
    assert!(
        words.into_iter().all(|word| word == "paid" || word == "expired" || word == "pending"),
        "{listed}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_killed_anywhere_comes_again() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let mut person = Person::new(cloud, "event-killed").await;
    let (mut paid, mut strikes) = (0, 0);
    for place in places().filter(|place| !place.ends_with(['8', '9'])) {
        let file = fault(&fragile.faults, "billing.webhook", &place);
        let (_, deposit) = person.browser.post("/v1/deposits", &json!({ "amount": 500 })).await;
        let (status, back) = fill(deposit["url"].as_str().unwrap(), GOOD).await;
        assert_eq!(status, 303, "{back}");
        paid += 500;
        person.settled(paid).await;
        strikes += u32::from(struck(&file));
    }
    assert!(strikes >= 6, "only {strikes} places");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_is_killed_anywhere_charges_once() {
    let fragile = fragile(With::FragileRequests).await;
    let cloud = fragile.cloud;
    let mut person = Person::with_card(cloud, "approval-killed", GOOD).await;
    person.set(&json!({ "confirm_by_email": true })).await;
    let (mut paid, mut strikes, mut mails) = (0, 0, 0);
    for place in places() {
        if mails == 10 {
            person.settled(paid).await;
            (person, paid, mails) = (Person::with_card(cloud, "approval-killed", GOOD).await, 0, 0);
            person.set(&json!({ "confirm_by_email": true })).await;
        }
        let (status, told) = person.reload(&json!({ "amount": 500 }), None).await;
        assert_eq!((status, &told["pending"]), (200, &json!(true)), "{told}");
        mails += 1;
        let mail = person.mail("Approve a reload", mails).await;
        let token = mail.split("#token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let file = fault(&fragile.faults, "billing.approve", &place);
        let click = || http().post(cloud.url("/v1/reload/approve")).json(&json!({ "token": token }));
        let _ = click().send().await;
        strikes += u32::from(struck(&file));
        let (status, told): (u16, Value) = answer(click()).await;
        assert_eq!((status, &told["success"]), (200, &json!(true)), "{place}: {told}");
        paid += 500;
        assert_eq!(person.books().await, paid, "{place}");
    }
    assert!(strikes >= 10, "only {strikes} places");
    until("all is heard", || async { person.at_stripe().await == paid }).await;
}
