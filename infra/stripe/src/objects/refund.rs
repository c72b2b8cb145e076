//! Refunds.

use serde_json::{Value, json};

use super::balance::{self, Movement};
use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/refunds", &[LIST, &["charge", "payment_intent"]], list),
    post(
        "/v1/refunds",
        &[&["amount", "charge", "expand[]", "metadata.*", "payment_intent", "reason"]],
        create,
    ),
    get("/v1/refunds/{}", &[EXPAND], retrieve),
    post("/v1/refunds/{}", &[&["expand[]", "metadata.*"]], update),
];

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let wanted = params.integer("amount")?;
    let reason = params.choice("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let metadata = params.metadata(&json!({}))?;
    if wanted.is_some_and(|amount| amount < 1) {
        let error = ApiError::form("Invalid positive integer").code("parameter_invalid_integer");
        return Err(error.param("amount"));
    }
    let mut charge = charge(tx, ask)?;
    let id = charge["id"].as_str().unwrap_or_default().to_owned();
    let (amount, refunded) = (number(&charge, "amount"), number(&charge, "amount_refunded"));
    if charge["status"] != "succeeded" {
        let message = format!("Charge {id} has not succeeded; it cannot be refunded.");
        return Err(ApiError::refused(message).code("charge_not_refundable"));
    }
    if charge["disputed"] == true && !won(tx, &id) {
        let message = format!("Charge {id} has been charged back; cannot issue a refund.");
        return Err(ApiError::refused(message).code("charge_disputed"));
    }
    let left = amount - refunded;
    if left == 0 {
        let message = format!("Charge {id} has already been refunded.");
        return Err(ApiError::refused(message).code("charge_already_refunded"));
    }
    let wanted = wanted.unwrap_or(left);
    if wanted > left {
        let message = format!(
            "Refund amount (${}) is greater than unrefunded amount on charge (${})",
            crate::pages::dollars(wanted),
            crate::pages::dollars(left)
        );
        return Err(ApiError::refused(message).param("amount"));
    }
    let refund_id = tx.id("re");
    let currency = charge["currency"].as_str().unwrap_or_default().to_owned();
    let movement = Movement {
        amount: -wanted,
        fee: 0,
        currency: &currency,
        kind: "refund",
        category: "refund",
        source: &refund_id,
        description: json!(format!("REFUND FOR CHARGE ({id})")),
    };
    let transaction = balance::book(tx, &movement);
    let refund = json!({
        "id": refund_id,
        "object": "refund",
        "amount": wanted,
        "balance_transaction": transaction["id"],
        "charge": id,
        "created": tx.now,
        "currency": currency,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    });
    tx.put(refund.clone());
    let before = json!({ "amount_refunded": refunded, "refunded": false });
    charge["amount_refunded"] = json!(refunded + wanted);
    charge["refunded"] = json!(wanted == left);
    tx.put(charge.clone());
    tx.emit("refund.created", &refund);
    tx.emit_with("charge.refunded", &charge, before);
    Ok(refund)
}

fn number(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_default()
}

/// Whether all disputes about a charge ended well.
fn won(tx: &Tx<'_>, charge: &str) -> bool {
    let mut about = tx.all("dispute").into_iter().filter(|record| record.object["charge"] == charge);
    about.all(|record| record.object["status"] == "won")
}

/// What is to be refunded.
fn charge(tx: &Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    match (ask.params.text("charge")?, ask.params.text("payment_intent")?) {
        (Some(charge), None) => tx.get("charge", charge, "charge"),
        (None, Some(intent)) => {
            let intent = tx.get("payment_intent", intent, "payment_intent")?;
            let charge = intent["latest_charge"].as_str().filter(|_| intent["status"] == "succeeded");
            let charge = charge.ok_or_else(|| {
                let id = intent["id"].as_str().unwrap_or_default();
                ApiError::refused(format!(
                    "This PaymentIntent ({id}) does not have a successful charge to refund."
                ))
                .code("payment_intent_unexpected_state")
            })?;
            tx.get("charge", charge, "charge")
        }
        (None, None) => Err(ApiError::form(
            "One of the following params should be provided for this request: payment_intent or charge.",
        )),
        (Some(_), Some(_)) => {
            Err(ApiError::form("You may only specify one of these parameters: charge, payment_intent."))
        }
    }
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("refund", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut refund = retrieve(tx, ask)?;
    refund["metadata"] = ask.params.metadata(&refund["metadata"])?;
    tx.put(refund.clone());
    tx.emit("refund.updated", &refund);
    Ok(refund)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (charge, intent) = (list::is(ask.params, "charge")?, list::is(ask.params, "payment_intent")?);
    let wanted = |record: &crate::state::Record| charge(record) && intent(record);
    list::page(tx, "refund", ask.params, "/v1/refunds", wanted)
}
