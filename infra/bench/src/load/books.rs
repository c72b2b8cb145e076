//! Whether the books balance, and what was asked of DynamoDB.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use domain::{
    ids::AccountId,
    ledger::EntryKind,
    money::{Amount, WalletKind},
};
use serde::Serialize;
use serde_json::Value as Json;
use store::Table;

use super::people::Person;

/// What was found in the books of all accounts, which balance.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Audit {
    /// Jobs by how they have ended.
    pub(crate) ended: BTreeMap<String, usize>,
    /// Jobs that were accepted.
    pub(crate) accepted: usize,
    pub(crate) entries: usize,
    /// Micro-dollars.
    pub(crate) charged: i64,
}

/// Calls of DynamoDB by handler and operation.
pub(crate) type Calls = BTreeMap<String, BTreeMap<String, u64>>;

/// Checks every account: available and held are the sums of the entries, which are numbered without gaps; nothing is held
/// any more; each job was reserved once and then charged or refunded once.
pub(crate) fn audit(info: &Json, people: &[Person]) -> anyhow::Result<Audit> {
    let table = table(info)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut audit = Audit::default();
    for person in people {
        runtime
            .block_on(one(&table, person, &mut audit))
            .with_context(|| format!("the books of account {} do not balance", person.account))?;
    }
    Ok(audit)
}

async fn one(table: &Table, person: &Person, audit: &mut Audit) -> anyhow::Result<()> {
    let account = AccountId::parse(&person.account).context("not an account's id")?;
    let wallet = table.wallet(&account, WalletKind::Usd).await?;
    let rows = table.entries(&account, WalletKind::Usd).await?;
    let sum = |delta: fn(&store::ledger::EntryRow) -> i64| rows.iter().map(delta).sum::<i64>();
    let (available, held) = (sum(|row| row.entry.available_delta), sum(|row| row.entry.held_delta));
    ensure!(amount(available)? == wallet.available, "{available} available by entries, {:?}", wallet);
    ensure!(amount(held)? == wallet.held && held == 0, "{held} held by entries, {:?}", wallet);
    let numbers = rows.iter().map(|row| row.entry.seq);
    ensure!(numbers.eq(1..=wallet.seq), "entries are not numbered from 1 to {}", wallet.seq);
    for (job, end) in person.ended() {
        let kinds: Vec<EntryKind> =
            rows.iter().filter(|row| row.reference == job).map(|row| row.entry.kind).collect();
        let last = if end == "complete" { EntryKind::Charge } else { EntryKind::Refund };
        if kinds != [EntryKind::Reservation, last] {
            bail!("job {job} is {end}, its entries are {kinds:?}");
        }
        *audit.ended.entry(end).or_default() += 1;
    }
    audit.accepted += person.asked_for();
    audit.entries += rows.len();
    audit.charged += rows
        .iter()
        .filter(|row| row.entry.kind == EntryKind::Charge)
        .map(|row| -(row.entry.available_delta + row.entry.held_delta))
        .sum::<i64>();
    Ok(())
}

fn amount(micros: i64) -> anyhow::Result<Amount> {
    Ok(Amount::new(u64::try_from(micros).context("less than nothing")?))
}

fn table(info: &Json) -> anyhow::Result<Table> {
    let text =
        |name: &str| info[name].as_str().with_context(|| format!("the local cloud does not tell {name}"));
    let (id, secret) = (text("access_key_id")?, text("secret_access_key")?);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(store::https().map_err(anyhow::Error::from_boxed)?)
        .region(Region::new(text("region")?.to_owned()))
        .credentials_provider(Credentials::new(id, secret, None, None, "local"))
        .endpoint_url(text("dynamodb_url")?)
        .build();
    let name = info["tables"]["Table"].as_str().context("the local cloud has no table")?;
    Ok(Table::new(aws_sdk_dynamodb::Client::from_conf(config), name.to_owned()))
}

/// What was called between two looks.
pub(crate) fn difference(before: &Json, after: &Json) -> Calls {
    let of = |json: &Json| serde_json::from_value::<Calls>(json.clone()).unwrap_or_default();
    let (before, mut calls) = (of(before), of(after));
    for (handler, operations) in &mut calls {
        for (operation, count) in operations.iter_mut() {
            let earlier = before.get(handler).and_then(|operations| operations.get(operation)).copied();
            *count -= earlier.unwrap_or_default().min(*count);
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_counted_from_the_first_look_on() {
        let calls = difference(
            &json!({"a": {"GetItem": 2}}),
            &json!({"a": {"GetItem": 5, "Query": 1}, "b": {"PutItem": 1}}),
        );
        assert_eq!(json!(calls), json!({"a": {"GetItem": 3, "Query": 1}, "b": {"PutItem": 1}}));
    }
}
