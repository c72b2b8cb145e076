//! SetupIntents: the wish to keep a card for later.

use serde_json::{Value, json};

use super::{checkout, customer, payment_method};
use crate::cards::{AUTHENTICATION, NOT_AUTHENTICATED, Reason};
use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::pay;
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

const FIELDS: &[&str] =
    &["customer", "description", "expand[]", "metadata.*", "payment_method", "payment_method_types[]"];

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/setup_intents", &[LIST, &["customer", "payment_method"]], list),
    post(
        "/v1/setup_intents",
        &[
            FIELDS,
            &[
                "automatic_payment_methods.allow_redirects",
                "automatic_payment_methods.enabled",
                "confirm",
                "mandate_data.*",
                "return_url",
                "usage",
                "use_stripe_sdk",
            ],
        ],
        create,
    ),
    get("/v1/setup_intents/{}", &[EXPAND, &["client_secret"]], retrieve),
    post("/v1/setup_intents/{}", &[FIELDS], update),
    post(
        "/v1/setup_intents/{}/confirm",
        &[&["expand[]", "mandate_data.*", "payment_method", "return_url", "use_stripe_sdk"]],
        confirm_call,
    ),
    post("/v1/setup_intents/{}/cancel", &[&["cancellation_reason", "expand[]"]], cancel),
];

/// A new one, that wants a payment method.
pub(crate) fn make(tx: &mut Tx<'_>) -> Value {
    let id = tx.id("seti");
    json!({
        "id": id,
        "object": "setup_intent",
        "application": null,
        "automatic_payment_methods": null,
        "cancellation_reason": null,
        "client_secret": tx.client_secret(&id),
        "created": tx.now,
        "customer": null,
        "description": null,
        "flow_directions": null,
        "last_setup_error": null,
        "latest_attempt": null,
        "livemode": false,
        "mandate": null,
        "metadata": {},
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": { "mandate_options": null, "network": null, "request_three_d_secure": "automatic" },
        },
        "payment_method_types": ["card"],
        "single_use_mandate": null,
        "status": "requires_payment_method",
        "usage": "off_session",
    })
}

