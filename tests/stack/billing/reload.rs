//! Reloads by API: what stands before them, what they answer, and how cards refuse.

use serde_json::{Value, json};

use super::{ASKS_EACH_TIME, GOOD, Person, control, fill, posted, seen};
use crate::stack::cloud;
use crate::stack::cloud::{answer, http};

const AMOUNT: u64 = 2500;

fn ask() -> Value {
    json!({ "amount": AMOUNT })
}

/// Makes a person's card behave as the test card of another number.
pub(super) async fn behave(person: &Person, number: &str) {
    let (_, cards) = person.get("/v1/cards").await;
    let id = cards["cards"][0]["id"].as_str().unwrap();
    control(cloud(), &format!("cards/{id}"), &json!({ "number": number })).await;
}

/// The token of the link in an approval's mail.
pub(super) async fn token(person: &Person, count: usize) -> String {
    let mail = person.mail("Approve a reload", count).await;
    let token = mail.split("/v1/reload/approve#token=").nth(1).unwrap();
    token.split_whitespace().next().unwrap().to_owned()
}

pub(super) async fn approve(token: &str) -> (u16, Value) {
    answer(http().post(cloud().url("/v1/reload/approve")).json(&json!({ "token": token }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_until_the_owner_switches_it_on() {
    let mut person = Person::new(cloud(), "off").await;
    let (status, told) = person.reload(&ask(), None).await;
    assert_eq!((status, &told["code"]), (403, &json!("reload_disabled")), "{told}");
    let (_, settings) = person.browser.get("/v1/account/reload").await;
    let off =
        json!({ "enabled": false, "confirm_by_email": false, "has_password": false, "locked_until": null });
    assert_eq!(settings, off);
    // A key cannot give itself the right.
    assert_eq!(person.post("/v1/account/reload", &json!({ "enabled": true })).await.0, 401);
    person.set(&json!({ "enabled": true })).await;
    let (status, told) = person.reload(&ask(), None).await;
    assert_eq!((status, &told["code"]), (402, &json!("no_card")), "{told}");
    person.save(GOOD).await;
    let (status, told) = person.reload(&ask(), None).await;
    assert_eq!((status, &told["success"], &told["amount"]), (200, &json!(true), &json!(AMOUNT)), "{told}");
    assert_eq!(told["balance"], 30.0);
    assert!(told["payment_intent_id"].as_str().unwrap().starts_with("pi_"));
    person.settled(2500).await;
    let (_, listed) = person.get("/v1/payments").await;
    assert_eq!(listed["payments"][0]["payment_intent_id"], told["payment_intent_id"]);
    let (_, rows) = person.get("/v1/transactions?type=purchase").await;
    assert_eq!(rows["transactions"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_stands_between_a_leaked_key_and_the_card() {
    let mut person = Person::with_card(cloud(), "password", GOOD).await;
    for bad in ["short", &"x".repeat(129)] {
        let (status, _) = person.browser.post("/v1/account/reload", &json!({ "password": bad })).await;
        assert_eq!(status, 400, "{bad}");
    }
    let settings = person.set(&json!({ "password": "correct horse" })).await;
    assert_eq!((&settings["has_password"], &settings["enabled"]), (&json!(true), &json!(true)));
    let with = |password: &str| json!({ "amount": AMOUNT, "reload_password": password });
    let (status, told) = person.reload(&ask(), None).await;
    assert_eq!((status, &told["code"]), (403, &json!("reload_password_required")));
    let (status, told) = person.reload(&with("correct horse"), None).await;
    assert_eq!(status, 200, "{told}");
    for _ in 0..5 {
        let (status, told) = person.reload(&with("wrong horse"), None).await;
        assert_eq!((status, &told["code"]), (403, &json!("wrong_reload_password")));
    }
    // Now not even the right one opens, and the owner knows.
    let locked = person.request(&with("correct horse")).send().await.unwrap();
    assert_eq!(locked.status(), 423);
    let wait: u64 = locked.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&wait), "{wait}");
    assert!(person.mail("Your reload password was guessed at", 1).await.contains("five wrong"));
    let (_, settings) = person.browser.get("/v1/account/reload").await;
    assert!(settings["locked_until"].is_string());
    person.settled(2500).await;
    // The owner opens it by taking the password away, or with another.
    person.set(&json!({ "remove_password": true })).await;
    assert_eq!(person.reload(&ask(), None).await.0, 200);
    person.settled(5000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_by_mail_charges_once() {
    let mut person = Person::with_card(cloud(), "approve", GOOD).await;
    person.set(&json!({ "confirm_by_email": true })).await;
    let (status, told) = person.reload(&ask(), None).await;
    assert_eq!((status, &told["pending"], &told["amount"]), (200, &json!(true), &json!(AMOUNT)), "{told}");
    assert!(told["message"].is_string() && told.get("success").is_none());
    let link = token(&person, 1).await;
    // Programs that look into mails open links.
    let (status, page) = seen(&cloud().url("/v1/reload/approve")).await;
    assert!(status == 200 && page.contains("<button>Approve</button>"), "{page}");
    assert_eq!(person.books().await, 0);
    // Both clicks at once, and one later.
    let (one, other) = tokio::join!(approve(&link), approve(&link));
    assert_eq!((one.0, other.0), (200, 200), "{one:?} {other:?}");
    assert_eq!(one.1, other.1);
    assert_eq!(one.1["balance"], 30.0);
    assert_eq!(approve(&link).await, one);
    person.settled(2500).await;
    let stranger = "ab".repeat(32);
    assert_eq!(approve(&stranger).await.0, 404);
    assert_eq!(approve("short").await.0, 404);
    // Whoever switches reloads off has not approved those that wait.
    assert_eq!(person.reload(&ask(), None).await.0, 200);
    let waits = token(&person, 2).await;
    person.set(&json!({ "enabled": false })).await;
    assert_eq!(approve(&waits).await.0, 403);
    person.settled(2500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_in_which_a_card_refuses_has_a_word_of_its_own() {
    let person = Person::with_card(cloud(), "declines", GOOD).await;
    for (number, code) in [
        ("4000000000000341", "card_declined"),
        ("4000000000009995", "card_insufficient_funds"),
        ("4000000000000069", "card_expired"),
    ] {
        behave(&person, number).await;
        let (status, told) = person.reload(&ask(), Some(code)).await;
        assert_eq!((status, &told["code"]), (402, &json!(code)), "{told}");
        // A repeat hears the same, and asks nobody.
        let again = person.reload(&ask(), Some(code)).await;
        assert_eq!((again.0, &again.1["code"]), (402, &json!(code)));
    }
    assert_eq!(person.books().await, 0);
    assert_eq!(person.get("/v1/balance").await.1["balance"], 5.0);
    let (_, listed) = person.get("/v1/payments").await;
    let declines: Vec<&Value> =
        listed["payments"].as_array().unwrap().iter().map(|payment| &payment["decline"]).collect();
    assert_eq!(declines, ["card_expired", "card_insufficient_funds", "card_declined"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_asks_is_answered_on_a_page() {
    let mut person = Person::with_card(cloud(), "asks", GOOD).await;
    behave(&person, ASKS_EACH_TIME).await;
    let (status, told) = person.reload(&ask(), None).await;
    assert_eq!((status, &told["code"]), (402, &json!("card_authentication_required")), "{told}");
    let mail = person.mail("Confirm a payment", 1).await;
    let page = mail.split_whitespace().find(|word| word.contains("/checkout/")).unwrap();
    let (status, asks) = fill(page, ASKS_EACH_TIME).await;
    assert!(status == 303 && asks.contains("/authenticate/"), "{asks}");
    assert_eq!(person.books().await, 0);
    let (status, place) = posted(&asks, "result=complete".to_owned()).await;
    assert_eq!(status, 303, "{place}");
    let (_, text) = seen(&place).await;
    assert!(text.contains("$25.00 was added"), "{text}");
    person.settled(2500).await;
    // The same behind an approval: the owner, who is there, is sent to the page by another mail.
    person.set(&json!({ "confirm_by_email": true })).await;
    assert_eq!(person.reload(&ask(), None).await.0, 200);
    let (status, told) = approve(&token(&person, 1).await).await;
    assert_eq!((status, &told["code"]), (402, &json!("card_authentication_required")), "{told}");
    assert!(person.mail("Confirm a payment", 2).await.contains("/checkout/"));
    person.settled(2500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_under_one_name_are_one() {
    let person = Person::with_card(cloud(), "twenty", GOOD).await;
    let (person, body) = (&person, &ask());
    let all = futures_util::future::join_all((0..20).map(|_| person.reload(body, Some("once")))).await;
    for one in &all {
        assert_eq!(one, &all[0]);
    }
    assert_eq!((all[0].0, &all[0].1["balance"]), (200, &json!(30.0)), "{:?}", all[0]);
    person.settled(2500).await;
    let other = person.reload(&json!({ "amount": 2600 }), Some("once")).await;
    assert_eq!((other.0, &other.1["code"]), (422, &json!("idempotency_key_reused")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_pass_in_an_hour() {
    let person = Person::with_card(cloud(), "ten", GOOD).await;
    let body = json!({ "amount": 500 });
    let mut passed = 0;
    let refused = loop {
        let answer = person.request(&body).send().await.unwrap();
        if answer.status() != 200 {
            break answer;
        }
        passed += 1;
        assert!(passed <= 20, "more than ten in each of two hours");
    };
    assert_eq!(refused.status(), 429);
    assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 3600);
    // Ten, unless the hour ended meanwhile.
    assert!(passed >= 10, "{passed}");
    person.settled(passed * 500).await;
    assert_eq!(person.get("/v1/balance").await.1["balance"], (5 + 5 * passed) as f64);
}

impl Person {
    /// A reload, to be sent as the test likes.
    fn request(&self, body: &Value) -> reqwest::RequestBuilder {
        http().post(cloud().url("/v1/reload")).bearer_auth(self.key.reveal()).json(body)
    }
}
