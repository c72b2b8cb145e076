//! The door: signing up and in, sessions, keys, the account, and who does not get in.

mod account;
pub(crate) mod browser;
mod keys;
pub(crate) mod secrets;
mod sessions;
mod sign_in;

use domain::account::SIGNUP_GRANTS;
use domain::ids::AccountId;
use domain::ledger::EntryKind;
use domain::money::WalletKind;
use serde_json::Value;

use crate::stack::cloud;
use crate::stack::cloud::{answer, http};
use crate::stack::door::browser::Browser;

/// A request with an API key.
async fn with_key(key: &str, path: &str) -> (u16, Value) {
    answer(http().get(cloud().url(path)).bearer_auth(key)).await
}

async fn verify(browser: &mut Browser, body: &Value) -> (u16, Value) {
    browser.post("/v1/auth/verify", body).await
}

/// Without what differs from one answer to the next.
fn without_request_id(mut answer: Value) -> Value {
    answer.as_object_mut().unwrap().remove("request_id");
    answer
}

/// What the account of `id` was granted, by wallet.
async fn bonuses(id: &str) -> Vec<(WalletKind, u64)> {
    let account = AccountId::parse(id).unwrap();
    let mut found = Vec::new();
    for wallet in WalletKind::ALL {
        let rows = cloud().table().entries(&account, wallet).await.unwrap();
        let bonus = rows.iter().filter(|row| row.entry.kind == EntryKind::SignupBonus);
        found.extend(bonus.map(|row| (wallet, row.entry.balance_after.units())));
    }
    found
}

fn full_bonus() -> Vec<(WalletKind, u64)> {
    SIGNUP_GRANTS.iter().map(|(wallet, amount)| (*wallet, amount.units())).collect()
}
