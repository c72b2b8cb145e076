//! What a stranger, or a free account, can take: each test uses up a window and asks for more.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::BonusTerms;
use domain::money::Amount;
use domain::rate::{NEW_KEYS, SESSION_REQUESTS, WAITS, Window, look_seconds, open_look_seconds};
use reqwest::Method;
use serde_json::json;
use store::rate::Who;

use crate::stack::cloud::{answer, http, now, until};
use crate::stack::door::browser::{Browser, address, mails};
use crate::stack::door::secrets::{self, logs};
use crate::stack::limits::hear;
use crate::stack::queue::accept;
use crate::stack::source::{lavfi, made, served, usual};
use crate::stack::{Cloud, cloud};

/// A test whose requests fall into two windows is made once more; this often in a row cannot be.
const BORDERS_MAX: usize = 4;

/// Waits for a minute in which nothing has been counted yet.
async fn fresh_minute() {
    let rest_ms = Window::Minute.end(now()) * 1000 - now().0;
    tokio::time::sleep(Duration::from_millis(u64::try_from(rest_ms).unwrap() + 200)).await;
}

/// A long poll is paid for as it goes on: when the account's time to wait is used up, no wait begins, and one that goes on
/// ends early and tells how things stand.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_costs_what_it_holds() {
    let account = cloud().account(Amount::cents(100)).await;
    let who = Who::Account(&account.id);
    for _ in 0..BORDERS_MAX {
        fresh_minute().await;
        // Accepted and not started, unless somebody sweeps.
        let job = accept(&account, "http://127.0.0.1:9/a.mp4", 5).await.id;
        let begun = now();
        let taken = account.table().take(who, WAITS, WAITS.max - 1, begun).await.unwrap();
        let short = account.get(&format!("/v1/clip/{job}?wait=20")).await;
        let held_ms = now().0 - begun.0;
        let refused = hear(account.request(Method::GET, &format!("/v1/clip/{job}?wait=1"))).await;
        let plain = account.get(&format!("/v1/clip/{job}")).await;
        if WAITS.window.end(begun) != WAITS.window.end(now()) || short.1["status"] == "failed" {
            continue;
        }
        assert!(taken.allowed);
        assert_eq!((short.0, &short.1["status"]), (200, &json!("pending")), "{short:?}");
        assert!((5_000..20_000).contains(&held_ms), "{held_ms}");
        assert_eq!((refused.status, &refused.body["code"]), (429, &json!("rate_limited")), "{refused:?}");
        assert_eq!(plain.0, 200, "a read that does not wait holds nothing");
        return;
    }
    panic!("every run met the end of a minute");
}

