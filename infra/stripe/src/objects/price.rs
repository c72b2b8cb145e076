//! Prices: what a product costs, once or again and again.

use serde_json::{Value, json};

use super::{payment_intent, product};
use crate::error::ApiError;
use crate::form::Params;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get(
        "/v1/prices",
        &[LIST, &["active", "currency", "lookup_keys[]", "product", "recurring.interval", "type"]],
        list,
    ),
    post(
        "/v1/prices",
        &[&[
            "active",
            "billing_scheme",
            "currency",
            "expand[]",
            "lookup_key",
            "metadata.*",
            "nickname",
            "product",
            "product_data.id",
            "product_data.metadata.*",
            "product_data.name",
            "recurring.interval",
            "recurring.interval_count",
            "recurring.usage_type",
            "tax_behavior",
            "transfer_lookup_key",
            "unit_amount",
        ]],
        create,
    ),
    get("/v1/prices/{}", &[EXPAND], retrieve),
    post(
        "/v1/prices/{}",
        &[&["active", "expand[]", "lookup_key", "metadata.*", "nickname", "transfer_lookup_key"]],
        update,
    ),
];

/// A new one from `unit_amount`, `currency` and `recurring`.
pub(crate) fn make(tx: &mut Tx<'_>, params: &Params, product: Value) -> Result<Value, ApiError> {
    let amount =
        params.integer("unit_amount")?.ok_or_else(|| ApiError::missing(&params.name("unit_amount")))?;
    if !(0..=payment_intent::AMOUNT_MAX).contains(&amount) {
        let error = ApiError::form("Invalid non-negative integer").code("parameter_invalid_integer");
        return Err(error.param(&params.name("unit_amount")));
    }
    let currency = payment_intent::currency(params)?;
    let mut recurring = Value::Null;
    if params.has("recurring") {
        let given = params.below("recurring")?;
        let interval = given.choice("interval", &["day", "week", "month", "year"])?;
        let interval = interval.ok_or_else(|| ApiError::missing(&given.name("interval")))?;
        given.choice("usage_type", &["licensed"])?;
        let count = given.integer("interval_count")?.unwrap_or(1);
        let most = match interval {
            "day" => 3 * 365,
            "week" => 3 * 52,
            "month" => 3 * 12,
            _ => 3,
        };
        if !(1..=most).contains(&count) {
            let message = "You cannot create a price with a billing interval longer than 3 years.";
            return Err(ApiError::form(message).param(&given.name("interval_count")));
        }
        recurring = json!({
            "interval": interval,
            "interval_count": count,
            "meter": null,
            "usage_type": "licensed",
        });
    }
    let id = tx.id("price");
    let price = json!({
        "id": id,
        "object": "price",
        "active": true,
        "billing_scheme": "per_unit",
        "created": tx.now,
        "currency": currency,
        "custom_unit_amount": null,
        "livemode": false,
        "lookup_key": null,
        "metadata": {},
        "nickname": null,
        "product": product,
        "recurring": recurring,
        "tax_behavior": "unspecified",
        "tiers_mode": null,
        "transform_quantity": null,
        "type": if recurring.is_null() { "one_time" } else { "recurring" },
        "unit_amount": amount,
        "unit_amount_decimal": amount.to_string(),
    });
    tx.put(price.clone());
    Ok(price)
}

fn set(tx: &mut Tx<'_>, price: &mut Value, params: &Params) -> Result<(), ApiError> {
    if let Some(nickname) = params.clearable("nickname")? {
        price["nickname"] = nickname;
    }
    if let Some(active) = params.boolean("active")? {
        price["active"] = json!(active);
    }
    price["metadata"] = params.metadata(&price["metadata"])?;
    let transfer = params.boolean("transfer_lookup_key")?.unwrap_or(false);
    let Some(key) = params.clearable("lookup_key")? else { return Ok(()) };
    if key.is_string() {
        let all = tx.all("price").into_iter();
        let holder = all
            .map(|record| &record.object)
            .find(|other| other["lookup_key"] == key && other["id"] != price["id"]);
        if let Some(mut holder) = holder.cloned() {
            if !transfer {
                let message = "A price already uses that lookup key.";
                return Err(ApiError::refused(message).code("resource_already_exists").param("lookup_key"));
            }
            holder["lookup_key"] = Value::Null;
            tx.put(holder);
        }
    }
    price["lookup_key"] = key;
    Ok(())
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    params.choice("billing_scheme", &["per_unit"])?;
    let tax =
        params.choice("tax_behavior", &["exclusive", "inclusive", "unspecified"])?.unwrap_or("unspecified");
    let product = match params.text("product")? {
        Some(product) => tx.get("product", product, "product")?["id"].clone(),
        None => {
            let data = params.below("product_data")?;
            let name = data.required("name")?;
            let id = data.text("id")?.map(str::to_owned).unwrap_or_else(|| tx.id("prod"));
            let mut product = product::make(tx, id, name);
            product["metadata"] = data.metadata(&json!({}))?;
            tx.put(product.clone());
            tx.emit("product.created", &product);
            product["id"].clone()
        }
    };
    let mut price = make(tx, params, product)?;
    price["tax_behavior"] = json!(tax);
    set(tx, &mut price, params)?;
    tx.put(price.clone());
    tx.emit("price.created", &price);
    Ok(price)
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("price", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut price = retrieve(tx, ask)?;
    set(tx, &mut price, ask.params)?;
    tx.put(price.clone());
    tx.emit("price.updated", &price);
    Ok(price)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let (active, currency) = (list::is(params, "active")?, list::is(params, "currency")?);
    let (product, kind) = (list::is(params, "product")?, list::is(params, "type")?);
    let (keys, recurring) = (params.texts("lookup_keys")?, params.below("recurring")?);
    let interval = recurring.text("interval")?;
    let wanted = |record: &crate::state::Record| {
        let price = &record.object;
        active(record)
            && currency(record)
            && product(record)
            && kind(record)
            && interval.is_none_or(|interval| price["recurring"]["interval"] == interval)
            && (keys.is_empty() || keys.iter().any(|key| price["lookup_key"] == key.as_str()))
    };
    list::page(tx, "price", params, "/v1/prices", wanted)
}
