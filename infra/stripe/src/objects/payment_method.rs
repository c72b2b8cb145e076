//! Payment methods, which are cards.

use serde_json::{Value, json};

use super::customer;
use crate::cards::{self, Card, Written};
use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::pay;
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/payment_methods", &[LIST, &["customer", "type"]], list_all),
    post(
        "/v1/payment_methods",
        &[&[
            "allow_redisplay",
            "billing_details.*",
            "card.cvc",
            "card.exp_month",
            "card.exp_year",
            "card.number",
            "card.token",
            "expand[]",
            "metadata.*",
            "type",
        ]],
        create,
    ),
    get("/v1/payment_methods/{}", &[EXPAND], retrieve),
    post(
        "/v1/payment_methods/{}",
        &[&[
            "allow_redisplay",
            "billing_details.*",
            "card.exp_month",
            "card.exp_year",
            "expand[]",
            "metadata.*",
        ]],
        update,
    ),
    post("/v1/payment_methods/{}/attach", &[&["customer", "expand[]"]], attach_call),
    post("/v1/payment_methods/{}/detach", &[EXPAND], detach),
    get("/v1/customers/{}/payment_methods", &[LIST, &["type"]], list_of_customer),
    get("/v1/customers/{}/payment_methods/{}", &[EXPAND], retrieve_of_customer),
];

/// What a card that only a token names expires at.
const TOKEN_EXPIRY: (i64, i64) = (12, 2034);

/// A card for use, which no one has kept yet.
pub(crate) fn make(tx: &mut Tx<'_>, written: Written) -> Value {
    let id = tx.id("pm");
    let method = json!({
        "id": id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": super::no_address(), "email": null, "name": null, "phone": null, "tax_id": null,
        },
        "card": written.card.shown(written.expiry, 0),
        "created": tx.now,
        "customer": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
    });
    tx.put_with(method.clone(), json!({ "number": written.card.number }));
    method
}

/// One by its id; a test token makes one.
pub(crate) fn resolve(tx: &mut Tx<'_>, id: &str, param: &str) -> Result<Value, ApiError> {
    if let Some(card) = id.starts_with("pm_card_").then(|| cards::by_token(id)).flatten() {
        return Ok(make(tx, Written { card, expiry: TOKEN_EXPIRY }));
    }
    get_one(tx, id, param)
}

fn get_one(tx: &Tx<'_>, id: &str, param: &str) -> Result<Value, ApiError> {
    tx.find("payment_method", id).ok_or_else(|| ApiError::no_such("PaymentMethod", id, param))
}

/// One that belongs to this customer.
pub(crate) fn of_customer(tx: &Tx<'_>, id: &str, customer: &str, param: &str) -> Result<Value, ApiError> {
    let method = get_one(tx, id, param)?;
    if method["customer"] == customer {
        return Ok(method);
    }
    let message = format!(
        "The customer does not have a payment method with the ID {id}. The payment method must be attached to the \
         customer."
    );
    Err(ApiError::refused(message).code("resource_missing").param(param))
}

