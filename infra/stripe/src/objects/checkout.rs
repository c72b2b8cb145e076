//! Checkout sessions: a page on which somebody pays, subscribes, or saves a card.

use serde_json::{Value, json};

use super::{customer, payment_intent, payment_method, price, product, setup_intent, subscription};
use crate::cards::Written;
use crate::error::ApiError;
use crate::expand::list_of;
use crate::form::Params;
use crate::list::{self, LIST};
use crate::pay::{self, Confirm};
use crate::routes::{Ask, EXPAND, Endpoint, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get(
        "/v1/checkout/sessions",
        &[LIST, &["customer", "customer_details.email", "payment_intent", "status", "subscription"]],
        list,
    ),
    post(
        "/v1/checkout/sessions",
        &[&[
            "adaptive_pricing.enabled",
            "allow_promotion_codes",
            "automatic_tax.enabled",
            "billing_address_collection",
            "cancel_url",
            "client_reference_id",
            "currency",
            "customer",
            "customer_creation",
            "customer_email",
            "customer_update.*",
            "expand[]",
            "expires_at",
            "line_items[].price",
            "line_items[].price_data.currency",
            "line_items[].price_data.product",
            "line_items[].price_data.product_data.description",
            "line_items[].price_data.product_data.metadata.*",
            "line_items[].price_data.product_data.name",
            "line_items[].price_data.recurring.interval",
            "line_items[].price_data.recurring.interval_count",
            "line_items[].price_data.unit_amount",
            "line_items[].quantity",
            "locale",
            "metadata.*",
            "mode",
            "payment_intent_data.description",
            "payment_intent_data.metadata.*",
            "payment_intent_data.receipt_email",
            "payment_intent_data.setup_future_usage",
            "payment_intent_data.statement_descriptor_suffix",
            "payment_method_collection",
            "payment_method_options.*",
            "payment_method_types[]",
            "saved_payment_method_options.*",
            "setup_intent_data.description",
            "setup_intent_data.metadata.*",
            "submit_type",
            "subscription_data.description",
            "subscription_data.metadata.*",
            "success_url",
            "ui_mode",
        ]],
        create,
    ),
    get("/v1/checkout/sessions/{}", &[EXPAND], retrieve),
    post("/v1/checkout/sessions/{}", &[&["expand[]", "metadata.*"]], update),
    post("/v1/checkout/sessions/{}/expire", &[EXPAND], expire_call),
    get("/v1/checkout/sessions/{}/line_items", &[LIST], line_items_call),
];

/// How long a session may be open.
const OPEN_SECONDS_MIN: i64 = 30 * 60;
const OPEN_SECONDS_MAX: i64 = 24 * 3600;
/// What stands in `success_url` for the session's id.
const PLACEHOLDER: &str = "{CHECKOUT_SESSION_ID}";

