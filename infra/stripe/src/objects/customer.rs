//! Customers.

use serde_json::{Value, json};

use super::{payment_method, subscription};
use crate::error::ApiError;
use crate::form::Params;
use crate::list::{self, LIST, SEARCH};
use crate::routes::{Ask, EXPAND, Endpoint, delete, get, post};
use crate::tx::Tx;

const FIELDS: &[&str] = &[
    "address.*",
    "description",
    "email",
    "expand[]",
    "invoice_settings.default_payment_method",
    "metadata.*",
    "name",
    "phone",
    "preferred_locales[]",
];

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/customers", &[LIST, &["email"]], list),
    get("/v1/customers/search", &[SEARCH], search),
    post("/v1/customers", &[FIELDS, &["payment_method"]], create),
    get("/v1/customers/{}", &[EXPAND], retrieve),
    post("/v1/customers/{}", &[FIELDS], update),
    delete("/v1/customers/{}", &[EXPAND], remove),
];

/// A customer that is there and was not deleted, named by a parameter or by the address (`id`).
pub(crate) fn find(tx: &Tx<'_>, id: &str, param: &str) -> Result<Value, ApiError> {
    let customer = tx.get("customer", id, param)?;
    if customer["deleted"] == true { Err(ApiError::no_such("customer", id, param)) } else { Ok(customer) }
}

/// A new one, with nothing known of it yet.
pub(crate) fn make(tx: &mut Tx<'_>) -> Value {
    let id = tx.id("cus");
    let prefix: String = id.chars().rev().take(8).collect::<String>().to_ascii_uppercase();
    json!({
        "id": id,
        "object": "customer",
        "address": null,
        "balance": 0,
        "created": tx.now,
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": null,
        "discount": null,
        "email": null,
        "invoice_prefix": prefix,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": null,
            "footer": null,
            "rendering_options": null,
        },
        "livemode": false,
        "metadata": {},
        "name": null,
        "next_invoice_sequence": 1,
        "phone": null,
        "preferred_locales": [],
        "shipping": null,
        "tax_exempt": "none",
        "test_clock": null,
    })
}

/// Sets what is given; says which fields it changed, with what they were.
fn set(tx: &Tx<'_>, customer: &mut Value, params: &Params) -> Result<Value, ApiError> {
    let before = customer.clone();
    for name in ["description", "email", "name", "phone"] {
        if let Some(value) = params.clearable(name)? {
            customer[name] = value;
        }
    }
    if let Some(email) = customer["email"].as_str().filter(|email| !email.contains('@')) {
        let error = ApiError::form(format!("Invalid email address: {email}")).code("email_invalid");
        return Err(error.param("email"));
    }
    if params.has("address") {
        let mut address = super::no_address();
        for (name, value) in params.below("address")?.value() {
            address[name] = value;
        }
        customer["address"] = address;
    }
    if params.has("preferred_locales") {
        customer["preferred_locales"] = json!(params.texts("preferred_locales")?);
    }
    let settings = params.below("invoice_settings")?;
    if let Some(method) = settings.clearable("default_payment_method")? {
        if let Some(method) = method.as_str() {
            let param = settings.name("default_payment_method");
            payment_method::of_customer(tx, method, customer["id"].as_str().unwrap_or_default(), &param)?;
        }
        customer["invoice_settings"]["default_payment_method"] = method;
    }
    customer["metadata"] = params.metadata(&customer["metadata"])?;
    Ok(super::changed(&before, customer))
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut customer = make(tx);
    set(tx, &mut customer, ask.params)?;
    let id = customer["id"].as_str().unwrap_or_default().to_owned();
    tx.put(customer.clone());
    let method = ask.params.text("payment_method")?;
    if let Some(method) = method {
        payment_method::attach(tx, method, &id, "payment_method")?;
    }
    tx.emit("customer.created", &customer);
    Ok(customer)
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("customer", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut customer = find(tx, ask.id(), "id")?;
    let before = set(tx, &mut customer, ask.params)?;
    tx.put(customer.clone());
    if before.as_object().is_some_and(|before| !before.is_empty()) {
        tx.emit_with("customer.updated", &customer, before);
    }
    Ok(customer)
}

fn remove(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let customer = find(tx, ask.id(), "id")?;
    let of = |kind: &str| -> Vec<Value> {
        let all = tx.all(kind).into_iter().filter(|record| record.object["customer"] == ask.id());
        all.map(|record| record.object.clone()).collect()
    };
    let (subscriptions, methods) = (of("subscription"), of("payment_method"));
    for found in subscriptions {
        subscription::end(tx, found, "canceled");
    }
    for method in methods {
        payment_method::let_go(tx, method);
    }
    let deleted = json!({ "id": ask.id(), "object": "customer", "deleted": true });
    tx.put(deleted.clone());
    tx.emit("customer.deleted", &customer);
    Ok(deleted)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let email = list::is(ask.params, "email")?;
    list::page(tx, "customer", ask.params, "/v1/customers", email)
}

fn search(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    list::search(tx, "customer", ask.params, "/v1/customers/search")
}