/// The test card that it is.
pub(crate) fn card(tx: &Tx<'_>, id: &str) -> Result<&'static Card, ApiError> {
    cards::by_number(tx.hidden(id)["number"].as_str().unwrap_or_default())
}

/// Whether its owner has said once that it may be charged while nobody is there.
pub(crate) fn is_set_up(tx: &Tx<'_>, id: &str) -> bool {
    tx.hidden(id)["set_up"] == true
}

/// Its owner has said so.
pub(crate) fn set_up(tx: &mut Tx<'_>, id: &str) {
    let mut hidden = tx.hidden(id).clone();
    hidden["set_up"] = json!(true);
    tx.hide(id, hidden);
}

/// It was used, or given away by its customer: without one it may not be used again.
pub(crate) fn spend(tx: &mut Tx<'_>, id: &str) {
    let mut hidden = tx.hidden(id).clone();
    hidden["spent"] = json!(true);
    tx.hide(id, hidden);
}

/// Refuses one that may not be used (again).
pub(crate) fn usable(tx: &Tx<'_>, method: &Value) -> Result<(), ApiError> {
    let id = method["id"].as_str().unwrap_or_default();
    if method["customer"].is_null() && tx.hidden(id)["spent"] == true {
        return Err(ApiError::refused(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, \
             shared with a connected account without Customer attachment, or was detached from a Customer. It may \
             not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
        ));
    }
    Ok(())
}

/// Makes it a customer's, asking its bank.
pub(crate) fn attach(tx: &mut Tx<'_>, id: &str, customer: &str, param: &str) -> Result<Value, ApiError> {
    let method = resolve(tx, id, param)?;
    if !method["customer"].is_null() {
        if method["customer"] == customer {
            return Ok(method);
        }
        return Err(ApiError::refused(
            "The payment method you provided has already been attached to a customer.",
        ));
    }
    usable(tx, &method)?;
    let id = method["id"].as_str().unwrap_or_default().to_owned();
    if let Some(reason) = card(tx, &id)?.refuses_to_be_saved() {
        let mut error = pay::refusal(reason);
        // Nothing of it stays.
        error.effect = crate::error::Effect::Answer;
        return Err(error);
    }
    Ok(keep(tx, method, customer))
}

/// Makes it a customer's.
pub(crate) fn keep(tx: &mut Tx<'_>, mut method: Value, customer: &str) -> Value {
    if method["customer"] != customer {
        method["customer"] = json!(customer);
        tx.put(method.clone());
        tx.emit("payment_method.attached", &method);
    }
    method
}

/// Takes it from its customer.
pub(crate) fn let_go(tx: &mut Tx<'_>, mut method: Value) -> Value {
    let before = json!({ "customer": method["customer"] });
    let id = method["id"].as_str().unwrap_or_default().to_owned();
    let customer = method["customer"].as_str().and_then(|customer| tx.find("customer", customer));
    if let Some(mut customer) = customer
        && customer["invoice_settings"]["default_payment_method"] == id.as_str()
    {
        customer["invoice_settings"]["default_payment_method"] = Value::Null;
        tx.put(customer);
    }
    method["customer"] = Value::Null;
    tx.put(method.clone());
    spend(tx, &id);
    tx.emit_with("payment_method.detached", &method, before);
    method
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    ask.params.choice("type", &["card"])?.ok_or_else(|| ApiError::missing("type"))?;
    let card = ask.params.below("card")?;
    let written = match card.text("token")? {
        Some(token) => {
            let found =
                cards::by_token(token).ok_or_else(|| ApiError::no_such("token", token, "card[token]"))?;
            Written { card: found, expiry: TOKEN_EXPIRY }
        }
        None => cards::written(&card, tx.now)?,
    };
    let mut method = make(tx, written);
    set(&mut method, ask)?;
    tx.put(method.clone());
    Ok(method)
}

fn set(method: &mut Value, ask: &Ask<'_>) -> Result<(), ApiError> {
    let allow = ask.params.choice("allow_redisplay", &["always", "limited", "unspecified"])?;
    if let Some(allow) = allow {
        method["allow_redisplay"] = json!(allow);
    }
    for (name, value) in ask.params.below("billing_details")?.value() {
        if let Value::Object(parts) = value {
            for (part, value) in parts {
                method["billing_details"][&name][part] = value;
            }
        } else {
            method["billing_details"][name] = value;
        }
    }
    method["metadata"] = ask.params.metadata(&method["metadata"])?;
    Ok(())
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    get_one(tx, ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut method = get_one(tx, ask.id(), "id")?;
    if method["customer"].is_null() {
        return Err(ApiError::refused(
            "You must save this PaymentMethod to a customer before you can update it.",
        ));
    }
    set(&mut method, ask)?;
    let card = ask.params.below("card")?;
    for name in ["exp_month", "exp_year"] {
        if let Some(value) = card.integer(name)? {
            method["card"][name] = json!(value);
        }
    }
    tx.put(method.clone());
    tx.emit("payment_method.updated", &method);
    Ok(method)
}

fn attach_call(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let customer = ask.params.required("customer")?;
    customer::find(tx, customer, "customer")?;
    attach(tx, ask.id(), customer, "id")
}

fn detach(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let method = get_one(tx, ask.id(), "id")?;
    if method["customer"].is_null() {
        return Err(ApiError::refused(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    }
    Ok(let_go(tx, method))
}

fn list_all(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let customer = ask.params.required("customer")?;
    customer::find(tx, customer, "customer")?;
    let (customer, kind) = (list::is(ask.params, "customer")?, list::is(ask.params, "type")?);
    let wanted = |record: &crate::state::Record| customer(record) && kind(record);
    list::page(tx, "payment_method", ask.params, "/v1/payment_methods", wanted)
}

fn list_of_customer(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    customer::find(tx, ask.id(), "id")?;
    let kind = list::is(ask.params, "type")?;
    let url = format!("/v1/customers/{}/payment_methods", ask.id());
    let wanted = |record: &crate::state::Record| record.object["customer"] == ask.id() && kind(record);
    list::page(tx, "payment_method", ask.params, &url, wanted)
}

fn retrieve_of_customer(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    customer::find(tx, ask.id(), "id")?;
    let method = get_one(tx, ask.second(), "id")?;
    if method["customer"] != ask.id() {
        return Err(ApiError::no_such("PaymentMethod", ask.second(), "id"));
    }
    Ok(method)
}
