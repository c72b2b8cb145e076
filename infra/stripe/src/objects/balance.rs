//! Balance transactions: what each movement of money cost and brought.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, get};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/balance_transactions", &[LIST, &["currency", "source", "type"]], list),
    get("/v1/balance_transactions/{}", &[EXPAND], retrieve),
];

/// What is paid in can be paid out so much later.
const AVAILABLE_SECONDS: i64 = 2 * 24 * 3600;
/// Of a dispute, in cents.
pub(crate) const DISPUTE_FEE: i64 = 1500;

/// A charge's fee: 2.9 % and 30 cents.
pub(crate) fn fee(amount: i64) -> i64 {
    (amount * 29 + 500) / 1000 + 30
}

/// A movement.
#[derive(Debug)]
pub(crate) struct Movement<'a> {
    pub(crate) amount: i64,
    pub(crate) fee: i64,
    pub(crate) currency: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) category: &'a str,
    pub(crate) source: &'a str,
    pub(crate) description: Value,
}

/// Writes a movement down.
pub(crate) fn book(tx: &mut Tx<'_>, movement: &Movement<'_>) -> Value {
    let id = tx.id("txn");
    let fees = if movement.fee == 0 {
        json!([])
    } else {
        let description = if movement.kind == "charge" { "Stripe processing fees" } else { "Dispute fee" };
        json!([{
            "amount": movement.fee,
            "application": null,
            "currency": movement.currency,
            "description": description,
            "type": "stripe_fee",
        }])
    };
    let transaction = json!({
        "id": id,
        "object": "balance_transaction",
        "amount": movement.amount,
        "available_on": tx.now + AVAILABLE_SECONDS,
        "balance_type": "payments",
        "created": tx.now,
        "currency": movement.currency,
        "description": movement.description,
        "exchange_rate": null,
        "fee": movement.fee,
        "fee_details": fees,
        "net": movement.amount - movement.fee,
        "reporting_category": movement.category,
        "source": movement.source,
        "status": "pending",
        "type": movement.kind,
    });
    tx.put(transaction.clone());
    transaction
}

/// What has waited long enough is available.
fn settled(tx: &Tx<'_>, transaction: &mut Value) {
    if transaction["available_on"].as_i64().is_some_and(|on| on <= tx.now) {
        transaction["status"] = json!("available");
    }
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut transaction = tx.get("balance_transaction", ask.id(), "id")?;
    settled(tx, &mut transaction);
    Ok(transaction)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (currency, source, kind) =
        (list::is(ask.params, "currency")?, list::is(ask.params, "source")?, list::is(ask.params, "type")?);
    let wanted = |record: &crate::state::Record| currency(record) && source(record) && kind(record);
    let mut page = list::page(tx, "balance_transaction", ask.params, "/v1/balance_transactions", wanted)?;
    for transaction in page["data"].as_array_mut().into_iter().flatten() {
        settled(tx, transaction);
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fee_is_rounded_to_the_cent() {
        assert_eq!([500, 2500, 50_000, 50, 1017].map(super::fee), [45, 103, 1480, 31, 59]);
    }
}
