//! Invoices: what a subscription's period costs, and the attempts to be paid for it.

use serde_json::{Value, json};

use super::{payment_intent, subscription};
use crate::error::{ApiError, Effect};
use crate::expand::list_of;
use crate::list::{self, LIST};
use crate::pay::{self, Confirm};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/invoices", &[LIST, &["customer", "status", "subscription"]], list),
    get("/v1/invoices/{}", &[EXPAND], retrieve),
    get("/v1/invoices/{}/lines", &[LIST], lines),
    post("/v1/invoices/{}/pay", &[&["expand[]", "off_session", "payment_method"]], pay_call),
    get(
        "/v1/invoice_payments",
        &[LIST, &["invoice", "payment.payment_intent", "payment.type", "status"]],
        list_payments,
    ),
    get("/v1/invoice_payments/{}", &[EXPAND], retrieve_payment),
];

const DAY: i64 = 24 * 3600;
/// How long after a failed attempt the next one is; after the last of them nobody tries again.
const RETRY_SECONDS: [i64; 3] = [3 * DAY, 5 * DAY, 7 * DAY];

/// An invoice over a subscription's current period and what is bought once with it.
pub(crate) fn make(
    tx: &mut Tx<'_>,
    subscription: &Value,
    once: &[Value],
    reason: &str,
    (period_start, period_end): (i64, i64),
) -> Value {
    let id = tx.id("in");
    let subscription_id = &subscription["id"];
    let mut customer =
        subscription["customer"].as_str().and_then(|id| tx.find("customer", id)).unwrap_or_default();
    let sequence = customer["next_invoice_sequence"].as_i64().unwrap_or(1);
    let number = format!("{}-{sequence:04}", customer["invoice_prefix"].as_str().unwrap_or("LOCAL"));
    if customer["id"].is_string() {
        customer["next_invoice_sequence"] = json!(sequence + 1);
        tx.put(customer.clone());
    }
    let mut data = Vec::new();
    let items = subscription["items"]["data"].as_array().cloned().unwrap_or_default();
    for item in items.iter().chain(once) {
        let price = &item["price"];
        let quantity = item["quantity"].as_i64().unwrap_or(1);
        let amount = price["unit_amount"].as_i64().unwrap_or_default() * quantity;
        let again = item["object"] == "subscription_item";
        let product = price["product"].as_str().and_then(|id| tx.find("product", id)).unwrap_or_default();
        let name = product["name"].as_str().unwrap_or_default();
        let line = tx.id("il");
        let parent = again.then(|| {
            json!({
                "invoice_item_details": null,
                "subscription_item_details": {
                    "invoice_item": null,
                    "proration": false,
                    "proration_details": { "credited_items": null },
                    "subscription": subscription_id,
                    "subscription_item": item["id"],
                },
                "type": "subscription_item_details",
            })
        });
        let period = if again {
            json!({ "start": item["current_period_start"], "end": item["current_period_end"] })
        } else {
            json!({ "start": tx.now, "end": tx.now })
        };
        data.push(json!({
            "id": line,
            "object": "line_item",
            "amount": amount,
            "currency": subscription["currency"],
            "description": format!("{quantity} × {name}"),
            "discount_amounts": [],
            "discountable": true,
            "discounts": [],
            "invoice": id,
            "livemode": false,
            "metadata": subscription["metadata"],
            "parent": parent,
            "period": period,
            "pretax_credit_amounts": [],
            "pricing": {
                "price_details": { "price": price["id"], "product": price["product"] },
                "type": "price_details",
                "unit_amount_decimal": price["unit_amount_decimal"],
            },
            "quantity": quantity,
            "quantity_decimal": quantity.to_string(),
            "subscription": subscription_id,
            "subtotal": amount,
            "taxes": [],
        }));
    }
    let total: i64 = data.iter().filter_map(|line| line["amount"].as_i64()).sum();
    let invoice = json!({
        "id": id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Local Stripe",
        "account_tax_ids": null,
        "amount_due": total,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_paid_off_stripe": 0,
        "amount_remaining": total,
        "amount_shipping": 0,
        "application": null,
        "attempt_count": 0,
        "attempted": false,
        "auto_advance": true,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null, "provider": null, "status": null },
        "automatically_finalizes_at": null,
        "billing_reason": reason,
        "collection_method": "charge_automatically",
        "created": tx.now,
        "currency": subscription["currency"],
        "custom_fields": null,
        "customer": subscription["customer"],
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": null,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": null,
        "default_source": null,
        "default_tax_rates": [],
        "description": null,
        "discounts": [],
        "due_date": null,
        "effective_at": tx.now,
        "ending_balance": 0,
        "footer": null,
        "from_invoice": null,
        "hosted_invoice_url": format!("{}/invoices/{id}", tx.base),
        "invoice_pdf": null,
        "issuer": { "type": "self" },
        "last_finalization_error": null,
        "latest_revision": null,
        "lines": list_of(data, &format!("/v1/invoices/{id}/lines")),
        "livemode": false,
        "metadata": {},
        "next_payment_attempt": null,
        "number": number,
        "on_behalf_of": null,
        "parent": {
            "quote_details": null,
            "subscription_details": { "metadata": subscription["metadata"], "subscription": subscription_id },
            "type": "subscription_details",
        },
        "payment_settings": { "default_mandate": null, "payment_method_options": null, "payment_method_types": null },
        "period_end": period_end,
        "period_start": period_start,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": null,
        "rendering": null,
        "shipping_cost": null,
        "shipping_details": null,
        "starting_balance": 0,
        "statement_descriptor": null,
        "status": "draft",
        "status_transitions": {
            "finalized_at": null, "marked_uncollectible_at": null, "paid_at": null, "voided_at": null,
        },
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "test_clock": null,
        "total": total,
        "total_discount_amounts": [],
        "total_excluding_tax": total,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": tx.now,
    });
    tx.put(invoice.clone());
    tx.emit("invoice.created", &invoice);
    let mut invoice = invoice;
    invoice["status"] = json!("open");
    invoice["status_transitions"]["finalized_at"] = json!(tx.now);
    tx.put(invoice.clone());
    tx.emit("invoice.finalized", &invoice);
    invoice
}

