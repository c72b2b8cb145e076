//! The account: its settings, its transactions and its end.

use std::time::{Duration, Instant};

use domain::ids::{AccountId, JobId};
use domain::job::Status;
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use serde_json::{Value, json};
use store::ledger::Immediate;

use crate::stack::cloud;
use crate::stack::cloud::{answer, http, now};
use crate::stack::door::browser::{Browser, address};
use crate::stack::door::secrets::whole_table;
use crate::stack::door::{bonuses, with_key, without_request_id};
use crate::stack::source::{served, usual};

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_one_by_one() {
    let mut browser = Browser::new(cloud());
    browser.sign_in(cloud(), &address("settings")).await;
    let change = |reload: Value| json!({ "settings": { "api_reload": reload } });
    assert_eq!(browser.patch("/v1/account", &change(json!({ "enabled": true }))).await.0, 200);
    let (_, after) = browser.patch("/v1/account", &change(json!({ "confirm_by_email": true }))).await;
    assert_eq!(after["settings"]["api_reload"], json!({ "enabled": true, "confirm_by_email": true }));
    assert_eq!(browser.get("/v1/account").await.1["settings"], after["settings"]);
    for body in [json!({}), json!({ "settings": [] }), change(json!({ "enabled": "yes" }))] {
        assert_eq!(browser.patch("/v1/account", &body).await.0, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_by_page_filter_and_as_csv() {
    let account = cloud().account(Amount::cents(500)).await;
    for number in 0..6 {
        let gift = Immediate::Grant(EntryKind::Gift, Amount::new(number + 1));
        let wallet = if number % 2 == 0 { WalletKind::Edit } else { WalletKind::Usd };
        let name = format!("gift-{}-{number}", account.id);
        assert!(cloud().table().transfer(&name, (&account.id, wallet), gift, now()).await.unwrap());
    }
    let (_, whole) = account.get("/v1/transactions").await;
    let whole = whole["transactions"].as_array().unwrap().clone();
    assert_eq!(whole.len(), 7);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let (status, page) = account.get(&format!("/v1/transactions?limit=2{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        paged.extend(page["transactions"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, whole, "pages make up the whole");

    let (_, edit) = account.get("/v1/transactions?wallet=edit&limit=2").await;
    assert_eq!(edit["transactions"].as_array().unwrap().len(), 2);
    assert!(edit["next_cursor"].is_string() && edit["transactions"][0]["wallet"] == "edit", "{edit}");
    let (_, bonus) = account.get("/v1/transactions?type=signup_bonus").await;
    assert_eq!((bonus["transactions"].as_array().unwrap().len(), &bonus["next_cursor"]), (1, &Value::Null));
    for query in ["limit=0", "limit=x", "cursor=x", "wallet=eur", "type=tip"] {
        assert_eq!(account.get(&format!("/v1/transactions?{query}")).await.0, 400, "{query}");
    }

    let get = account.request(reqwest::Method::GET, "/v1/transactions?limit=2").header("accept", "text/csv");
    let response = get.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    assert!(response.headers()["link"].to_str().unwrap().contains("rel=\"next\""));
    let text = response.text().await.unwrap();
    assert!(
        text.starts_with("id,type,wallet,amount,balance_after,job_id,created,available_delta,held_delta\r\n"),
        "{text}"
    );
    assert!(text.contains(",gift,usd,0.000006,5.000012,,20") && text.lines().count() == 3, "{text}");

    let id = whole[0]["id"].as_str().unwrap();
    assert_eq!(account.get(&format!("/v1/transactions/{id}")).await, (200, whole[0].clone()));
    let stranger = cloud().account(Amount::cents(1)).await;
    let (theirs, none) = (
        stranger.get(&format!("/v1/transactions/{id}")).await,
        stranger.get(&format!("/v1/transactions/{}-usd-99", stranger.id)).await,
    );
    assert_eq!((theirs.0, without_request_id(theirs.1)), (404, without_request_id(none.1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_leaves_the_books_and_nothing_else() {
    let (mut browser, email) = (Browser::new(cloud()), address("gone"));
    let id = browser.sign_in(cloud(), &email).await;
    let mut elsewhere = Browser::new(cloud());
    elsewhere.sign_in(cloud(), &email).await;
    let (_, key) = browser.make_key("gone").await;
    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 2 });
    let post = http().post(cloud().url("/v1/clip")).bearer_auth(&key).json(&ask);
    let job = answer(post).await.1["job_id"].as_str().unwrap().to_owned();
    let job = JobId::parse(&job).unwrap();
    let (table, begun) = (cloud().table(), Instant::now());
    while table.clip(&job, now()).await.unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(120));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let link =
        with_key(&key, &format!("/v1/clip/{job}")).await.1["download_url"].as_str().unwrap().to_owned();
    assert_eq!(http().get(&link).send().await.unwrap().status(), 200);

    let session = browser.session.clone();
    let (status, closed) = browser.delete("/v1/account").await;
    assert_eq!((status, &closed["deleted"], &browser.session), (200, &json!(true), &None), "{closed}");
    browser.session = session;
    assert_eq!(browser.get("/v1/account").await.0, 401);
    assert_eq!(elsewhere.get("/v1/account").await.0, 401, "every session ends, not only this one");
    assert_eq!(with_key(&key, "/v1/balance").await.0, 401);

    let account = AccountId::parse(&id).unwrap();
    let begun = Instant::now();
    while table.account(&account).await.unwrap().unwrap().email.is_some() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never erased");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(table.clip(&job, now()).await.unwrap().is_none());
    assert!(table.job(&job).await.unwrap().is_none(), "the job says what was watched");
    assert_eq!(http().get(&link).send().await.unwrap().status(), 404, "the file is gone");
    let kinds: Vec<_> = table.entries(&account, WalletKind::Usd).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|row| row.entry.kind).collect();
    assert_eq!(kinds, [EntryKind::SignupBonus, EntryKind::Reservation, EntryKind::Charge]);
    let items = whole_table(cloud()).await;
    assert!(!items.iter().any(|item| item.contains(&id) && item.contains(&email)), "personal data is left");

    // An order that comes again, or whose account nobody has closed, does what is left to do; while a job is under
    // way it is put off.
    let other = cloud().account(Amount::cents(100)).await;
    // Whoever is told of jobs hears of those that end so.
    let hook = json!({ "url": "https://hooks.example.com/jobs", "events": ["job.cancelled"] });
    assert_eq!(other.post("/v1/webhooks", &hook).await.0, 200);
    let running = crate::stack::queue::accept(&other, server.url(), 1).await;
    let waiting = crate::stack::queue::accept(&other, server.url(), 1).await;
    assert_eq!((running.has_slot, waiting.has_slot), (true, false));
    let order = |id: &AccountId| json!({ "Records": [{ "messageId": "m", "body": json!({ "account": id }).to_string() }] });
    for (account, put_off) in [(&account, json!([])), (&other.id, json!([{ "itemIdentifier": "m" }]))] {
        let answer = cloud().invoke("AccountsEraseFunction", &order(account)).await;
        assert_eq!(answer["batchItemFailures"], put_off, "{answer}");
    }
    assert_eq!(other.get("/v1/balance").await.0, 401, "closed all the same");
    // What only waited is over, and cost nothing.
    let waited = table.job(&waiting.id).await.unwrap().unwrap();
    assert_eq!(waited.status, Status::Cancelled);
    assert_eq!(other.movements(&waiting.id).await, [EntryKind::Reservation, EntryKind::Refund]);
    assert_eq!(table.job(&running.id).await.unwrap().unwrap().status, Status::Pending);
    let error = json!({ "Error": "JobFailure", "Cause": "{}" });
    cloud().invoke("ReleaseFunction", &json!({ "job_id": running.id, "error": error })).await;
    let answer = cloud().invoke("AccountsEraseFunction", &order(&other.id)).await;
    assert_eq!(answer["batchItemFailures"], json!([]), "{answer}");

    // Whoever comes back is welcome, and has had the bonus.
    let mut again = Browser::new(cloud());
    let second = again.sign_in(cloud(), &email).await;
    assert_ne!(second, id);
    assert_eq!(bonuses(&second).await, []);
}
