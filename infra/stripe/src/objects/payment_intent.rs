//! PaymentIntents: the wish to be paid, through as many attempts as it takes.

use serde_json::{Value, json};

use super::{customer, payment_method};
use crate::error::ApiError;
use crate::form::Params;
use crate::list::{self, LIST, SEARCH};
use crate::pay::{self, Confirm};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

const FIELDS: &[&str] = &[
    "amount",
    "currency",
    "customer",
    "description",
    "expand[]",
    "metadata.*",
    "payment_method",
    "payment_method_options.*",
    "payment_method_types[]",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
];
const CONFIRM: &[&str] = &[
    "error_on_requires_action",
    "expand[]",
    "mandate_data.*",
    "off_session",
    "payment_method",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "use_stripe_sdk",
];

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/payment_intents", &[LIST, &["customer"]], list),
    get("/v1/payment_intents/search", &[SEARCH], search),
    post(
        "/v1/payment_intents",
        &[
            FIELDS,
            CONFIRM,
            &[
                "automatic_payment_methods.allow_redirects",
                "automatic_payment_methods.enabled",
                "capture_method",
                "confirm",
                "confirmation_method",
            ],
        ],
        create,
    ),
    get("/v1/payment_intents/{}", &[EXPAND, &["client_secret"]], retrieve),
    post("/v1/payment_intents/{}", &[FIELDS], update),
    post("/v1/payment_intents/{}/confirm", &[CONFIRM], confirm),
    post("/v1/payment_intents/{}/cancel", &[&["cancellation_reason", "expand[]"]], cancel),
];

/// In the currency's smallest unit.
const AMOUNT_MIN: i64 = 50;
pub(crate) const AMOUNT_MAX: i64 = 99_999_999;

/// An amount and a currency that can be paid.
pub(crate) fn amount(params: &Params, name: &str) -> Result<i64, ApiError> {
    let amount = params.integer(name)?.ok_or_else(|| ApiError::missing(&params.name(name)))?;
    payable(amount, &params.name(name))
}

/// The amount, if it can be paid.
pub(crate) fn payable(amount: i64, param: &str) -> Result<i64, ApiError> {
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::form(message).code("parameter_invalid_integer").param(param));
    }
    if amount < AMOUNT_MIN {
        let message =
            "The Checkout Session's or PaymentIntent's total amount must convert to at least 50 cents.";
        return Err(ApiError::form(message).code("amount_too_small").param(param));
    }
    if amount > AMOUNT_MAX {
        let message = "Amount must be no more than $999,999.99";
        return Err(ApiError::form(message).code("amount_too_large").param(param));
    }
    Ok(amount)
}

/// Three letters.
pub(crate) fn currency(params: &Params) -> Result<String, ApiError> {
    let currency = params.required("currency")?.to_ascii_lowercase();
    if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(currency);
    }
    let name = params.name("currency");
    let message =
        format!("Invalid currency: {currency}. Stripe currently supports these currencies: usd, eur, …");
    Err(ApiError::form(message).param(&name))
}

