//! Paying: what becomes of an intent and a card.

use serde_json::{Value, json};

use crate::cards::{AUTHENTICATION, Does, NOT_AUTHENTICATED, Reason};
use crate::error::ApiError;
use crate::objects::{charge, checkout, dispute, invoice, payment_method};
use crate::tx::Tx;

/// How a PaymentIntent is confirmed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Confirm {
    /// Instead of the one that it has.
    pub(crate) method: Option<String>,
    /// Nobody is there who could be asked.
    pub(crate) off_session: bool,
    /// Where who was asked goes next.
    pub(crate) return_url: Option<String>,
    /// To be asked is to fail.
    pub(crate) fail_on_action: bool,
}

/// Whether it may still be paid, changed or canceled.
pub(crate) fn is_open(intent: &Value) -> bool {
    let open = ["requires_payment_method", "requires_confirmation", "requires_action"];
    intent["status"].as_str().is_some_and(|status| open.contains(&status))
}

/// That it can't be done to an intent of this status.
pub(crate) fn unexpected(intent: &Value, what: &str) -> ApiError {
    let kind = intent["object"].as_str().unwrap_or_default();
    let (name, code) = match kind {
        "setup_intent" => ("SetupIntent", "setup_intent_unexpected_state"),
        _ => ("PaymentIntent", "payment_intent_unexpected_state"),
    };
    let status = intent["status"].as_str().unwrap_or_default();
    let message = format!("This {name} could not be {what} because it has a status of {status}.");
    ApiError::refused(message).code(code).with(kind, intent.clone())
}

/// Refuses a payment method that belongs to somebody else, or to nobody any more.
pub(crate) fn fits(tx: &Tx<'_>, intent: &Value, method: &Value) -> Result<(), ApiError> {
    payment_method::usable(tx, method)?;
    let id = method["id"].as_str().unwrap_or_default();
    if method["customer"].is_null() || method["customer"] == intent["customer"] {
        return Ok(());
    }
    let message = if intent["customer"].is_null() {
        format!(
            "The PaymentMethod {id} belongs to a Customer. Please include the Customer in the `customer` parameter \
             on the PaymentIntent."
        )
    } else {
        format!("The PaymentMethod {id} does not belong to the Customer of the PaymentIntent.")
    };
    Err(ApiError::refused(message).param("payment_method"))
}

/// Tries to get the money. An error of the card leaves the intent open for another attempt.
pub(crate) fn confirm(tx: &mut Tx<'_>, id: &str, options: &Confirm) -> Result<Value, ApiError> {
    let mut intent = tx.get("payment_intent", id, "id")?;
    if !is_open(&intent) {
        return Err(unexpected(&intent, "confirmed"));
    }
    let Some(method) = options.method.as_deref().or(intent["payment_method"].as_str()) else {
        return Err(ApiError::refused(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update \
             the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a \
             payment method or ConfirmationToken.",
        )
        .code("payment_intent_unexpected_state")
        .with("payment_intent", intent));
    };
    let method = payment_method::resolve(tx, method, "payment_method")?;
    fits(tx, &intent, &method)?;
    let method_id = method["id"].as_str().unwrap_or_default().to_owned();
    let card = payment_method::card(tx, &method_id)?;
    intent["payment_method"] = json!(method_id);
    intent["next_action"] = Value::Null;
    if !options.off_session && card.asks_present() {
        if options.fail_on_action {
            return fail(tx, intent, &method, AUTHENTICATION);
        }
        intent["status"] = json!("requires_action");
        intent["next_action"] = action(tx, id, options.return_url.as_deref());
        tx.put(intent.clone());
        tx.emit("payment_intent.requires_action", &intent);
        return Ok(intent);
    }
    let set_up = payment_method::is_set_up(tx, &method_id);
    match card.refuses(!options.off_session, false, set_up) {
        Some(reason) => fail(tx, intent, &method, reason),
        None => Ok(succeed(tx, intent, method)),
    }
}

/// What somebody has to do: the page of this intent.
pub(crate) fn action(tx: &Tx<'_>, intent: &str, return_url: Option<&str>) -> Value {
    let url = format!("{}/authenticate/{intent}", tx.base);
    match return_url {
        Some(back) => {
            json!({ "type": "redirect_to_url", "redirect_to_url": { "return_url": back, "url": url } })
        }
        None => json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": { "type": "three_d_secure_redirect", "stripe_js": url },
        }),
    }
}

/// Somebody was asked who it is, and said so or did not.
pub(crate) fn answer(tx: &mut Tx<'_>, id: &str, confirmed: bool) -> Result<Value, ApiError> {
    let mut intent = tx.get("payment_intent", id, "id")?;
    if intent["status"] != "requires_action" {
        return Err(unexpected(&intent, "authenticated"));
    }
    let method_id = intent["payment_method"].as_str().unwrap_or_default().to_owned();
    let method = tx.get("payment_method", &method_id, "payment_method")?;
    intent["next_action"] = Value::Null;
    if !confirmed {
        return fail(tx, intent, &method, NOT_AUTHENTICATED);
    }
    match payment_method::card(tx, &method_id)?.refuses(true, true, false) {
        Some(reason) => fail(tx, intent, &method, reason),
        None => Ok(succeed(tx, intent, method)),
    }
}

fn succeed(tx: &mut Tx<'_>, mut intent: Value, mut method: Value) -> Value {
    let id = intent["id"].as_str().unwrap_or_default().to_owned();
    let method_id = method["id"].as_str().unwrap_or_default().to_owned();
    if let Some(customer) = intent["customer"].as_str()
        && !intent["setup_future_usage"].is_null()
    {
        method = payment_method::keep(tx, method, customer);
        if intent["setup_future_usage"] == "off_session" {
            payment_method::set_up(tx, &method_id);
        }
    }
    if method["customer"].is_null() {
        payment_method::spend(tx, &method_id);
    }
    let charge = charge::make(tx, &intent, &method, None);
    intent["status"] = json!("succeeded");
    intent["amount_received"] = intent["amount"].clone();
    intent["latest_charge"] = charge["id"].clone();
    intent["last_payment_error"] = Value::Null;
    tx.put(intent.clone());
    tx.emit("payment_intent.succeeded", &intent);
    checkout::paid(tx, &id);
    invoice::paid(tx, &id);
    if let Ok(card) = payment_method::card(tx, &method_id)
        && let Does::Dispute(reason) = card.does
    {
        dispute::open(tx, charge, None, reason);
    }
    intent
}

/// What the bank's refusal is answered with.
pub(crate) fn refusal(reason: Reason) -> ApiError {
    let decline_code = (!reason.decline_code.is_empty()).then_some(reason.decline_code);
    ApiError::card(reason.message, reason.code, decline_code)
}

fn fail(tx: &mut Tx<'_>, mut intent: Value, method: &Value, reason: Reason) -> Result<Value, ApiError> {
    let mut error = refusal(reason);
    // Who did not authenticate was never charged.
    if reason != NOT_AUTHENTICATED {
        let charge = charge::make(tx, &intent, method, Some(reason));
        intent["latest_charge"] = charge["id"].clone();
        error = error.with("charge", charge["id"].clone());
    }
    error = error.with("payment_method", method.clone());
    intent["status"] = json!("requires_payment_method");
    intent["payment_method"] = Value::Null;
    intent["last_payment_error"] = Value::Object(error.error.clone());
    tx.put(intent.clone());
    tx.emit("payment_intent.payment_failed", &intent);
    Err(error.with("payment_intent", intent))
}