/// What is bought: items as `line_items` shows them.
fn lines(tx: &mut Tx<'_>, params: &Params, mode: &str) -> Result<Vec<Value>, ApiError> {
    let mut items = Vec::new();
    for line in params.list("line_items")? {
        let price = match line.text("price")? {
            Some(id) => {
                let price = tx.get("price", id, &line.name("price"))?;
                if price["active"] != true {
                    let message = "The price specified is inactive. This field only accepts active prices.";
                    return Err(ApiError::refused(message).param(&line.name("price")));
                }
                price
            }
            None => inline_price(tx, &line.below("price_data")?)?,
        };
        let recurring = !price["recurring"].is_null();
        if mode == "payment" && recurring {
            return Err(ApiError::refused(
                "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or \
                 use only one-time prices.",
            )
            .param("line_items"));
        }
        let quantity = line.integer("quantity")?.ok_or_else(|| ApiError::missing(&line.name("quantity")))?;
        if !(1..=999_999).contains(&quantity) {
            let error = ApiError::form("This value must be greater than or equal to 1.");
            return Err(error.code("parameter_invalid_integer").param(&line.name("quantity")));
        }
        let name = price["product"].as_str().and_then(|id| tx.find("product", id));
        let total = price["unit_amount"].as_i64().unwrap_or_default().checked_mul(quantity);
        let total = total.ok_or_else(|| ApiError::form("The amount is too large.").param("line_items"))?;
        let id = tx.id("li");
        items.push(json!({
            "id": id,
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": total,
            "amount_tax": 0,
            "amount_total": total,
            "currency": price["currency"],
            "description": name.map(|product| product["name"].clone()),
            "metadata": {},
            "price": price,
            "quantity": quantity,
        }));
    }
    if items.is_empty() {
        return Err(ApiError::missing("line_items"));
    }
    if items.iter().any(|item| item["currency"] != items[0]["currency"]) {
        let message = "All line items must have the same currency.";
        return Err(ApiError::refused(message).param("line_items"));
    }
    if mode == "subscription" {
        let recurring: Vec<&Value> =
            items.iter().map(|item| &item["price"]["recurring"]).filter(|found| !found.is_null()).collect();
        if recurring.is_empty() {
            let message =
                "You must provide at least one recurring price in `subscription` mode when using prices.";
            return Err(ApiError::refused(message).param("line_items"));
        }
        if recurring.iter().any(|other| *other != recurring[0]) {
            let message = "Here all recurring prices of a subscription have the same interval.";
            return Err(ApiError::refused(message).param("line_items"));
        }
    }
    Ok(items)
}

/// A price for this session alone.
fn inline_price(tx: &mut Tx<'_>, data: &Params) -> Result<Value, ApiError> {
    let product = match data.text("product")? {
        Some(id) => tx.get("product", id, &data.name("product"))?["id"].clone(),
        None => {
            let about = data.below("product_data")?;
            let name = about.required("name")?.to_owned();
            let id = tx.id("prod");
            let mut product = product::make(tx, id, &name);
            product["active"] = json!(false);
            product["metadata"] = about.metadata(&json!({}))?;
            if let Some(description) = about.text("description")? {
                product["description"] = json!(description);
            }
            tx.put(product.clone());
            product["id"].clone()
        }
    };
    let mut price = price::make(tx, data, product)?;
    price["active"] = json!(false);
    tx.put(price.clone());
    Ok(price)
}