fn set(tx: &mut Tx<'_>, intent: &mut Value, ask: &Ask<'_>) -> Result<(), ApiError> {
    let params = ask.params;
    if let Some(value) = params.clearable("description")? {
        intent["description"] = value;
    }
    if params.has("payment_method_types") && params.texts("payment_method_types")? != ["card"] {
        return Err(ApiError::form("Here only cards can be kept.").param("payment_method_types"));
    }
    intent["metadata"] = params.metadata(&intent["metadata"])?;
    if let Some(id) = params.text("customer")? {
        customer::find(tx, id, "customer")?;
        intent["customer"] = json!(id);
    }
    if let Some(id) = params.text("payment_method")? {
        let method = payment_method::resolve(tx, id, "payment_method")?;
        pay::fits(tx, intent, &method)?;
        intent["payment_method"] = method["id"].clone();
        intent["status"] = json!("requires_confirmation");
    }
    Ok(())
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let usage = params.choice("usage", &["off_session", "on_session"])?.unwrap_or("off_session");
    let confirmed = params.boolean("confirm")?.unwrap_or(false);
    let return_url = params.text("return_url")?;
    let automatic = params.below("automatic_payment_methods")?;
    let enabled = automatic.boolean("enabled")?;
    let redirects = automatic.choice("allow_redirects", &["always", "never"])?.unwrap_or("always");
    let mut intent = make(tx);
    intent["usage"] = json!(usage);
    if enabled == Some(true) {
        intent["automatic_payment_methods"] = json!({ "allow_redirects": redirects, "enabled": true });
    }
    set(tx, &mut intent, ask)?;
    let id = intent["id"].as_str().unwrap_or_default().to_owned();
    tx.put(intent.clone());
    tx.emit("setup_intent.created", &intent);
    if confirmed { confirm(tx, &id, None, return_url) } else { Ok(intent) }
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("setup_intent", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut intent = retrieve(tx, ask)?;
    if !pay::is_open(&intent) {
        return Err(pay::unexpected(&intent, "updated"));
    }
    set(tx, &mut intent, ask)?;
    tx.put(intent.clone());
    Ok(intent)
}

fn confirm_call(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (method, return_url) = (ask.params.text("payment_method")?, ask.params.text("return_url")?);
    confirm(tx, ask.id(), method, return_url)
}

/// Asks the card's bank whether it may be kept.
pub(crate) fn confirm(
    tx: &mut Tx<'_>,
    id: &str,
    method: Option<&str>,
    return_url: Option<&str>,
) -> Result<Value, ApiError> {
    let mut intent = tx.get("setup_intent", id, "id")?;
    if !pay::is_open(&intent) {
        return Err(pay::unexpected(&intent, "confirmed"));
    }
    let Some(method) = method.or(intent["payment_method"].as_str()) else {
        return Err(ApiError::refused(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
        )
        .code("setup_intent_unexpected_state")
        .with("setup_intent", intent));
    };
    let method = payment_method::resolve(tx, method, "payment_method")?;
    pay::fits(tx, &intent, &method)?;
    let method_id = method["id"].as_str().unwrap_or_default().to_owned();
    let card = payment_method::card(tx, &method_id)?;
    intent["payment_method"] = json!(method_id);
    intent["next_action"] = Value::Null;
    if let Some(reason) = card.refuses_to_be_saved() {
        return fail(tx, intent, &method, reason);
    }
    if card.asks_present() {
        intent["status"] = json!("requires_action");
        intent["next_action"] = pay::action(tx, id, return_url);
        tx.put(intent.clone());
        tx.emit("setup_intent.requires_action", &intent);
        return Ok(intent);
    }
    Ok(succeed(tx, intent, method))
}

/// Somebody was asked who it is, and said so or did not.
pub(crate) fn answer(tx: &mut Tx<'_>, id: &str, confirmed: bool) -> Result<Value, ApiError> {
    let mut intent = tx.get("setup_intent", id, "id")?;
    if intent["status"] != "requires_action" {
        return Err(pay::unexpected(&intent, "authenticated"));
    }
    let method = intent["payment_method"].as_str().unwrap_or_default().to_owned();
    let method = tx.get("payment_method", &method, "payment_method")?;
    intent["next_action"] = Value::Null;
    if !confirmed {
        let code = "setup_intent_authentication_failure";
        return fail(tx, intent, &method, Reason { code, ..NOT_AUTHENTICATED });
    }
    Ok(succeed(tx, intent, method))
}

fn succeed(tx: &mut Tx<'_>, mut intent: Value, method: Value) -> Value {
    let id = intent["id"].as_str().unwrap_or_default().to_owned();
    let method_id = method["id"].as_str().unwrap_or_default().to_owned();
    if let Some(customer) = intent["customer"].as_str() {
        payment_method::keep(tx, method, customer);
    }
    if intent["usage"] == "off_session" {
        payment_method::set_up(tx, &method_id);
    }
    intent["status"] = json!("succeeded");
    intent["last_setup_error"] = Value::Null;
    tx.put(intent.clone());
    tx.emit("setup_intent.succeeded", &intent);
    checkout::paid(tx, &id);
    intent
}

fn fail(tx: &mut Tx<'_>, mut intent: Value, method: &Value, reason: Reason) -> Result<Value, ApiError> {
    debug_assert!(reason != AUTHENTICATION, "whoever saves a card is there");
    let error = pay::refusal(reason).with("payment_method", method.clone());
    intent["status"] = json!("requires_payment_method");
    intent["payment_method"] = Value::Null;
    intent["last_setup_error"] = Value::Object(error.error.clone());
    tx.put(intent.clone());
    tx.emit("setup_intent.setup_failed", &intent);
    Err(error.with("setup_intent", intent))
}

fn cancel(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let reason =
        ask.params.choice("cancellation_reason", &["abandoned", "duplicate", "requested_by_customer"])?;
    let mut intent = retrieve(tx, ask)?;
    if !pay::is_open(&intent) {
        return Err(pay::unexpected(&intent, "canceled"));
    }
    intent["status"] = json!("canceled");
    intent["cancellation_reason"] = json!(reason);
    intent["next_action"] = Value::Null;
    tx.put(intent.clone());
    tx.emit("setup_intent.canceled", &intent);
    Ok(intent)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (customer, method) = (list::is(ask.params, "customer")?, list::is(ask.params, "payment_method")?);
    let wanted = |record: &crate::state::Record| customer(record) && method(record);
    list::page(tx, "setup_intent", ask.params, "/v1/setup_intents", wanted)
}