/// Sessions are as many as mails: what they ask counts for the account.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_one_account_share_a_window() {
    let (mut one, email) = (Browser::new(cloud()), address("busy"));
    let id = one.sign_in(cloud(), &email).await;
    let mut other = Browser::new(cloud());
    assert_eq!(other.sign_in(cloud(), &email).await, id);
    let account = domain::ids::AccountId::parse(&id).unwrap();
    for _ in 0..BORDERS_MAX {
        fresh_minute().await;
        let begun = now();
        cloud()
            .table()
            .take(Who::Account(&account), SESSION_REQUESTS, SESSION_REQUESTS.max - 2, begun)
            .await
            .unwrap();
        let answers = [one.get("/v1/account").await, other.get("/v1/keys").await, one.get("/v1/keys").await];
        // Another site's page uses nothing up: it is refused before anything is counted.
        let foreign =
            other.on_page_of(Some("https://evil.example")).post("/v1/auth/logout", &json!({})).await;
        if SESSION_REQUESTS.window.end(begun) != SESSION_REQUESTS.window.end(now()) {
            continue;
        }
        let statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [200, 200, 429], "{answers:?}");
        assert_eq!(foreign.0, 403, "{foreign:?}");
        return;
    }
    panic!("every run met the end of a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn making_keys_is_bounded() {
    let mut browser = Browser::new(cloud());
    let id = browser.sign_in(cloud(), &address("keymaker")).await;
    let account = domain::ids::AccountId::parse(&id).unwrap();
    let used = NEW_KEYS.max - 1;
    cloud().table().take(Who::Account(&account), NEW_KEYS, used, now()).await.unwrap();
    browser.make_key("twentieth").await;
    let (status, refused) = browser.post("/v1/keys", &json!({ "name": "one more" })).await;
    assert_eq!((status, &refused["code"]), (429, &json!("rate_limited")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("20 new API keys a day"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_allows_little() {
    let little = [
        "LookSeconds=40",
        "OpenLookSeconds=20",
        "BonusDeliveryGb=1",
        "BonusesPerDomain=2",
        "SignupBonus=250",
        "StackMailsPerHour=5",
    ];
    let little: Vec<&str> = little.into_iter().flat_map(|it| ["--parameter", it]).collect();
    let cloud = Cloud::fresh(&little);
    looks_have_a_budget_of_seconds(&cloud).await;
    what_is_fetched_of_an_account_is_bounded(&cloud).await;
    bonuses_wait_and_mail_is_bounded(&cloud).await;
    cloud.stop();
}

/// Makes a clip as large as if it had so many bytes.
async fn enlarge(cloud: &Cloud, clip: &str, bytes: u64) {
    let (client, table) = secrets::client(cloud);
    let enlarged = client
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("CLIP#{clip}")))
        .key("sk", AttributeValue::S("CLIP".to_owned()))
        .update_expression("SET #output.size_bytes = :bytes")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_names("#output", "output")
        .expression_attribute_values(":bytes", AttributeValue::N(bytes.to_string()));
    enlarged.send().await.unwrap();
}

/// Before its first deposit 1 GB may be fetched of an account's clips in a day, as this operator has it: three links to a
/// clip of 300 MB. Then the API tells when to come again, and pages tell it people.
async fn what_is_fetched_of_an_account_is_bounded(cloud: &Cloud) {
    let account = cloud.account(Amount::cents(100)).await;
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 1.5, "format": "mp3" });
    let (answer, _) = account.clip(&ask).await;
    let id = answer["job_id"].as_str().unwrap().to_owned();
    enlarge(cloud, &id, 300_000_000).await;
    for path in [format!("/v1/clip/{id}"), "/v1/clips".to_owned()] {
        let (status, answer) = account.get(&path).await;
        assert_eq!(status, 200, "{answer}");
    }
    let page = |id: &str| http().get(cloud.url(&format!("/c/{id}"))).send();
    assert_eq!(page(&id).await.unwrap().status(), 200);
    for path in [format!("/v1/clip/{id}"), "/v1/clips".to_owned()] {
        let refused = hear(account.request(Method::GET, &path)).await;
        assert_eq!((refused.status, &refused.body["code"]), (429, &json!("delivery_limit")), "{refused:?}");
        let wait: i64 = refused.headers["retry-after"].parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
    }
    let resting = page(&id).await.unwrap();
    assert_eq!((resting.status().as_u16(), resting.headers().contains_key("retry-after")), (429, true));
    assert!(resting.text().await.unwrap().contains("it rests until midnight"));
    // It rests, however little would be counted now; and others have their own day.
    enlarge(cloud, &id, 1).await;
    assert_eq!(account.get(&format!("/v1/clip/{id}")).await.0, 429);
    let other = cloud.account(Amount::cents(100)).await;
    let (answer, _) = other.clip(&ask).await;
    let id = answer["job_id"].as_str().unwrap().to_owned();
    enlarge(cloud, &id, 900_000_000).await;
    assert_eq!(other.get(&format!("/v1/clip/{id}")).await.0, 200);
    // Who has paid something in has more.
    let terms = BonusTerms::new(Amount::cents(500), 3, 50);
    assert!(!cloud.table().deposited(&other.id, terms, now()).await.unwrap(), "no bonus waits");
    for _ in 0..3 {
        assert_eq!(other.get(&format!("/v1/clip/{id}")).await.0, 200);
    }
}