fn create(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let mode = params
        .choice("mode", &["payment", "setup", "subscription"])?
        .ok_or_else(|| ApiError::missing("mode"))?;
    params.choice("ui_mode", &["hosted_page", "hosted"])?;
    let success_url = url(params, "success_url")?.ok_or_else(|| ApiError::missing("success_url"))?;
    let cancel_url = url(params, "cancel_url")?;
    for (name, of) in [
        ("payment_intent_data", "payment"),
        ("setup_intent_data", "setup"),
        ("subscription_data", "subscription"),
    ] {
        if params.has(name) && mode != of {
            let message = format!("You can not pass `{name}` in `{mode}` mode.");
            return Err(ApiError::form(message).param(name));
        }
    }
    if params.has("customer") && params.has("customer_email") {
        return Err(ApiError::form(
            "You may only specify one of these parameters: customer, customer_email.",
        ));
    }
    for (name, value) in [("allow_promotion_codes", false), ("automatic_tax", false)] {
        let given = match name {
            "automatic_tax" => params.below(name)?.boolean("enabled")?,
            name => params.boolean(name)?,
        };
        if given.is_some_and(|given| given != value) {
            return Err(ApiError::form(format!("Here there is no `{name}`.")).param(name));
        }
    }
    if params.has("payment_method_types") && params.texts("payment_method_types")? != ["card"] {
        return Err(ApiError::form("Here only cards can be paid with.").param("payment_method_types"));
    }
    let creation = params.choice("customer_creation", &["always", "if_required"])?;
    let expires_at = match params.integer("expires_at")? {
        None => tx.now + OPEN_SECONDS_MAX,
        Some(at) if (tx.now + OPEN_SECONDS_MIN..=tx.now + OPEN_SECONDS_MAX).contains(&at) => at,
        Some(_) => {
            let message = "The `expires_at` timestamp must be less than 24 hours and at least 30 minutes from \
                           Checkout Session creation.";
            return Err(ApiError::form(message).param("expires_at"));
        }
    };
    let metadata = params.metadata(&json!({}))?;
    let (client_reference, locale) = (params.text("client_reference_id")?, params.text("locale")?);
    let (email, submit_type) = (params.text("customer_email")?, params.text("submit_type")?);
    let payment = params.below("payment_intent_data")?;
    let usage = payment.choice("setup_future_usage", &["off_session", "on_session"])?;
    let intent = json!({
        "description": payment.text("description")?,
        "metadata": payment.metadata(&json!({}))?,
        "receipt_email": payment.text("receipt_email")?,
        "setup_future_usage": if mode == "subscription" { Some("off_session") } else { usage },
        "statement_descriptor_suffix": payment.text("statement_descriptor_suffix")?,
    });
    let (setup, about) = (params.below("setup_intent_data")?, params.below("subscription_data")?);
    let (setup_metadata, setup_about) = (setup.metadata(&json!({}))?, setup.text("description")?);
    let about = json!({ "metadata": about.metadata(&json!({}))?, "description": about.text("description")? });
    // From here on it is looked up what is named.
    let customer = match params.text("customer")? {
        Some(id) => customer::find(tx, id, "customer")?["id"].clone(),
        None => Value::Null,
    };
    let items = if mode == "setup" { Vec::new() } else { lines(tx, params, mode)? };
    let total: i64 = items.iter().filter_map(|item| item["amount_total"].as_i64()).sum();
    let amount = match mode {
        "setup" => Value::Null,
        "payment" => json!(payment_intent::payable(total, "line_items")?),
        _ => json!(total),
    };
    let currency = items.first().map(|item| item["currency"].clone());
    let currency = currency.or(params.text("currency")?.map(|currency| json!(currency)));
    let id = tx.id("cs_test");
    let mut setup_id = Value::Null;
    if mode == "setup" {
        let mut made = setup_intent::make(tx);
        made["customer"] = customer.clone();
        made["metadata"] = setup_metadata;
        made["description"] = json!(setup_about);
        setup_id = made["id"].clone();
        tx.put_with(made.clone(), json!({ "session": id }));
        tx.emit("setup_intent.created", &made);
    }
    let session = json!({
        "id": id,
        "object": "checkout.session",
        "adaptive_pricing": null,
        "after_expiration": null,
        "allow_promotion_codes": null,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
        "billing_address_collection": null,
        "cancel_url": cancel_url,
        "client_reference_id": client_reference,
        "client_secret": null,
        "collected_information": null,
        "consent": null,
        "consent_collection": null,
        "created": tx.now,
        "currency": currency,
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null,
        },
        "customer": customer,
        "customer_creation": if customer.is_null() && mode == "payment" { Some(creation.unwrap_or("if_required")) } else { None },
        "customer_details": null,
        "customer_email": email,
        "discounts": [],
        "expires_at": expires_at,
        "invoice": null,
        "invoice_creation": null,
        "livemode": false,
        "locale": locale,
        "metadata": metadata,
        "mode": mode,
        "origin_context": null,
        "payment_intent": null,
        "payment_link": null,
        "payment_method_collection": if mode == "subscription" { "always" } else { "if_required" },
        "payment_method_configuration_details": null,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "payment_status": if mode == "setup" { "no_payment_required" } else { "unpaid" },
        "permissions": null,
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "saved_payment_method_options": null,
        "setup_intent": setup_id,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "status": "open",
        "submit_type": submit_type,
        "subscription": null,
        "success_url": success_url,
        "total_details": { "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 },
        "ui_mode": "hosted_page",
        "url": format!("{}/checkout/{id}", tx.base),
        "wallet_options": null,
    });
    let hidden = json!({ "lines": items, "intent": intent, "subscription": about });
    tx.put_with(session.clone(), hidden);
    Ok(session)
}

fn url(params: &Params, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = params.text(name)? else { return Ok(None) };
    let parsed = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    if parsed.is_none() {
        return Err(ApiError::form("Not a valid URL").code("url_invalid").param(name));
    }
    Ok(Some(text.to_owned()))
}

