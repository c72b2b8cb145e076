//! Disputes: a card's owner wants the money back, and the bank takes it.

use serde_json::{Value, json};

use super::balance::{self, DISPUTE_FEE, Movement};
use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/disputes", &[LIST, &["charge", "payment_intent"]], list),
    get("/v1/disputes/{}", &[EXPAND], retrieve),
    post("/v1/disputes/{}", &[&["evidence.*", "expand[]", "metadata.*", "submit"]], update),
    post("/v1/disputes/{}/close", &[EXPAND], close_call),
];

/// How long the shop has to answer.
const ANSWER_SECONDS: i64 = 9 * 24 * 3600;
const EVIDENCE: [&str; 26] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "uncategorized_file",
    "uncategorized_text",
];

/// Opens one about a charge, or about a part of it.
pub(crate) fn open(tx: &mut Tx<'_>, mut charge: Value, amount: Option<i64>, reason: &str) -> Value {
    let id = tx.id("du");
    let amount = amount.or_else(|| charge["amount"].as_i64()).unwrap_or_default();
    let currency = charge["currency"].as_str().unwrap_or_default().to_owned();
    let withdrawn = balance::book(
        tx,
        &Movement {
            amount: -amount,
            fee: DISPUTE_FEE,
            currency: &currency,
            kind: "adjustment",
            category: "dispute",
            source: &id,
            description: json!(format!(
                "Chargeback withdrawal for {}",
                charge["id"].as_str().unwrap_or_default()
            )),
        },
    );
    let mut evidence: Value = EVIDENCE.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    evidence["enhanced_evidence"] = json!({});
    let dispute = json!({
        "id": id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [withdrawn],
        "charge": charge["id"],
        "created": tx.now,
        "currency": currency,
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": tx.now + ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": charge["payment_method_details"]["card"]["brand"],
                "case_type": "chargeback",
                "network_reason_code": if reason == "fraudulent" { "10.4" } else { "13.1" },
            },
            "type": "card",
        },
        "reason": reason,
        "status": "needs_response",
    });
    tx.put(dispute.clone());
    charge["disputed"] = json!(true);
    tx.put(charge);
    tx.emit("charge.dispute.created", &dispute);
    tx.emit("charge.dispute.funds_withdrawn", &dispute);
    dispute
}

/// Ends one, won or lost.
pub(crate) fn close(tx: &mut Tx<'_>, id: &str, won: bool) -> Result<Value, ApiError> {
    let mut dispute = tx.get("dispute", id, "id")?;
    if dispute["status"] == "won" || dispute["status"] == "lost" {
        return Err(ApiError::refused("This dispute is already closed").code("dispute_already_closed"));
    }
    let before = json!({ "status": dispute["status"] });
    dispute["status"] = json!(if won { "won" } else { "lost" });
    if won {
        let currency = dispute["currency"].as_str().unwrap_or_default().to_owned();
        let returned = balance::book(
            tx,
            &Movement {
                amount: dispute["amount"].as_i64().unwrap_or_default(),
                fee: 0,
                currency: &currency,
                kind: "adjustment",
                category: "dispute_reversal",
                source: id,
                description: json!(format!(
                    "Chargeback reversal for {}",
                    dispute["charge"].as_str().unwrap_or_default()
                )),
            },
        );
        if let Some(transactions) = dispute["balance_transactions"].as_array_mut() {
            transactions.push(returned);
        }
    }
    tx.put(dispute.clone());
    if won {
        tx.emit("charge.dispute.funds_reinstated", &dispute);
    }
    tx.emit_with("charge.dispute.closed", &dispute, before);
    Ok(dispute)
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("dispute", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let evidence = ask.params.below("evidence")?.value();
    if let Some(unknown) = evidence.keys().find(|name| !EVIDENCE.contains(&name.as_str())) {
        let param = format!("evidence[{unknown}]");
        let error = ApiError::form(format!("Received unknown parameter: {param}")).code("parameter_unknown");
        return Err(error.param(&param));
    }
    let submit = ask.params.boolean("submit")?.unwrap_or(true);
    let mut dispute = retrieve(tx, ask)?;
    dispute["metadata"] = ask.params.metadata(&dispute["metadata"])?;
    let says = evidence.get("uncategorized_text").and_then(Value::as_str).map(str::to_owned);
    if !evidence.is_empty() {
        for (name, value) in evidence {
            dispute["evidence"][name] = value;
        }
        dispute["evidence_details"]["has_evidence"] = json!(true);
        if submit {
            let count = dispute["evidence_details"]["submission_count"].as_i64().unwrap_or_default();
            dispute["evidence_details"]["submission_count"] = json!(count + 1);
            dispute["status"] = json!("under_review");
        }
    }
    tx.put(dispute.clone());
    tx.emit("charge.dispute.updated", &dispute);
    // As Stripe's test mode takes it.
    match says.as_deref().filter(|_| submit) {
        Some("winning_evidence") => close(tx, ask.id(), true),
        Some("losing_evidence") => close(tx, ask.id(), false),
        _ => Ok(dispute),
    }
}

fn close_call(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    close(tx, ask.id(), false)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (charge, intent) = (list::is(ask.params, "charge")?, list::is(ask.params, "payment_intent")?);
    let wanted = |record: &crate::state::Record| charge(record) && intent(record);
    list::page(tx, "dispute", ask.params, "/v1/disputes", wanted)
}
