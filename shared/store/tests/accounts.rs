//! Settings and sign-ins against a real DynamoDB implementation: nothing is lost between two at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::account::{BonusTerms, Settings, SettingsChange};
use domain::email::EmailAddress;
use domain::ids::{AccountId, ApiKey, SessionToken};
use domain::ledger::EntryKind;
use domain::money::{Amount, WalletKind};
use domain::sign_in::{BrowserSecret, CODE_TRIES, SignInCode, SignInToken, Unwanted};
use domain::time::Timestamp;
use store::Table;
use store::accounts::Account;
use store::ledger::Immediate;
use store::mail::Mailing;
use store::sign_in::{NotSignedIn, Proof};

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
    let (code, browser) = (SignInCode::from_random(7), BrowserSecret::from_random([9; 32]));
    for number in 1..=3 {
        table.issue_sign_in(&address, (&token(number), &code), &browser, NOW).await.unwrap();
    }
    let sign_in = async |number: u8, former: Option<&SessionToken>| {
        table.sign_in(Proof::Link(&token(number)), &session(number), former, TERMS, NOW).await.unwrap()
    };
    let alive = async |number: u8| table.session(&session(number), NOW).await.unwrap().is_some();

    let first = sign_in(1, None).await.unwrap();
    let second = sign_in(2, Some(&session(1))).await.unwrap();
    assert_eq!((first.account, second.is_new), (second.account.clone(), false));
    assert_eq!((alive(1).await, alive(2).await), (false, true));
    // A link that is worth nothing ends nothing; a session that is gone is in nobody's way.
    assert_eq!(sign_in(2, Some(&session(2))).await, Err(NotSignedIn::Worthless));
    assert!(alive(2).await);
    assert!(sign_in(3, Some(&session(1))).await.is_ok());
    assert_eq!((alive(2).await, alive(3).await), (true, true));
}

/// A stranger asks for mails to somebody's address and guesses: he gets ten tries a day, and takes neither the owner's code
/// nor the link away.
#[tokio::test]
async fn a_code_is_its_browsers_and_a_link_survives_every_guess() {
    let table = kit::table().await;
    let address = EmailAddress::parse("ann@example.com").unwrap();
    let browser = |number: u8| BrowserSecret::from_random([number; 32]);
    let code = |number: u64| SignInCode::from_random(number);
    let (own, strange) = (SignInToken::from_random([1; 32]), SignInToken::from_random([2; 32]));
    table.issue_sign_in(&address, (&own, &code(1)), &browser(1), NOW).await.unwrap();
    table.issue_sign_in(&address, (&strange, &code(2)), &browser(2), NOW).await.unwrap();
    let try_code = async |number: u64, from: u8, now| {
        let session = SessionToken::from_random([from; 32]);
        table
            .sign_in(Proof::Code(&address, &code(number), &browser(from)), &session, None, TERMS, now)
            .await
            .unwrap()
    };

    // Right, but not in this browser; and one that has asked for nothing uses up no tries.
    for _ in 0..2 * CODE_TRIES.max {
        assert_eq!(try_code(1, 3, NOW).await, Err(NotSignedIn::Worthless));
    }
    for _ in 1..CODE_TRIES.max {
        assert_eq!(try_code(1, 2, NOW).await, Err(NotSignedIn::Worthless));
    }
    // The owner's code still works, and is not counted.
    assert!(try_code(1, 1, NOW).await.is_ok());
    assert_eq!(try_code(1, 2, NOW).await, Err(NotSignedIn::Worthless));
    for guess in [1, 2] {
        let refused = try_code(guess, 2, NOW).await;
        assert!(matches!(refused, Err(NotSignedIn::TriedTooOften(limit)) if !limit.allowed), "{refused:?}");
    }
    let session = SessionToken::from_random([8; 32]);
    assert!(table.sign_in(Proof::Link(&strange), &session, None, TERMS, NOW).await.unwrap().is_ok());
}

const TERMS: BonusTerms = BonusTerms::new(Amount::cents(200), 3, 5);

/// Signs up with an address that is new; the account, and what it has.
async fn sign_up(table: &Table, email: &str, number: u8, now: Timestamp) -> (Account, Amount) {
    let address = EmailAddress::parse(email).unwrap();
    let (token, browser) = (SignInToken::from_random([number; 32]), BrowserSecret::from_random([number; 32]));
    table.issue_sign_in(&address, (&token, &SignInCode::from_random(1)), &browser, now).await.unwrap();
    let session = SessionToken::from_random([number; 32]);
    let signed_in = table.sign_in(Proof::Link(&token), &session, None, TERMS, now).await.unwrap().unwrap();
    let account = table.account(&signed_in.account).await.unwrap().unwrap();
    assert_eq!(account.bonus_waits, signed_in.bonus_waits);
    let wallet = table.wallet(&account.id, WalletKind::Usd).await.unwrap();
    (account, wallet.available)
}