/// The subscription that it is for.
fn subscription_of(invoice: &Value) -> &str {
    invoice["parent"]["subscription_details"]["subscription"].as_str().unwrap_or_default()
}

/// How an invoice and a PaymentIntent belong together.
fn join(tx: &mut Tx<'_>, invoice: &Value, intent: &Value) {
    let id = tx.id("inpay");
    let payment = json!({
        "id": id,
        "object": "invoice_payment",
        "amount_paid": null,
        "amount_requested": invoice["amount_due"],
        "created": tx.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": true,
        "livemode": false,
        "payment": { "payment_intent": intent["id"], "type": "payment_intent" },
        "status": "open",
        "status_transitions": { "canceled_at": null, "paid_at": null },
    });
    tx.put(payment);
    let intent = intent["id"].as_str().unwrap_or_default();
    let mut hidden = tx.hidden(intent).clone();
    hidden["invoice"] = invoice["id"].clone();
    tx.hide(intent, hidden);
    let id = invoice["id"].as_str().unwrap_or_default();
    let mut hidden = tx.hidden(id).clone();
    hidden["intent"] = json!(intent);
    tx.hide(id, hidden);
}

/// It was paid with this intent before it was there: in Checkout.
pub(crate) fn pay_with(tx: &mut Tx<'_>, mut invoice: Value, intent: &Value) {
    join(tx, &invoice, intent);
    invoice["attempt_count"] = json!(1);
    invoice["attempted"] = json!(true);
    tx.put(invoice);
    paid(tx, intent["id"].as_str().unwrap_or_default());
}

