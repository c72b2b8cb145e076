//! Charges: single attempts to get money from a card.

use serde_json::{Value, json};

use super::balance::{self, Movement};
use crate::cards::Reason;
use crate::error::ApiError;
use crate::list::{self, LIST, SEARCH};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/charges", &[LIST, &["customer", "payment_intent"]], list),
    get("/v1/charges/search", &[SEARCH], search),
    get("/v1/charges/{}", &[EXPAND], retrieve),
    post("/v1/charges/{}", &[&["description", "expand[]", "metadata.*", "receipt_email"]], update),
];

/// A charge for an intent; it has failed if there is a reason.
pub(crate) fn make(tx: &mut Tx<'_>, intent: &Value, method: &Value, failed: Option<Reason>) -> Value {
    let id = tx.id("ch");
    let amount = intent["amount"].as_i64().unwrap_or_default();
    let currency = intent["currency"].as_str().unwrap_or_default();
    let transaction = match failed {
        Some(_) => Value::Null,
        None => {
            let movement = Movement {
                amount,
                fee: balance::fee(amount),
                currency,
                kind: "charge",
                category: "charge",
                source: &id,
                description: intent["description"].clone(),
            };
            balance::book(tx, &movement)["id"].clone()
        }
    };
    let outcome = match failed {
        None => json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }),
        Some(reason) => json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": "declined_by_network",
            "reason": reason.decline_code,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }),
    };
    let (card, paid) = (&method["card"], failed.is_none());
    let details = json!({
        "card": {
            "amount_authorized": paid.then_some(amount),
            "authorization_code": paid.then_some("123456"),
            "brand": card["brand"],
            "checks": card["checks"],
            "country": card["country"],
            "exp_month": card["exp_month"],
            "exp_year": card["exp_year"],
            "fingerprint": card["fingerprint"],
            "funding": card["funding"],
            "installments": null,
            "last4": card["last4"],
            "mandate": null,
            "network": card["brand"],
            "network_token": { "used": false },
            "network_transaction_id": paid.then_some("104210421042"),
            "regulated_status": "unregulated",
            "three_d_secure": null,
            "wallet": null,
        },
        "type": "card",
    });
    let charge = json!({
        "id": id,
        "object": "charge",
        "amount": amount,
        "amount_captured": if paid { amount } else { 0 },
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": transaction,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "LOCAL STRIPE",
        "captured": paid,
        "created": tx.now,
        "currency": currency,
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": failed.map(|reason| reason.code),
        "failure_message": failed.map(|reason| reason.message),
        "fraud_details": {},
        "livemode": false,
        "metadata": intent["metadata"],
        "on_behalf_of": null,
        "outcome": outcome,
        "paid": paid,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": details,
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": null,
        "receipt_url": paid.then(|| format!("{}/receipts/{id}", tx.base)),
        "refunded": false,
        "review": null,
        "shipping": null,
        "source_transfer": null,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": if paid { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
    });
    tx.put(charge.clone());
    tx.emit(if paid { "charge.succeeded" } else { "charge.failed" }, &charge);
    charge
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("charge", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut charge = retrieve(tx, ask)?;
    for name in ["description", "receipt_email"] {
        if let Some(value) = ask.params.clearable(name)? {
            charge[name] = value;
        }
    }
    charge["metadata"] = ask.params.metadata(&charge["metadata"])?;
    tx.put(charge.clone());
    tx.emit("charge.updated", &charge);
    Ok(charge)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (customer, intent) = (list::is(ask.params, "customer")?, list::is(ask.params, "payment_intent")?);
    let wanted = |record: &crate::state::Record| customer(record) && intent(record);
    list::page(tx, "charge", ask.params, "/v1/charges", wanted)
}

fn search(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    list::search(tx, "charge", ask.params, "/v1/charges/search")
}
