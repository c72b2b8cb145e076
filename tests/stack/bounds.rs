//! What a stranger, or a free account, can take: each test uses up a window and asks for more.

use domain::money::Amount;
use domain::rate::{NEW_KEYS, SESSION_REQUESTS, WAITS, look_seconds, open_look_seconds};
use reqwest::Method;
use serde_json::json;
use store::rate::Who;

use crate::stack::cloud::{answer, http, now};
use crate::stack::door::browser::{Browser, address};
use crate::stack::limits::hear;
use crate::stack::queue::accept;
use crate::stack::source::{lavfi, made, served};
use crate::stack::{Cloud, cloud};

/// A test whose requests fall into two windows is made once more; this often in a row cannot be.
const BORDERS_MAX: usize = 4;

/// A long poll is paid for as it goes on: when the account's time to wait is used up, no wait begins, and one that goes on
/// ends early and tells how things stand.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_costs_what_it_holds() {
    let account = cloud().account(Amount::cents(100)).await;
    // Accepted and never started.
    let job = accept(&account, "http://127.0.0.1:9/a.mp4", 5).await.id;
    let who = Who::Account(&account.id);
    for _ in 0..BORDERS_MAX {
        let begun = now();
        let taken = account.table().take(who, WAITS, WAITS.max - 1, begun).await.unwrap();
        let short = account.get(&format!("/v1/clip/{job}?wait=20")).await;
        let held_ms = now().0 - begun.0;
        let refused = hear(account.request(Method::GET, &format!("/v1/clip/{job}?wait=1"))).await;
        let plain = account.get(&format!("/v1/clip/{job}")).await;
        if WAITS.window.end(begun) != WAITS.window.end(now()) {
            continue;
        }
        assert!(taken.allowed);
        assert_eq!((short.0, &short.1["status"]), (200, &json!("pending")), "{short:?}");
        assert!((5_000..15_000).contains(&held_ms), "{held_ms}");
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

/// Looks that need a container are paid for in seconds, before they begin.
#[tokio::test(flavor = "multi_thread")]
async fn looks_have_a_budget_of_seconds() {
    let cloud = Cloud::fresh(&["--parameter", "LookSeconds=40", "--parameter", "OpenLookSeconds=20"]);
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
        let (begun, table) = (now(), cloud.table());
        table.take(Who::Account(&account.id), look_seconds(40), 40, begun).await.unwrap();
        table.take(Who::Stranger("127.0.0.1"), open_look_seconds(20), 20, begun).await.unwrap();
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
        cloud.stop();
        return;
    }
    panic!("every run met the end of a minute");
}