/// An intent has succeeded: if it is an invoice's, that is paid.
pub(crate) fn paid(tx: &mut Tx<'_>, intent: &str) {
    let Some(id) = tx.hidden(intent)["invoice"].as_str().map(str::to_owned) else { return };
    let payment = tx.all("invoice_payment").into_iter().find(|record| {
        record.object["payment"]["payment_intent"] == intent && record.object["invoice"] == id.as_str()
    });
    if let Some(mut payment) = payment.map(|record| record.object.clone()) {
        payment["amount_paid"] = payment["amount_requested"].clone();
        payment["status"] = json!("paid");
        payment["status_transitions"]["paid_at"] = json!(tx.now);
        tx.put(payment.clone());
        tx.emit("invoice_payment.paid", &payment);
    }
    settle(tx, &id);
}

/// It is paid.
fn settle(tx: &mut Tx<'_>, id: &str) {
    let Some(mut invoice) = tx.find("invoice", id).filter(|invoice| invoice["status"] == "open") else {
        return;
    };
    invoice["status"] = json!("paid");
    invoice["amount_paid"] = invoice["amount_due"].clone();
    invoice["amount_remaining"] = json!(0);
    invoice["next_payment_attempt"] = Value::Null;
    invoice["status_transitions"]["paid_at"] = json!(tx.now);
    tx.put(invoice.clone());
    tx.emit("invoice.paid", &invoice);
    tx.emit("invoice.payment_succeeded", &invoice);
    subscription::set_status(tx, subscription_of(&invoice), "active");
}

/// The card that it is paid with: the subscription's, else the customer's.
fn method(tx: &Tx<'_>, invoice: &Value) -> Option<String> {
    let subscription = tx.find("subscription", subscription_of(invoice)).unwrap_or_default();
    let customer = invoice["customer"].as_str().and_then(|id| tx.find("customer", id)).unwrap_or_default();
    let wanted =
        [&subscription["default_payment_method"], &customer["invoice_settings"]["default_payment_method"]];
    let mut attached = wanted.into_iter().filter_map(Value::as_str).filter(|id| {
        tx.find("payment_method", id).is_some_and(|method| method["customer"] == invoice["customer"])
    });
    attached.next().map(str::to_owned)
}

/// Tries to be paid while nobody is there, and says when it is tried again.
pub(crate) fn collect(tx: &mut Tx<'_>, id: &str) {
    let Some(invoice) = tx.find("invoice", id).filter(|invoice| invoice["status"] == "open") else { return };
    if invoice["amount_due"] == 0 {
        settle(tx, id);
        return;
    }
    let chosen = method(tx, &invoice);
    if let Err(error) = attempt(tx, id, chosen, true) {
        failed(tx, id, &error);
    }
}

/// One attempt, whoever asks for it.
fn attempt(tx: &mut Tx<'_>, id: &str, method: Option<String>, off_session: bool) -> Result<Value, ApiError> {
    let mut invoice = tx.get("invoice", id, "id")?;
    let count = invoice["attempt_count"].as_i64().unwrap_or_default();
    invoice["attempt_count"] = json!(count + 1);
    invoice["attempted"] = json!(true);
    tx.put(invoice.clone());
    let method = method.ok_or_else(|| {
        let message = "There is no `default_payment_method` set on this Customer or Invoice.";
        ApiError::refused(message).code("invoice_no_payment_method_types")
    })?;
    let intent = match tx.hidden(id)["intent"].as_str() {
        Some(intent) => intent.to_owned(),
        None => {
            let amount = invoice["amount_due"].as_i64().unwrap_or_default();
            let currency = invoice["currency"].as_str().unwrap_or_default().to_owned();
            let mut intent = payment_intent::make(tx, amount, &currency);
            intent["customer"] = invoice["customer"].clone();
            intent["description"] = json!("Subscription update");
            intent["setup_future_usage"] = json!("off_session");
            tx.put(intent.clone());
            tx.emit("payment_intent.created", &intent);
            join(tx, &invoice, &intent);
            intent["id"].as_str().unwrap_or_default().to_owned()
        }
    };
    pay::confirm(tx, &intent, &Confirm { method: Some(method), off_session, ..Confirm::default() })?;
    tx.get("invoice", id, "id")
}

