//! Signing up and in: by link, by code, once, for a quarter of an hour, and for nobody else.

use std::time::{Duration, Instant};

use domain::email::EmailAddress;
use domain::sign_in::{BrowserSecret, SIGN_IN_LIFETIME_MS, SignInCode, SignInToken};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::cloud::{answer, http, now};
use crate::stack::door::browser::{Browser, Mail, address, mails};
use crate::stack::door::{bonuses, full_bonus, verify, with_key, without_request_id};
use crate::stack::source::{served, usual};
use crate::stack::{With, cloud, fragile, shared};

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_up_to_transactions() {
    let (mut browser, email) = (Browser::new(cloud()), address("ann"));
    let mail = browser.ask_for_mail(cloud(), &email).await;
    let (status, verified) = verify(&mut browser, &json!({ "token": mail.token })).await;
    assert_eq!((status, &verified["is_new"]), (200, &json!(true)), "{verified}");
    let (status, me) = browser.get("/v1/account").await;
    assert_eq!((status, &me["email"], &me["id"]), (200, &json!(email), &verified["account_id"]), "{me}");
    assert_eq!(me["settings"]["api_reload"], json!({ "enabled": false, "confirm_by_email": false }));

    let (id, key) = browser.make_key("laptop").await;
    assert!(key.starts_with("sk_live_") && key.len() == 72, "{key}");
    let (_, list) = browser.get("/v1/keys").await;
    let listed = &list["keys"][0];
    assert_eq!((&listed["id"], &listed["name"]), (&json!(id), &json!("laptop")), "{list}");
    assert_eq!((&listed["prefix"], &listed["last_four"]), (&json!(key[..12]), &json!(key[68..])), "{list}");
    assert_eq!((&listed["last_used"], listed.get("key")), (&Value::Null, None), "{list}");
    assert!(!list.to_string().contains(&key[12..68]));

    let server = served(&usual()).await;
    let ask = json!({ "url": server.url(), "start": 1, "end": 2, "format": "mp3" });
    let client = http();
    let post = client.post(cloud().url("/v1/clip")).bearer_auth(&key).json(&ask);
    let (status, accepted) = answer(post).await;
    assert_eq!(status, 200, "{accepted}");
    let job = accepted["job_id"].as_str().unwrap();
    let begun = Instant::now();
    loop {
        let (_, state) = with_key(&key, &format!("/v1/clip/{job}?wait=20")).await;
        assert_ne!(state["status"], "failed", "{state}");
        if state["status"] == "complete" {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{state}");
    }

    let (status, page) = with_key(&key, "/v1/transactions").await;
    assert_eq!((status, &page["next_cursor"]), (200, &Value::Null), "{page}");
    let rows: Vec<(&str, &str, f64, f64, Option<&str>)> = page["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let (text, number) =
                (|name: &str| row[name].as_str().unwrap(), |name: &str| row[name].as_f64().unwrap());
            (text("wallet"), text("type"), number("amount"), number("balance_after"), row["job_id"].as_str())
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("usd", "charge", 0.0, 4.9, Some(job)),
            ("usd", "reservation", -0.1, 4.9, Some(job)),
            ("track", "signup_bonus", 50.0, 50.0, None),
            ("edit", "signup_bonus", 300.0, 300.0, None),
            ("usd", "signup_bonus", 5.0, 5.0, None),
        ]
    );
    let (_, list) = browser.get("/v1/keys").await;
    assert!(list["keys"][0]["last_used"].is_string(), "{list}");
}