/// Where somebody goes who has finished.
pub(crate) fn success_url(session: &Value) -> String {
    let (url, id) = (session["success_url"].as_str(), session["id"].as_str());
    url.unwrap_or_default().replace(PLACEHOLDER, id.unwrap_or_default())
}

/// The list that a session expands to.
pub(crate) fn line_items(tx: &Tx<'_>, id: &str) -> Value {
    let lines = tx.hidden(id)["lines"].as_array().cloned().unwrap_or_default();
    list_of(lines, &format!("/v1/checkout/sessions/{id}/line_items"))
}

/// What somebody has written on the page.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// A new card.
    pub(crate) card: Option<Written>,
    /// A saved one.
    pub(crate) method: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
}

/// Pays or sets up with what was filled in. Answers where to go next.
pub(crate) fn submit(tx: &mut Tx<'_>, id: &str, filled: Filled) -> Result<String, ApiError> {
    let mut session = tx.get("checkout.session", id, "id")?;
    // Sent twice, or from two tabs: the first one counts.
    if session["status"] == "complete" {
        return Ok(success_url(&session));
    }
    if session["status"] != "open" {
        return Err(ApiError::refused("This Checkout session has expired."));
    }
    let mode = session["mode"].as_str().unwrap_or_default().to_owned();
    let email = filled.email.as_deref().or(session["customer_email"].as_str()).map(str::to_owned);
    let needs_customer = mode == "subscription" || session["customer_creation"] == "always";
    if session["customer"].is_null() && needs_customer {
        let mut made = customer::make(tx);
        made["email"] = json!(email);
        made["name"] = json!(filled.name);
        session["customer"] = made["id"].clone();
        tx.put(made.clone());
        tx.emit("customer.created", &made);
    }
    let known = session["customer"].as_str().and_then(|id| tx.find("customer", id)).unwrap_or_default();
    let or_known = |given: Option<&str>, name: &str| given.map_or(known[name].clone(), |given| json!(given));
    session["customer_details"] = json!({
        "address": super::no_address(),
        "email": or_known(email.as_deref(), "email"),
        "name": or_known(filled.name.as_deref(), "name"),
        "phone": null,
        "tax_exempt": "none",
        "tax_ids": [],
    });
    let method = match (filled.method, filled.card) {
        (Some(saved), _) => payment_method::of_customer(
            tx,
            &saved,
            session["customer"].as_str().unwrap_or_default(),
            "payment_method",
        )?,
        (None, Some(written)) => {
            let mut made = payment_method::make(tx, written);
            made["billing_details"]["email"] = session["customer_details"]["email"].clone();
            made["billing_details"]["name"] = session["customer_details"]["name"].clone();
            tx.put(made.clone());
            made
        }
        (None, None) => return Err(ApiError::form("A card is missing.").param("number")),
    };
    let method = method["id"].as_str().unwrap_or_default().to_owned();
    let back = session["url"].as_str().unwrap_or_default().to_owned();
    let intent = if mode == "setup" {
        tx.put(session.clone());
        let setup = session["setup_intent"].as_str().unwrap_or_default().to_owned();
        setup_intent::confirm(tx, &setup, Some(&method), Some(&back))?
    } else {
        let intent = intent_of(tx, &mut session);
        tx.put(session.clone());
        let confirm = Confirm { method: Some(method), return_url: Some(back), ..Confirm::default() };
        pay::confirm(tx, &intent, &confirm)?
    };
    if intent["status"] == "requires_action" {
        let url = intent["next_action"]["redirect_to_url"]["url"].as_str();
        return Ok(url.unwrap_or_default().to_owned());
    }
    Ok(success_url(&session))
}

