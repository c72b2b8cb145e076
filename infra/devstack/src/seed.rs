//! What a fresh local cloud holds before anyone has signed up.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use domain::{
    ids::{AccountId, ApiKey},
    ledger::EntryKind,
    money::{Amount, WalletKind},
    time::Timestamp,
};
use store::{Table, accounts::Account, ledger::Immediate};

use crate::Info;

/// The demo account's key: the same on every machine, so that documentation can name it. It opens nothing but a
/// local cloud, which listens on loopback only.
const DEMO_KEY: [u8; 32] = *b"clipwright-local-demo-account-00";
const DEMO_ACCOUNT: [u8; 16] = *b"clipwright-demo0";
/// What a new account gets, and what the demo account is topped up to at each start.
const OPENING: Amount = Amount::cents(500);

/// The table of a running local cloud, for whoever stands outside of it: the seed, and tests.
///
/// # Errors
/// When the stack has no table of this name.
pub fn table(info: &Info) -> anyhow::Result<Table> {
    let name = info.tables.get("Table").context("the template has no resource `Table`")?;
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(store::https().map_err(anyhow::Error::from_boxed)?)
        .region(Region::new(info.region.clone()))
        .credentials_provider(Credentials::new(
            &info.access_key_id,
            &info.secret_access_key,
            None,
            None,
            "local",
        ))
        .endpoint_url(&info.dynamodb_url)
        .build();
    Ok(Table::new(aws_sdk_dynamodb::Client::from_conf(config), name.clone()))
}

/// Makes the demo account with its API key and opening balance, and tops it up when it runs low; returns the key.
pub(crate) async fn demo_account(info: &Info) -> anyhow::Result<String> {
    if !info.tables.contains_key("Table") {
        return Ok(String::new());
    }
    let table = table(info)?;
    let now = now()?;
    let key = ApiKey::from_random(DEMO_KEY);
    let account = Account::new(AccountId::from_random(DEMO_ACCOUNT), None, now);
    table.open_account(&account, &key, "demo").await?;
    let usd = (&account.id, WalletKind::Usd);
    table.transfer("demo-signup", usd, Immediate::Grant(EntryKind::SignupBonus, OPENING), now).await?;
    let available = table.wallet(&account.id, WalletKind::Usd).await?.available;
    if let Some(missing) =
        OPENING.checked_sub(available).filter(|missing| missing.units() > OPENING.units() / 2)
    {
        let gift = Immediate::Grant(EntryKind::Gift, missing);
        table.transfer(&format!("demo-{}", now.0), usd, gift, now).await?;
    }
    Ok(key.reveal().to_owned())
}

fn now() -> anyhow::Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(Timestamp(i64::try_from(since.as_millis())?))
}