/// Two bonuses for a domain, five mails an hour to strangers, and none to addresses that do not want them.
async fn bonuses_wait_and_mail_is_bounded(cloud: &Cloud) {
    let mut owner = (Browser::new(cloud), address("first"));
    for (number, bonus) in [(0, json!(null)), (1, json!(null)), (2, json!("waiting"))] {
        let (mut browser, email) = (Browser::new(cloud), address(&format!("bonus{number}")));
        browser.sign_in(cloud, &email).await;
        let (status, me) = browser.get("/v1/account").await;
        assert_eq!((status, &me["bonus"]), (200, &bonus), "{me}");
        let (_, key) = browser.make_key("k").await;
        let has = answer(http().get(cloud.url("/v1/balance")).bearer_auth(key)).await.1;
        assert_eq!(has["balance"], if bonus.is_null() { 2.5 } else { 0.0 }, "{has}");
        owner = (browser, email);
    }
    let (mut known, email) = owner;
    // Of the hour's five, three are gone. Asking is answered alike, whatever is sent.
    let strangers: Vec<String> = (0..4).map(|number| address(&format!("stranger{number}"))).collect();
    for stranger in &strangers {
        let (status, told) = Browser::new(cloud).post("/v1/auth/login", &json!({ "email": stranger })).await;
        assert_eq!((status, &told["status"]), (200, &json!("sent")), "{told}");
    }
    // Who has an account is not locked out by them; his mail is behind theirs in the queue.
    known.ask_for_mail(cloud, &email).await;
    until("the others are dealt with", || async {
        logs(cloud).iter().map(|(_, text)| text.matches("one is not sent").count()).sum::<usize>() >= 2
    })
    .await;
    let mut got = 0;
    for stranger in &strangers {
        got += mails(cloud, stranger).await.len();
    }
    assert_eq!(got, 2, "the fifth, and not the sixth");

    // SES tells of a mail that came back for good.
    let bounced = json!({ "detail-type": "Email Bounced", "source": "aws.ses", "detail": {
        "eventType": "Bounce",
        "bounce": { "bounceType": "Permanent", "bouncedRecipients": [{ "emailAddress": email }] },
        "mail": { "tags": { "ses:configuration-set": ["clipwright"] } },
    } });
    let batch = json!({ "Records": [{ "messageId": "m", "body": bounced.to_string() }] });
    let told = cloud.invoke("AccountsReturnedFunction", &batch).await;
    assert_eq!(told["batchItemFailures"], json!([]), "{told}");
    let before = mails(cloud, &email).await.len();
    let (status, told) = known.post("/v1/auth/login", &json!({ "email": email })).await;
    assert_eq!((status, &told["status"]), (200, &json!("sent")), "{told}");
    until("it is dealt with", || async {
        logs(cloud).iter().any(|(_, text)| text.contains("is not wanted and is not sent"))
    })
    .await;
    assert_eq!(mails(cloud, &email).await.len(), before);
}

/// Looks that need a container are paid for in seconds, before they begin.
async fn looks_have_a_budget_of_seconds(cloud: &Cloud) {
    let account = cloud.account(Amount::cents(100)).await;
    let server = served(&made(
        "budget.webm",
        &format!("{} -c:v libvpx -deadline realtime -c:a libopus", lavfi("64x36", "10", 1)),
    ))
    .await;
    let body = json!({ "url": server.url(), "start": 0, "end": 0.5 });
    let info = || answer(http().post(cloud.url("/v1/clip/info")).json(&json!({ "url": server.url() })));
    // Each look gives back what it did not need, so one after the other is no matter.
    for _ in 0..3 {
        let (status, quote) = account.post("/v1/clip/quote", &body).await;
        assert_eq!(status, 200, "{quote}");
    }
    for _ in 0..BORDERS_MAX {
        fresh_minute().await;
        let (begun, table) = (now(), cloud.table());
        let all = table.take(Who::Account(&account.id), look_seconds(40), 40, begun).await.unwrap();
        let open = table.take(Who::Stranger("127.0.0.1"), open_look_seconds(20), 20, begun).await.unwrap();
        assert!(all.allowed && open.allowed);
        let requests = server.requests();
        let answers = [
            account.post("/v1/clip/quote", &body).await,
            account.post("/v1/clip", &body).await,
            account.post("/v1/transcript", &json!({ "url": server.url() })).await,
            info().await,
        ];
        if look_seconds(40).window.end(begun) != look_seconds(40).window.end(now()) {
            continue;
        }
        for (status, refused) in &answers {
            assert_eq!((*status, &refused["code"]), (429, &json!("rate_limited")), "{refused}");
            assert!(
                refused["detail"].as_str().unwrap().contains("seconds of looking at sources"),
                "{refused}"
            );
        }
        // Each but the transcript saw by itself that this is no MP4 file.
        assert!(server.requests() - requests <= 6, "no container looked at it");
        assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
        return;
    }
    panic!("every run met the end of a minute");
}