/// The PaymentIntent of a session, made at the first attempt.
fn intent_of(tx: &mut Tx<'_>, session: &mut Value) -> String {
    let id = session["id"].as_str().unwrap_or_default().to_owned();
    let mut hidden = tx.hidden(&id).clone();
    if let Some(intent) = hidden["pending"].as_str()
        && tx.find("payment_intent", intent).is_some_and(|intent| pay::is_open(&intent))
    {
        return intent.to_owned();
    }
    let amount = session["amount_total"].as_i64().unwrap_or_default();
    let currency = session["currency"].as_str().unwrap_or_default().to_owned();
    let mut intent = payment_intent::make(tx, amount, &currency);
    for (name, value) in hidden["intent"].as_object().into_iter().flatten() {
        intent[name] = value.clone();
    }
    intent["customer"] = session["customer"].clone();
    if session["mode"] == "payment" {
        session["payment_intent"] = intent["id"].clone();
    }
    hidden["pending"] = intent["id"].clone();
    tx.hide(&id, hidden);
    tx.put_with(intent.clone(), json!({ "session": id }));
    tx.emit("payment_intent.created", &intent);
    intent["id"].as_str().unwrap_or_default().to_owned()
}

/// An intent has succeeded: if it is a session's, that is complete.
pub(crate) fn paid(tx: &mut Tx<'_>, intent: &str) {
    let Some(id) = tx.hidden(intent)["session"].as_str().map(str::to_owned) else { return };
    let Some(mut session) = tx.find("checkout.session", &id) else { return };
    if session["status"] != "open" {
        return;
    }
    session["status"] = json!("complete");
    session["url"] = Value::Null;
    if session["mode"] != "setup" {
        session["payment_status"] = json!("paid");
    }
    if session["mode"] == "subscription" {
        let hidden = tx.hidden(&id).clone();
        let paid_with = tx.find("payment_intent", intent).unwrap_or_default();
        let (made, invoice) = subscription::start(tx, &hidden["lines"], &hidden["subscription"], &paid_with);
        session["subscription"] = made;
        session["invoice"] = invoice;
    }
    tx.put(session.clone());
    tx.emit("checkout.session.completed", &session);
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("checkout.session", ask.id(), "id")
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let mut session = retrieve(tx, ask)?;
    session["metadata"] = ask.params.metadata(&session["metadata"])?;
    tx.put(session.clone());
    Ok(session)
}

fn expire_call(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let session = retrieve(tx, ask)?;
    if session["status"] != "open" {
        let message = format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of {}.",
            session["status"].as_str().unwrap_or_default()
        );
        return Err(ApiError::refused(message));
    }
    Ok(expire(tx, session))
}

/// Closes a session that nobody has finished, and what it had begun.
pub(crate) fn expire(tx: &mut Tx<'_>, mut session: Value) -> Value {
    let id = session["id"].as_str().unwrap_or_default().to_owned();
    let pending = tx.hidden(&id)["pending"].as_str().or(session["setup_intent"].as_str()).map(str::to_owned);
    let record = pending.and_then(|pending| tx.record(&pending).map(|record| record.object.clone()));
    if let Some(mut intent) = record.filter(pay::is_open) {
        intent["status"] = json!("canceled");
        intent["next_action"] = Value::Null;
        if intent["object"] == "payment_intent" {
            intent["canceled_at"] = json!(tx.now);
            intent["cancellation_reason"] = json!("expired");
        }
        tx.put(intent.clone());
        let kind = intent["object"].as_str().unwrap_or_default();
        tx.emit(&format!("{kind}.canceled"), &intent);
    }
    session["status"] = json!("expired");
    session["url"] = Value::Null;
    tx.put(session.clone());
    tx.emit("checkout.session.expired", &session);
    session
}

fn line_items_call(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    retrieve(tx, ask)?;
    Ok(line_items(tx, ask.id()))
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let (customer, intent) = (list::is(params, "customer")?, list::is(params, "payment_intent")?);
    let (status, made) = (list::is(params, "status")?, list::is(params, "subscription")?);
    let details = params.below("customer_details")?;
    let email = details.text("email")?;
    let wanted = |record: &crate::state::Record| {
        customer(record)
            && intent(record)
            && status(record)
            && made(record)
            && email.is_none_or(|email| record.object["customer_details"]["email"] == email)
    };
    list::page(tx, "checkout.session", params, "/v1/checkout/sessions", wanted)
}