/// A new one, that wants a payment method.
pub(crate) fn make(tx: &mut Tx<'_>, amount: i64, currency: &str) -> Value {
    let id = tx.id("pi");
    json!({
        "id": id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": 0,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": null,
        "cancellation_reason": null,
        "capture_method": "automatic",
        "client_secret": tx.client_secret(&id),
        "confirmation_method": "automatic",
        "created": tx.now,
        "currency": currency,
        "customer": null,
        "description": null,
        "last_payment_error": null,
        "latest_charge": null,
        "livemode": false,
        "metadata": {},
        "next_action": null,
        "on_behalf_of": null,
        "payment_method": null,
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": {
                "installments": null,
                "mandate_options": null,
                "network": null,
                "request_three_d_secure": "automatic",
            },
        },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": "requires_payment_method",
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// Sets what is given and may be set before it is paid.
fn set(tx: &mut Tx<'_>, intent: &mut Value, params: &Params) -> Result<(), ApiError> {
    for name in ["description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix"] {
        if let Some(value) = params.clearable(name)? {
            intent[name] = value;
        }
    }
    if let Some(usage) = params.choice("setup_future_usage", &["off_session", "on_session"])? {
        intent["setup_future_usage"] = json!(usage);
    }
    if params.has("payment_method_types") && params.texts("payment_method_types")? != ["card"] {
        return Err(ApiError::form("Here only cards can be paid with.").param("payment_method_types"));
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
        if intent["status"] == "requires_payment_method" {
            intent["status"] = json!("requires_confirmation");
        }
    }
    Ok(())
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let (amount, currency) = (amount(params, "amount")?, currency(params)?);
    params.choice("capture_method", &["automatic", "automatic_async"])?;
    params.choice("confirmation_method", &["automatic"])?;
    let confirm = params.boolean("confirm")?.unwrap_or(false);
    let options = options(params)?;
    if !confirm {
        for name in ["off_session", "return_url", "error_on_requires_action", "mandate_data"] {
            if params.has(name) {
                let message = format!(
                    "The parameter `{name}` cannot be passed when creating a PaymentIntent unless `confirm` is set to true."
                );
                return Err(ApiError::form(message).param(name));
            }
        }
    }
    let automatic = params.below("automatic_payment_methods")?;
    let enabled = automatic.boolean("enabled")?;
    let redirects = automatic.choice("allow_redirects", &["always", "never"])?.unwrap_or("always");
    let mut intent = make(tx, amount, &currency);
    if enabled == Some(true) {
        intent["automatic_payment_methods"] = json!({ "allow_redirects": redirects, "enabled": true });
    }
    set(tx, &mut intent, params)?;
    let id = intent["id"].as_str().unwrap_or_default().to_owned();
    tx.put(intent.clone());
    let mut created = intent.clone();
    created["status"] = json!("requires_payment_method");
    tx.emit("payment_intent.created", &created);
    if confirm {
        // Its method was found already.
        return pay::confirm(tx, &id, &Confirm { method: None, ..options });
    }
    Ok(intent)
}

/// How it is to be confirmed.
fn options(params: &Params) -> Result<Confirm, ApiError> {
    // A word here says why nobody is there.
    let off_session = match params.text("off_session")? {
        Some("one_off" | "recurring") => true,
        _ => params.boolean("off_session")?.unwrap_or(false),
    };
    Ok(Confirm {
        method: params.text("payment_method")?.map(str::to_owned),
        off_session,
        return_url: params.text("return_url")?.map(str::to_owned),
        fail_on_action: params.boolean("error_on_requires_action")?.unwrap_or(false),
    })
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("payment_intent", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut intent = retrieve(tx, ask)?;
    let only_notes = ["amount", "currency", "customer", "payment_method", "setup_future_usage"]
        .iter()
        .all(|name| !ask.params.has(name));
    if !only_notes && !pay::is_open(&intent) {
        return Err(pay::unexpected(&intent, "updated"));
    }
    if ask.params.has("amount") {
        intent["amount"] = json!(amount(ask.params, "amount")?);
    }
    if ask.params.has("currency") {
        intent["currency"] = json!(currency(ask.params)?);
    }
    set(tx, &mut intent, ask.params)?;
    tx.put(intent.clone());
    Ok(intent)
}

fn confirm(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let options = options(ask.params)?;
    let mut intent = retrieve(tx, ask)?;
    if let Some(usage) = ask.params.choice("setup_future_usage", &["off_session", "on_session"])? {
        intent["setup_future_usage"] = json!(usage);
    }
    if let Some(email) = ask.params.clearable("receipt_email")? {
        intent["receipt_email"] = email;
    }
    tx.put(intent);
    pay::confirm(tx, ask.id(), &options)
}

fn cancel(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let reasons = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];
    let reason = ask.params.choice("cancellation_reason", &reasons)?;
    let mut intent = retrieve(tx, ask)?;
    if !pay::is_open(&intent) {
        return Err(pay::unexpected(&intent, "canceled"));
    }
    intent["status"] = json!("canceled");
    intent["canceled_at"] = json!(tx.now);
    intent["cancellation_reason"] = json!(reason);
    intent["next_action"] = Value::Null;
    tx.put(intent.clone());
    tx.emit("payment_intent.canceled", &intent);
    Ok(intent)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let customer = list::is(ask.params, "customer")?;
    list::page(tx, "payment_intent", ask.params, "/v1/payment_intents", customer)
}

fn search(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    list::search(tx, "payment_intent", ask.params, "/v1/payment_intents/search")
}