/// One bonus a mailbox, three a domain and day, five in all an hour, none for mailboxes that are thrown away; whoever gets
/// none at once gets an account, and the bonus with the first deposit, once.
#[tokio::test]
async fn bonuses_are_bounded_and_the_others_wait() {
    let table = kit::table().await;
    let (bonus, none) = (Amount::cents(200), Amount::ZERO);
    let mut number = 0;
    let mut has = async |email: &str, now: Timestamp| {
        number += 1;
        let (account, has) = sign_up(&table, email, number, now).await;
        (account, has)
    };
    for (email, amount, waits) in [
        ("ann@gmail.com", bonus, false),
        ("a.n.n@googlemail.com", none, false),
        ("ann@mailinator.com", none, true),
        ("a@x.example.org", bonus, false),
        ("b@y.example.org", bonus, false),
        ("c@example.org", bonus, false),
        ("d@z.example.org", none, true),
        ("bob@gmail.com", bonus, false),
        ("cat@gmail.com", none, true),
    ] {
        let (account, has) = has(email, NOW).await;
        assert_eq!((has, account.bonus_waits), (amount, waits), "{email}");
    }
    let hour = NOW.plus_ms(3_600_000);
    let (waiting, has_now) = has("dan@mailinator.com", hour).await;
    assert_eq!(has_now, none);
    let (late, _) = has("eve@example.org", hour).await;
    assert!(late.bonus_waits, "the domain has had its three of the day");

    // Ten times at once, and again: it comes once, to a wallet that is not empty.
    let grant = Immediate::Grant(EntryKind::Purchase, Amount::cents(1000));
    assert!(table.transfer("deposit", (&waiting.id, WalletKind::Usd), grant, hour).await.unwrap());
    let tries = (0..10).map(|_| {
        let (table, id) = (table.clone(), waiting.id.clone());
        tokio::spawn(async move { table.deposited(&id, TERMS, hour).await.unwrap() })
    });
    let mut granted = 0;
    for attempt in tries.collect::<Vec<_>>() {
        granted += usize::from(attempt.await.unwrap());
    }
    assert_eq!(granted, 1);
    assert!(!table.deposited(&waiting.id, TERMS, hour).await.unwrap());
    let wallet = table.wallet(&waiting.id, WalletKind::Usd).await.unwrap();
    assert_eq!(wallet.available, Amount::cents(1200));
    assert!(!table.account(&waiting.id).await.unwrap().unwrap().bonus_waits);
    // An account that had it waits for nothing.
    let (plain, _) = has("fay@yahoo.co.uk", hour.plus_ms(3_600_000)).await;
    assert!(!table.deposited(&plain.id, TERMS, hour).await.unwrap());
}

/// A mailbox that is not there gets no mail for a week, one whose owner complains for a month; strangers only so many.
#[tokio::test]
async fn unwanted_mail_is_not_sent_and_accounts_are_not_shut_out() {
    let table = kit::table().await;
    let address = |text: &str| EmailAddress::parse(text).unwrap();
    let quota = domain::sign_in::mails_to_strangers(2);
    let may = async |text: &str, now| table.mailing(&address(text), quota, now).await.unwrap();
    sign_up(&table, "known@example.com", 1, NOW).await;
    assert_eq!(may("a@example.com", NOW).await, Mailing::Welcome);
    assert_eq!(may("b@example.com", NOW).await, Mailing::Welcome);
    assert!(matches!(may("c@example.com", NOW).await, Mailing::TooMany(_)));
    assert_eq!(may("known@example.com", NOW).await, Mailing::Welcome, "who has an account gets in");

    let day = |days: i64| NOW.plus_ms(days * 86_400_000);
    table.do_not_mail(&address("known@example.com"), Unwanted::Bounced, NOW).await.unwrap();
    assert_eq!(may("known@example.com", day(7).plus_ms(-1)).await, Mailing::Unwanted);
    assert_eq!(may("known@example.com", day(7)).await, Mailing::Welcome, "there is a way back");
    table.do_not_mail(&address("known@example.com"), Unwanted::Complained, NOW).await.unwrap();
    table.do_not_mail(&address("known@example.com"), Unwanted::Bounced, NOW).await.unwrap();
    assert_eq!(may("known@example.com", day(30).plus_ms(-1)).await, Mailing::Unwanted);
}