/// An attempt has failed.
fn failed(tx: &mut Tx<'_>, id: &str, error: &ApiError) {
    let Some(mut invoice) = tx.find("invoice", id) else { return };
    let attempts =
        invoice["attempt_count"].as_i64().and_then(|count| usize::try_from(count).ok()).unwrap_or(1);
    let retry = RETRY_SECONDS.get(attempts.saturating_sub(1));
    invoice["next_payment_attempt"] = retry.map_or(Value::Null, |seconds| json!(tx.now + seconds));
    tx.put(invoice.clone());
    tx.emit("invoice.payment_failed", &invoice);
    if error.error.get("code").is_some_and(|code| code == "authentication_required") {
        tx.emit("invoice.payment_action_required", &invoice);
    }
    let subscription = subscription_of(&invoice).to_owned();
    if retry.is_some() {
        subscription::set_status(tx, &subscription, "past_due");
    } else if let Some(mut subscription) = tx.find("subscription", &subscription) {
        subscription["cancellation_details"]["reason"] = json!("payment_failed");
        subscription::end(tx, subscription, "canceled");
    }
}

/// A subscription has ended: nobody tries any more to be paid for it.
pub(crate) fn give_up(tx: &mut Tx<'_>, subscription: &str) {
    let all = tx.all("invoice").into_iter().map(|record| record.object.clone());
    let open: Vec<Value> = all
        .filter(|invoice| invoice["status"] == "open" && subscription_of(invoice) == subscription)
        .collect();
    for mut invoice in open {
        invoice["auto_advance"] = json!(false);
        invoice["next_payment_attempt"] = Value::Null;
        tx.put(invoice);
    }
}

fn pay_call(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let off_session = ask.params.boolean("off_session")?.unwrap_or(true);
    let given = ask.params.text("payment_method")?.map(str::to_owned);
    let invoice = retrieve(tx, ask)?;
    if invoice["status"] == "paid" {
        return Err(ApiError::refused("Invoice is already paid").code("invoice_already_paid"));
    }
    let chosen = given.or_else(|| method(tx, &invoice));
    attempt(tx, ask.id(), chosen, off_session).map_err(|mut error| {
        // The attempt is counted, and the shop told of it; when it is tried next stays as it was.
        error.effect = Effect::Changes;
        if let Some(invoice) = tx.find("invoice", ask.id()) {
            tx.emit("invoice.payment_failed", &invoice);
        }
        error
    })
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("invoice", ask.id(), "id")
}

fn lines(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    Ok(retrieve(tx, ask)?["lines"].clone())
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (customer, status) = (list::is(ask.params, "customer")?, list::is(ask.params, "status")?);
    let subscription = ask.params.text("subscription")?;
    let wanted = |record: &crate::state::Record| {
        customer(record)
            && status(record)
            && subscription.is_none_or(|id| subscription_of(&record.object) == id)
    };
    list::page(tx, "invoice", ask.params, "/v1/invoices", wanted)
}

fn list_payments(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (invoice, status) = (list::is(ask.params, "invoice")?, list::is(ask.params, "status")?);
    let payment = ask.params.below("payment")?;
    let intent = payment.text("payment_intent")?;
    if ask.params.has("payment") && payment.required("type")? != "payment_intent" {
        return Err(ApiError::form("Here invoices are paid by PaymentIntents.").param("payment[type]"));
    }
    let wanted = |record: &crate::state::Record| {
        invoice(record)
            && status(record)
            && intent.is_none_or(|id| record.object["payment"]["payment_intent"] == id)
    };
    list::page(tx, "invoice_payment", ask.params, "/v1/invoice_payments", wanted)
}

fn retrieve_payment(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("invoice_payment", ask.id(), "id")
}