/// The page that the mail's link leads to runs its own script and nothing else, and no other site frames it.
#[tokio::test(flavor = "multi_thread")]
async fn the_link_leads_to_a_page() {
    let page = http().get(cloud().url("/sign-in")).send().await.unwrap();
    assert_eq!(
        (page.status(), &page.headers()["content-type"]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let text = page.text().await.unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(nonce.len() == 32 && text.contains(&format!("<script nonce=\"{nonce}\">")), "{policy}");
    assert!(
        policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    let again = http().get(cloud().url("/sign-in")).send().await.unwrap();
    assert_ne!(again.headers()["content-security-policy"].to_str().unwrap(), policy, "a nonce is used once");
}

/// Signing up with a known address, signing in with an unknown one: the answers are the same, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_whether_an_address_is_known() {
    let (mut browser, known, unknown) = (Browser::new(cloud()), address("known"), address("unknown"));
    browser.sign_in(cloud(), &known).await;
    let mut answers = Vec::new();
    for path in ["/v1/auth/signup", "/v1/auth/login"] {
        for email in [&known, &unknown] {
            let (status, answer) = Browser::new(cloud()).post(path, &json!({ "email": email })).await;
            answers.push((status, answer.to_string()));
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]) && answers[0].0 == 200, "{answers:?}");
    // A wrong code tells nothing either, whether there is a link out there or not.
    let mut wrong = Vec::new();
    for email in [&known, &unknown, &address("never-asked"), &"no address".to_owned()] {
        let (status, answer) = verify(&mut browser, &json!({ "email": email, "code": "00000000" })).await;
        wrong.push((status, without_request_id(answer)));
    }
    assert!(wrong.iter().all(|answer| *answer == wrong[0]) && wrong[0].0 == 401, "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn spellings_of_one_address_are_one_account() {
    let email = address("bob");
    let tagged = email.replace('@', "+clips@").to_uppercase();
    let mut browser = Browser::new(cloud());
    let first = browser.sign_in(cloud(), &email).await;
    let (status, sent) = browser.post("/v1/auth/login", &json!({ "email": format!(" {tagged} ") })).await;
    assert_eq!(status, 200, "{sent}");
    let begun = Instant::now();
    let mail = loop {
        // The mail goes to the one form, whose owner alone may have the account.
        if let Some(mail) = mails(cloud(), &email).await.into_iter().nth(1) {
            break mail;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "no mail came");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let (status, again) = verify(&mut browser, &json!({ "email": tagged, "code": mail.code })).await;
    assert_eq!((status, &again["account_id"], &again["is_new"]), (200, &json!(first), &json!(false)));
    assert_eq!(bonuses(&first).await, full_bonus());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_once_and_for_a_quarter_of_an_hour() {
    let (mut browser, email) = (Browser::new(cloud()), address("once"));
    let mail = browser.ask_for_mail(cloud(), &email).await;
    assert_eq!(verify(&mut browser, &json!({ "token": mail.token })).await.0, 200);
    for body in [json!({ "token": mail.token }), json!({ "email": email, "code": mail.code })] {
        let (status, answer) = verify(&mut Browser::new(cloud()), &body).await;
        assert_eq!((status, &answer["code"]), (401, &json!("invalid_sign_in")), "{answer}");
    }
    // Links that were sent a quarter of an hour ago, to the millisecond and one before.
    let address = EmailAddress::parse(&email).unwrap();
    for (age_ms, status) in [(SIGN_IN_LIFETIME_MS, 401), (SIGN_IN_LIFETIME_MS - 20_000, 200)] {
        let mut random = [0; 32];
        getrandom::fill(&mut random).unwrap();
        let (token, code) = (SignInToken::from_random(random), SignInCode::from_random(u64::from(random[0])));
        let sent = now().plus_ms(-age_ms);
        let secret = BrowserSecret::from_random(random);
        cloud().table().issue_sign_in(&address, (&token, &code), &secret, sent).await.unwrap();
        if status == 401 {
            let body = json!({ "email": email, "code": code.reveal() });
            let mut waiting = Browser::new(cloud());
            waiting.signing_in = Some(secret.reveal().to_owned());
            assert_eq!(verify(&mut waiting, &body).await.0, status);
        }
        let body = json!({ "token": token.reveal() });
        assert_eq!(verify(&mut Browser::new(cloud()), &body).await.0, status);
    }
    for body in [json!({}), json!({ "email": email }), json!({ "token": "a", "code": "1", "email": "x" })] {
        assert_eq!(verify(&mut browser, &body).await.0, 400, "{body}");
    }
    for token in ["", "0", &"0".repeat(64), &"é".repeat(32)] {
        assert_eq!(verify(&mut browser, &json!({ "token": token })).await.0, 401, "{token}");
    }
}

fn wrong_code(mail: &Mail, offset: u32) -> String {
    format!("{:08}", (mail.code.parse::<u32>().unwrap() + offset) % 100_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_gets_ten_tries_and_locks_nobody_out() {
    let (mut owner, mut stranger, email) = (Browser::new(cloud()), Browser::new(cloud()), address("guess"));
    let code = |code: &str| json!({ "email": email, "code": code });
    // Wrong ones are forgiven; a stranger who asks for a mail himself does not put his code in the place of the owner's.
    let mail = owner.ask_for_mail(cloud(), &email).await;
    let his = stranger.ask_for_mail(cloud(), &email).await;
    for offset in 1..5 {
        assert_eq!(verify(&mut owner, &code(&wrong_code(&mail, offset))).await.0, 401);
    }
    // A code is for the browser that asked, which no other one can say that it is.
    for other in [&mut stranger, &mut Browser::new(cloud())] {
        assert_eq!(verify(other, &code(&mail.code)).await.0, 401);
    }
    assert_eq!(verify(&mut owner, &code(&mail.code)).await.0, 200);

    // Fifty at once, in the browser that asked, get what is left of the day's ten tries between them. (Five are gone: the
    // right one was given back, and a browser without a code has none.)
    let guesses = (1..=50).map(|offset| {
        let (mut stranger, body) = (stranger.clone(), code(&wrong_code(&his, offset)));
        tokio::spawn(async move { verify(&mut stranger, &body).await })
    });
    let mut answers = Vec::new();
    for guess in guesses.collect::<Vec<_>>() {
        answers.push(guess.await.unwrap());
    }
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 429).collect();
    assert!(answers.iter().all(|(status, _)| matches!(status, 401 | 429)), "{answers:?}");
    assert!(matches!(refused.len(), 40 | 45), "10, if midnight came between: {answers:?}");
    assert!(refused[0].1["detail"].as_str().unwrap().contains("Open the link"), "{refused:?}");
    // Even the right code is too late then; the links are as good as before.
    assert_eq!(verify(&mut stranger, &code(&his.code)).await.0, 429);
    assert_eq!(verify(&mut Browser::new(cloud()), &json!({ "token": his.token })).await.0, 200);
}

/// Ten verifications at once, of one link and of two: one account, one bonus, and each link is used once.
#[tokio::test(flavor = "multi_thread")]
async fn verifications_at_once_grant_once() {
    let email = address("race");
    let mut browser = Browser::new(cloud());
    let links = [browser.ask_for_mail(cloud(), &email).await, browser.ask_for_mail(cloud(), &email).await];
    let tries = (0..10).map(|number| {
        let (mut browser, body) = (Browser::new(cloud()), json!({ "token": links[number % 2].token }));
        tokio::spawn(async move { verify(&mut browser, &body).await })
    });
    let mut accounts = Vec::new();
    for attempt in tries.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            (200, answer) => accounts.push(answer["account_id"].as_str().unwrap().to_owned()),
            (status, answer) => assert_eq!(status, 401, "{answer}"),
        }
    }
    assert_eq!(accounts.len(), 2, "each link is used once");
    assert_eq!(accounts[0], accounts[1]);
    assert_eq!(bonuses(&accounts[0]).await, full_bonus());
}

/// Killed before it did anything, and after it did everything but answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_grants_neither_half_nor_twice() {
    let fragile = fragile(With::FragileRequests).await;
    let (cloud, faults) = (fragile.cloud, &fragile.faults);
    for (place, left) in [("start", 200), ("end", 401)] {
        let (mut browser, email) = (Browser::new(cloud), address(place));
        let mail = browser.ask_for_mail(cloud, &email).await;
        let fault = faults.join(format!("accounts.verify.{place}"));
        std::fs::write(&fault, "").unwrap();
        let (status, _) = verify(&mut browser, &json!({ "token": mail.token })).await;
        assert!(status >= 500 && !fault.exists(), "{place}: {status}");
        assert_eq!(verify(&mut browser, &json!({ "token": mail.token })).await.0, left, "{place}");
        let account = browser.sign_in(cloud, &email).await;
        let account = domain::ids::AccountId::parse(&account).unwrap();
        for (wallet, amount) in domain::account::SIGNUP_GRANTS {
            let stands = cloud.table().wallet(&account, wallet).await.unwrap();
            assert_eq!((stands.available, stands.seq), (amount, 1), "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_cannot_smuggle_headers() {
    let mut browser = Browser::new(cloud());
    for email in [
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\nSubject: hello",
        "ann@example.com,eve@example.com",
        "ann@example.com eve@example.com",
        "Ann <ann@example.com>",
        "\"ann\r\n\"@example.com",
        "ann@example.com@evil.example",
        "ann\u{0}@example.com",
        "ann@127.0.0.1",
        "",
    ] {
        let (status, answer) = browser.post("/v1/auth/signup", &json!({ "email": email })).await;
        assert_eq!(status, 400, "{email:?}: {answer}");
    }
    let all: Value = http().get(cloud().url("/_local/mail")).send().await.unwrap().json().await.unwrap();
    for mail in all.as_array().unwrap() {
        assert_eq!(mail["to"].as_array().unwrap().len(), 1, "{mail}");
        assert!(!mail["to"][0].as_str().unwrap().contains("eve"), "{mail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_mail_without_end() {
    let email = address("flooded");
    let mut answers = Vec::new();
    for _ in 0..4 {
        let request = http().post(cloud().url("/v1/auth/login"));
        answers.push(request.json(&json!({ "email": email })).send().await.unwrap());
    }
    let last = answers.pop().unwrap();
    assert!(answers.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(last.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = last.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "no longer than a link works: {wait}");
    // An address that has an account is told the same at the same point.
    let known = address("known-flooded");
    let mut browser = Browser::new(cloud());
    browser.sign_in(cloud(), &known).await;
    for _ in 0..2 {
        assert_eq!(browser.post("/v1/auth/signup", &json!({ "email": known })).await.0, 200);
    }
    let (status, refused) = browser.post("/v1/auth/signup", &json!({ "email": known })).await;
    assert_eq!((status, &refused["code"]), (429, &json!("rate_limited")), "{refused}");
}

/// One client opens accounts for one address after the other.
#[tokio::test(flavor = "multi_thread")]
async fn mass_sign_up_from_one_client() {
    let mut browser = Browser::new(shared(With::NarrowSettings));
    for number in 0..6 {
        let body = json!({ "email": address(&format!("mass{number}")) });
        let (status, answer) = browser.post("/v1/auth/signup", &body).await;
        assert_eq!(status, if number < 3 { 200 } else { 429 }, "{answer}");
    }
}
