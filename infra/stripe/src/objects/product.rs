//! Products: what is sold.

use serde_json::{Value, json};

use super::price;
use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

const FIELDS: &[&str] = &["active", "description", "expand[]", "metadata.*", "name", "unit_label", "url"];

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/products", &[LIST, &["active", "ids[]"]], list),
    post(
        "/v1/products",
        &[
            FIELDS,
            &[
                "default_price_data.currency",
                "default_price_data.recurring.interval",
                "default_price_data.recurring.interval_count",
                "default_price_data.unit_amount",
                "id",
            ],
        ],
        create,
    ),
    get("/v1/products/{}", &[EXPAND], retrieve),
    post("/v1/products/{}", &[FIELDS, &["default_price"]], update),
];

/// A new one.
pub(crate) fn make(tx: &mut Tx<'_>, id: String, name: &str) -> Value {
    json!({
        "id": id,
        "object": "product",
        "active": true,
        "created": tx.now,
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": false,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "unit_label": null,
        "updated": tx.now,
        "url": null,
    })
}

fn set(product: &mut Value, ask: &Ask<'_>) -> Result<(), ApiError> {
    for name in ["description", "unit_label", "url"] {
        if let Some(value) = ask.params.clearable(name)? {
            product[name] = value;
        }
    }
    if let Some(name) = ask.params.text("name")? {
        product["name"] = json!(name);
    }
    if let Some(active) = ask.params.boolean("active")? {
        product["active"] = json!(active);
    }
    product["metadata"] = ask.params.metadata(&product["metadata"])?;
    Ok(())
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let name = ask.params.required("name")?;
    let id = match ask.params.text("id")? {
        Some(id) if tx.record(id).is_some() => {
            let error = ApiError::refused("Product already exists.").code("resource_already_exists");
            return Err(error.param("id"));
        }
        Some(id) => id.to_owned(),
        None => tx.id("prod"),
    };
    let mut product = make(tx, id, name);
    set(&mut product, ask)?;
    let data = ask.params.below("default_price_data")?;
    if ask.params.has("default_price_data") {
        let price = price::make(tx, &data, product["id"].clone())?;
        product["default_price"] = price["id"].clone();
    }
    tx.put(product.clone());
    tx.emit("product.created", &product);
    Ok(product)
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("product", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut product = retrieve(tx, ask)?;
    set(&mut product, ask)?;
    if let Some(price) = ask.params.text("default_price")? {
        tx.get("price", price, "default_price")?;
        product["default_price"] = json!(price);
    }
    product["updated"] = json!(tx.now);
    tx.put(product.clone());
    tx.emit("product.updated", &product);
    Ok(product)
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let (active, ids) = (list::is(ask.params, "active")?, ask.params.texts("ids")?);
    let wanted = |record: &crate::state::Record| {
        active(record) && (ids.is_empty() || ids.iter().any(|id| record.object["id"] == id.as_str()))
    };
    list::page(tx, "product", ask.params, "/v1/products", wanted)
}
