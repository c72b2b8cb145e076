//! Subscriptions: prices paid again and again. They begin in Checkout, and go on by the clock.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::{changed, invoice, payment_method};
use crate::error::ApiError;
use crate::list::{self, LIST};
use crate::routes::{Ask, EXPAND, Endpoint, delete, get, post};
use crate::tx::Tx;

pub(crate) const ENDPOINTS: &[Endpoint] = &[
    get("/v1/subscriptions", &[LIST, &["customer", "price", "status"]], list),
    get("/v1/subscriptions/{}", &[EXPAND], retrieve),
    post(
        "/v1/subscriptions/{}",
        &[&[
            "cancel_at_period_end",
            "cancellation_details.comment",
            "cancellation_details.feedback",
            "default_payment_method",
            "description",
            "expand[]",
            "items[].id",
            "items[].price",
            "items[].quantity",
            "metadata.*",
            "proration_behavior",
        ]],
        update,
    ),
    delete(
        "/v1/subscriptions/{}",
        &[&[
            "cancellation_details.comment",
            "cancellation_details.feedback",
            "expand[]",
            "invoice_now",
            "prorate",
        ]],
        cancel,
    ),
    get("/v1/subscription_items", &[LIST, &["subscription"]], list_items),
];

/// Begins one that is paid for its first period. Answers its id and its invoice's.
pub(crate) fn start(tx: &mut Tx<'_>, lines: &Value, about: &Value, intent: &Value) -> (Value, Value) {
    let id = tx.id("sub");
    let now = tx.now;
    let lines = lines.as_array().cloned().unwrap_or_default();
    let (again, once): (Vec<Value>, Vec<Value>) =
        lines.into_iter().partition(|line| !line["price"]["recurring"].is_null());
    let recurring = again.first().map_or(Value::Null, |line| line["price"]["recurring"].clone());
    let end = period_end(now, now, &recurring);
    let mut items = Vec::new();
    for line in again {
        let item = tx.id("si");
        items.push(json!({
            "id": item,
            "object": "subscription_item",
            "billing_thresholds": null,
            "created": now,
            "current_period_end": end,
            "current_period_start": now,
            "discounts": [],
            "metadata": {},
            "price": line["price"],
            "quantity": line["quantity"],
            "subscription": id,
            "tax_rates": [],
        }));
    }
    let subscription = json!({
        "id": id,
        "object": "subscription",
        "application": null,
        "application_fee_percent": null,
        "automatic_tax": { "disabled_reason": null, "enabled": false, "liability": null },
        "billing_cycle_anchor": now,
        "billing_cycle_anchor_config": null,
        "billing_mode": { "flexible": null, "type": "classic" },
        "billing_schedules": [],
        "billing_thresholds": null,
        "cancel_at": null,
        "cancel_at_period_end": false,
        "canceled_at": null,
        "cancellation_details": { "comment": null, "feedback": null, "reason": null },
        "collection_method": "charge_automatically",
        "created": now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "days_until_due": null,
        "default_payment_method": intent["payment_method"],
        "default_source": null,
        "default_tax_rates": [],
        "description": about["description"],
        "discounts": [],
        "ended_at": null,
        "invoice_settings": { "account_tax_ids": null, "issuer": { "type": "self" } },
        "items": {
            "object": "list",
            "data": items,
            "has_more": false,
            "url": format!("/v1/subscription_items?subscription={id}"),
        },
        "latest_invoice": null,
        "livemode": false,
        "metadata": about["metadata"],
        "next_pending_invoice_item_invoice": null,
        "on_behalf_of": null,
        "pause_collection": null,
        "payment_settings": {
            "payment_method_options": null,
            "payment_method_types": null,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": null,
        "pending_setup_intent": null,
        "pending_update": null,
        "schedule": null,
        "start_date": now,
        "status": "active",
        "test_clock": null,
        "transfer_data": null,
        "trial_end": null,
        "trial_settings": { "end_behavior": { "missing_payment_method": "create_invoice" } },
        "trial_start": null,
    });
    tx.put(subscription.clone());
    let made = invoice::make(tx, &subscription, &once, "subscription_create", (now, now));
    let invoice_id = made["id"].as_str().unwrap_or_default().to_owned();
    let mut subscription = subscription;
    subscription["latest_invoice"] = json!(invoice_id);
    tx.put(subscription.clone());
    tx.emit("customer.subscription.created", &subscription);
    invoice::pay_with(tx, made, intent);
    (json!(id), json!(invoice_id))
}

/// When the period that begins at `start` ends, for one that began at `anchor`: months keep the anchor's day where they have it.
fn period_end(anchor: i64, start: i64, recurring: &Value) -> i64 {
    let count = recurring["interval_count"].as_i64().unwrap_or(1).max(1);
    let at = |periods: i64| -> Option<i64> {
        let steps = count.checked_mul(periods)?;
        let span = match recurring["interval"].as_str() {
            Some("day") => Span::new().try_days(steps),
            Some("week") => Span::new().try_weeks(steps),
            Some("year") => Span::new().try_years(steps),
            _ => Span::new().try_months(steps),
        };
        let begun: DateTime = TimeZone::UTC.to_datetime(Timestamp::from_second(anchor).ok()?);
        let ends = begun.checked_add(span.ok()?).ok()?;
        Some(TimeZone::UTC.to_timestamp(ends).ok()?.as_second())
    };
    (1..).map_while(at).find(|end| *end > start).unwrap_or(i64::MAX)
}

/// The end of the period that is paid for, or was to be.
pub(crate) fn ends(subscription: &Value) -> i64 {
    let items = subscription["items"]["data"].as_array();
    items.and_then(|items| items.first()?["current_period_end"].as_i64()).unwrap_or(i64::MAX)
}

/// The clock has come to the end of its period.
pub(crate) fn renew(tx: &mut Tx<'_>, subscription: Value) {
    if subscription["cancel_at_period_end"] == true {
        end(tx, subscription, "canceled");
        return;
    }
    let before = subscription.clone();
    let mut subscription = subscription;
    let anchor = subscription["billing_cycle_anchor"].as_i64().unwrap_or_default();
    let start = ends(&subscription);
    let mut last = start;
    for item in subscription["items"]["data"].as_array_mut().into_iter().flatten() {
        last = item["current_period_start"].as_i64().unwrap_or_default();
        item["current_period_start"] = json!(start);
        item["current_period_end"] = json!(period_end(anchor, start, &item["price"]["recurring"]));
    }
    let made = invoice::make(tx, &subscription, &[], "subscription_cycle", (last, start));
    subscription["latest_invoice"] = made["id"].clone();
    tx.put(subscription.clone());
    tx.emit_with("customer.subscription.updated", &subscription, changed(&before, &subscription));
    invoice::collect(tx, made["id"].as_str().unwrap_or_default());
}

/// It goes into this status because of its payments.
pub(crate) fn set_status(tx: &mut Tx<'_>, id: &str, status: &str) {
    let Some(before) = tx.find("subscription", id) else { return };
    if before["status"] == status || before["status"] == "canceled" {
        return;
    }
    let mut subscription = before.clone();
    subscription["status"] = json!(status);
    tx.put(subscription.clone());
    tx.emit_with("customer.subscription.updated", &subscription, changed(&before, &subscription));
}

/// Ends it now.
pub(crate) fn end(tx: &mut Tx<'_>, mut subscription: Value, status: &str) -> Value {
    if subscription["status"] == status {
        return subscription;
    }
    let id = subscription["id"].as_str().unwrap_or_default().to_owned();
    subscription["status"] = json!(status);
    subscription["ended_at"] = json!(tx.now);
    if subscription["canceled_at"].is_null() {
        subscription["canceled_at"] = json!(tx.now);
    }
    if subscription["cancellation_details"]["reason"].is_null() {
        subscription["cancellation_details"]["reason"] = json!("cancellation_requested");
    }
    tx.put(subscription.clone());
    invoice::give_up(tx, &id);
    tx.emit("customer.subscription.deleted", &subscription);
    subscription
}

fn retrieve(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    tx.get("subscription", ask.id(), "id")
}

fn details(subscription: &mut Value, ask: &Ask<'_>) -> Result<(), ApiError> {
    let given = ask.params.below("cancellation_details")?;
    for name in ["comment", "feedback"] {
        if let Some(value) = given.clearable(name)? {
            subscription["cancellation_details"][name] = value;
        }
    }
    Ok(())
}

fn update(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let params = ask.params;
    let proration = params.choice("proration_behavior", &["always_invoice", "create_prorations", "none"])?;
    let at_end = params.boolean("cancel_at_period_end")?;
    let before = retrieve(tx, ask)?;
    let mut subscription = before.clone();
    if subscription["status"] == "canceled" {
        let message = "A canceled subscription can only update its cancellation_details and metadata.";
        return Err(ApiError::refused(message));
    }
    subscription["metadata"] = params.metadata(&subscription["metadata"])?;
    if let Some(description) = params.clearable("description")? {
        subscription["description"] = description;
    }
    details(&mut subscription, ask)?;
    if let Some(method) = params.text("default_payment_method")? {
        let customer = subscription["customer"].as_str().unwrap_or_default().to_owned();
        payment_method::of_customer(tx, method, &customer, "default_payment_method")?;
        subscription["default_payment_method"] = json!(method);
    }
    match at_end {
        Some(true) => {
            subscription["cancel_at_period_end"] = json!(true);
            subscription["cancel_at"] = json!(ends(&subscription));
            subscription["canceled_at"] = json!(tx.now);
            subscription["cancellation_details"]["reason"] = json!("cancellation_requested");
        }
        Some(false) => {
            subscription["cancel_at_period_end"] = json!(false);
            subscription["cancel_at"] = Value::Null;
            subscription["canceled_at"] = Value::Null;
            subscription["cancellation_details"]["reason"] = Value::Null;
        }
        None => {}
    }
    let items = params.list("items")?;
    if !items.is_empty() && proration != Some("none") {
        let message = "Here nothing is prorated: give proration_behavior=none, and the next period costs the new price.";
        return Err(ApiError::form(message).param("proration_behavior"));
    }
    for given in items {
        let id = given.required("id")?;
        let price = match given.text("price")? {
            Some(price) => Some(tx.get("price", price, &given.name("price"))?),
            None => None,
        };
        let all = subscription["items"]["data"].as_array_mut();
        let item = all.into_iter().flatten().find(|item| item["id"] == id);
        let item = item.ok_or_else(|| ApiError::no_such("subscription item", id, &given.name("id")))?;
        if let Some(price) = price {
            if price["recurring"] != item["price"]["recurring"]
                || price["currency"] != item["price"]["currency"]
            {
                let message = "Here a subscription keeps its interval and its currency.";
                return Err(ApiError::refused(message).param(&given.name("price")));
            }
            item["price"] = price;
        }
        if let Some(quantity) = given.integer("quantity")? {
            if !(1..=999_999).contains(&quantity) {
                let error = ApiError::form("This value must be greater than or equal to 1.");
                return Err(error.code("parameter_invalid_integer").param(&given.name("quantity")));
            }
            item["quantity"] = json!(quantity);
        }
    }
    tx.put(subscription.clone());
    if subscription != before {
        tx.emit_with("customer.subscription.updated", &subscription, changed(&before, &subscription));
    }
    Ok(subscription)
}

fn cancel(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    for name in ["invoice_now", "prorate"] {
        if ask.params.boolean(name)? == Some(true) {
            return Err(ApiError::form("Here nothing is prorated.").param(name));
        }
    }
    let mut subscription = retrieve(tx, ask)?;
    if subscription["status"] == "canceled" {
        return Err(ApiError::no_such("subscription", ask.id(), "id"));
    }
    details(&mut subscription, ask)?;
    Ok(end(tx, subscription, "canceled"))
}

fn list(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let customer = list::is(ask.params, "customer")?;
    let (status, price) = (ask.params.text("status")?, ask.params.text("price")?);
    let wanted = |record: &crate::state::Record| {
        let found = &record.object;
        let status = match status {
            None => found["status"] != "canceled",
            Some("all") => true,
            Some("ended") => found["status"] == "canceled",
            Some(status) => found["status"] == status,
        };
        let mut items = found["items"]["data"].as_array().into_iter().flatten();
        status && customer(record) && price.is_none_or(|price| items.any(|item| item["price"]["id"] == price))
    };
    list::page(tx, "subscription", ask.params, "/v1/subscriptions", wanted)
}

fn list_items(tx: &mut Tx<'_>, ask: &Ask<'_>) -> Result<Value, ApiError> {
    let subscription = tx.get("subscription", ask.params.required("subscription")?, "subscription")?;
    Ok(subscription["items"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn months_keep_the_day_that_they_began_on() {
        let anchor = seconds("2026-01-31T10:00:00Z");
        let monthly = json!({ "interval": "month", "interval_count": 1 });
        let mut start = anchor;
        for wanted in
            ["2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z", "2026-05-31T10:00:00Z"]
        {
            start = period_end(anchor, start, &monthly);
            assert_eq!(start, seconds(wanted), "{wanted}");
        }
        let yearly = json!({ "interval": "year", "interval_count": 1 });
        assert_eq!(period_end(anchor, anchor, &yearly), seconds("2027-01-31T10:00:00Z"));
        let fortnight = json!({ "interval": "week", "interval_count": 2 });
        assert_eq!(period_end(anchor, anchor, &fortnight), seconds("2026-02-14T10:00:00Z"));
    }
}
