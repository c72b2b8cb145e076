//! Settings and sign-ins against a real DynamoDB implementation: nothing is lost between two at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::{Settings, SettingsChange};
use domain::email::EmailAddress;
use domain::ids::{AccountId, ApiKey, SessionToken};
use domain::sign_in::{SignInCode, SignInToken};
use domain::time::Timestamp;
use store::Table;
use store::accounts::Account;
use store::sign_in::Proof;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ENABLE: SettingsChange =
    SettingsChange { api_reload_enabled: Some(true), api_reload_confirm_by_email: None };
const CONFIRM: SettingsChange =
    SettingsChange { api_reload_enabled: None, api_reload_confirm_by_email: Some(true) };

fn account(number: u8) -> AccountId {
    AccountId::from_random([number; 16])
}

async fn opened(table: &Table, number: u8) -> AccountId {
    let account = Account::new(account(number), None, NOW);
    assert!(table.open_account(&account, &ApiKey::from_random([number; 32]), "test").await.unwrap());
    account.id
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_settings_changed_at_once_both_are_kept() {
    let (table, client) = kit::table_and_client().await;
    for number in 0..20 {
        let id = opened(&table, number).await;
        if number % 2 == 0 {
            // As a release wrote it that knew no settings.
            let update = client.update_item().table_name(kit::NAME).update_expression("REMOVE settings");
            let update = update.key("pk", AttributeValue::S(format!("ACCOUNT#{id}")));
            update.key("sk", AttributeValue::S("PROFILE".to_owned())).send().await.unwrap();
        }
        let (one, other) =
            tokio::join!(table.change_settings(&id, ENABLE), table.change_settings(&id, CONFIRM));
        assert!(one.unwrap().is_some() && other.unwrap().is_some());
        let both = Settings { api_reload_enabled: true, api_reload_confirm_by_email: true };
        assert_eq!(table.account(&id).await.unwrap().unwrap().settings, both);
        let unchanged = table.change_settings(&id, SettingsChange::default()).await.unwrap().unwrap();
        assert_eq!(unchanged.settings, both);
    }
}

#[tokio::test]
async fn a_setting_of_a_later_release_stays_and_a_closed_account_has_none() {
    let (table, client) = kit::table_and_client().await;
    let id = opened(&table, 1).await;
    let profile = |update: aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder| {
        update
            .table_name(kit::NAME)
            .key("pk", AttributeValue::S(format!("ACCOUNT#{id}")))
            .key("sk", AttributeValue::S("PROFILE".to_owned()))
    };
    let later = profile(client.update_item()).update_expression("SET settings.of_tomorrow = :on");
    later.expression_attribute_values(":on", AttributeValue::Bool(true)).send().await.unwrap();
    table.change_settings(&id, ENABLE).await.unwrap().unwrap();
    let items = client.scan().table_name(kit::NAME).send().await.unwrap().items.unwrap();
    let profile = items.iter().find(|item| item["sk"] == AttributeValue::S("PROFILE".to_owned())).unwrap();
    let settings = profile["settings"].as_m().unwrap();
    assert_eq!(settings["of_tomorrow"], AttributeValue::Bool(true));
    assert_eq!(settings["api_reload_enabled"], AttributeValue::Bool(true));

    table.close_account(&id, NOW).await.unwrap();
    for change in [ENABLE, SettingsChange::default()] {
        assert_eq!(table.change_settings(&id, change).await.unwrap(), None);
        assert_eq!(table.change_settings(&account(9), change).await.unwrap(), None);
    }
}

/// Nothing is left to do once a link is redeemed, so nothing can fail: the session that the browser came with ends in the
/// transaction that opens the new one.
#[tokio::test]
async fn signing_in_again_ends_the_session_before_with_the_same_stroke() {
    let table = kit::table().await;
    let address = EmailAddress::parse("ann@example.com").unwrap();
    let token = |number: u8| SignInToken::from_random([number; 32]);
    let session = |number: u8| SessionToken::from_random([number; 32]);
    let code = SignInCode::from_random(7);
    for number in 1..=3 {
        table.issue_sign_in(&address, (&token(number), &code), NOW).await.unwrap();
    }
    let sign_in = async |number: u8, former: Option<&SessionToken>| {
        table.sign_in(Proof::Link(&token(number)), &session(number), former, NOW).await.unwrap()
    };
    let alive = async |number: u8| table.session(&session(number), NOW).await.unwrap().is_some();

    let first = sign_in(1, None).await.unwrap();
    let second = sign_in(2, Some(&session(1))).await.unwrap();
    assert_eq!((first.account, second.is_new), (second.account.clone(), false));
    assert_eq!((alive(1).await, alive(2).await), (false, true));
    // A link that is worth nothing ends nothing; a session that is gone is in nobody's way.
    assert_eq!(sign_in(2, Some(&session(2))).await, None);
    assert!(alive(2).await);
    assert!(sign_in(3, Some(&session(1))).await.is_some());
    assert_eq!((alive(2).await, alive(3).await), (true, true));
}
