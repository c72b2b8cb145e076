//! Browser sessions: never one that somebody else knew, never for another site, never for long.

use domain::ids::SessionToken;
use serde_json::json;

use crate::stack::cloud;
use crate::stack::cloud::now;
use crate::stack::door::browser::{Browser, address};
use crate::stack::door::secrets::age_session;
use crate::stack::door::{verify, with_key};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_always_a_new_one() {
    let (mut attacker, mut victim) = (Browser::new(cloud()), Browser::new(cloud()));
    attacker.sign_in(cloud(), &address("attacker")).await;
    // The attacker's session is planted in the victim's browser, before it signs in.
    let planted = attacker.session.clone().unwrap();
    victim.session = Some(planted.clone());
    let victims = victim.sign_in(cloud(), &address("victim")).await;
    assert_ne!(victim.session.as_ref(), Some(&planted));
    assert_eq!(victim.get("/v1/account").await.1["id"], json!(victims));
    assert_eq!(attacker.get("/v1/account").await.0, 401, "the planted session has ended");
    // One that was made up stays made up, and two cookies are none.
    let made_up = "0".repeat(64);
    let mut other = Browser::new(cloud());
    other.session = Some(made_up.clone());
    other.sign_in(cloud(), &address("other")).await;
    assert_ne!(other.session.as_ref(), Some(&made_up));
    let twice = format!("{}; __Host-session={made_up}", victim.session.clone().unwrap());
    assert_eq!(victim.with_session(&twice).get("/v1/account").await.0, 401);

    let kept = victim.session.clone();
    assert_eq!(victim.post("/v1/auth/logout", &json!({})).await.0, 200);
    assert_eq!(victim.session, None, "the browser is told to forget it");
    victim.session = kept;
    assert_eq!(victim.get("/v1/account").await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_session_gets_a_new_token() {
    let mut browser = Browser::new(cloud());
    browser.sign_in(cloud(), &address("rotate")).await;
    let fresh = browser.session.clone().unwrap();
    assert_eq!(browser.get("/v1/account").await.0, 200);
    assert_eq!(browser.session.as_ref(), Some(&fresh), "not within the first day");

    let token = SessionToken::parse(&fresh).unwrap();
    let table = cloud().table();
    age_session(cloud(), &fresh, 24 * 3_600_000).await;
    let mut late = browser.clone();
    assert_eq!(browser.get("/v1/account").await.0, 200);
    let rotated = browser.session.clone().unwrap();
    assert_ne!(rotated, fresh);
    assert_eq!(late.get("/v1/keys").await.0, 200, "what is under way still passes");
    assert_eq!(late.get("/v1/account").await.0, 200);
    assert_eq!(late.session.as_ref(), Some(&fresh), "nobody gets two new tokens for one old one");
    let expires = table.session(&token, now()).await.unwrap().unwrap().expires_at;
    assert!(expires <= now().plus_ms(60_000), "and not for long");
    // A month later it is over.
    age_session(cloud(), &rotated, 30 * 24 * 3_600_000).await;
    assert_eq!(browser.get("/v1/account").await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_act_for_a_visitor() {
    let (mut browser, email) = (Browser::new(cloud()), address("csrf"));
    let mail = browser.ask_for_mail(cloud(), &email).await;
    let evil = [Some("https://evil.example"), Some("null"), Some("http://127.0.0.1")];
    for origin in evil {
        let mut page = browser.on_page_of(origin);
        let refused = verify(&mut page, &json!({ "token": mail.token })).await;
        assert_eq!((refused.0, &refused.1["code"]), (403, &json!("foreign_origin")), "nor sign them in");
        assert_eq!(page.post("/v1/auth/login", &json!({ "email": email })).await.0, 403);
    }
    assert_eq!(verify(&mut browser, &json!({ "token": mail.token })).await.0, 200);
    let (id, _) = browser.make_key("kept").await;
    for origin in evil.into_iter().chain([None]) {
        let mut page = browser.on_page_of(origin);
        for (status, refused) in [
            page.post("/v1/keys", &json!({ "name": "stolen" })).await,
            page.delete(&format!("/v1/keys/{id}")).await,
            page.patch("/v1/account", &json!({ "settings": { "api_reload": { "enabled": true } } })).await,
            page.delete("/v1/account").await,
            page.post("/v1/auth/logout", &json!({})).await,
        ] {
            assert_eq!((status, &refused["code"]), (403, &json!("foreign_origin")), "{origin:?}: {refused}");
        }
    }
    assert_eq!(browser.get("/v1/keys").await.1["keys"].as_array().unwrap().len(), 1);
    assert_eq!(browser.get("/v1/account").await.1["settings"]["api_reload"]["enabled"], false);
    // And a key is no session.
    let (_, key) = browser.make_key("no session").await;
    assert_eq!(with_key(&key, "/v1/keys").await.0, 401);
    assert_eq!(with_key(&key, "/v1/account").await.0, 401);
}
