//! Stripe's objects, one a file: what each looks like, and the calls for it.

pub(crate) mod balance;
pub(crate) mod charge;
pub(crate) mod checkout;
pub(crate) mod customer;
pub(crate) mod dispute;
pub(crate) mod event;
pub(crate) mod invoice;
pub(crate) mod payment_intent;
pub(crate) mod payment_method;
pub(crate) mod price;
pub(crate) mod product;
pub(crate) mod refund;
pub(crate) mod setup_intent;
pub(crate) mod subscription;

use serde_json::{Value, json};

use crate::expand::list_of;
use crate::routes::Endpoint;
use crate::tx::Tx;

/// Every call.
pub(crate) const ENDPOINTS: &[&[Endpoint]] = &[
    balance::ENDPOINTS,
    charge::ENDPOINTS,
    checkout::ENDPOINTS,
    customer::ENDPOINTS,
    dispute::ENDPOINTS,
    event::ENDPOINTS,
    invoice::ENDPOINTS,
    payment_intent::ENDPOINTS,
    payment_method::ENDPOINTS,
    price::ENDPOINTS,
    product::ENDPOINTS,
    refund::ENDPOINTS,
    setup_intent::ENDPOINTS,
    subscription::ENDPOINTS,
];

/// A list within an object that is there only if it is asked for.
pub(crate) fn computed(tx: &Tx<'_>, object: &Value, field: &str) -> Option<Value> {
    let id = object["id"].as_str()?;
    let of = |kind: &str, name: &str| -> Vec<Value> {
        let all = tx.all(kind).into_iter().filter(|record| record.object[name] == id);
        all.map(|record| record.object.clone()).collect()
    };
    match (object["object"].as_str()?, field) {
        ("checkout.session", "line_items") => Some(checkout::line_items(tx, id)),
        ("charge", "refunds") => Some(list_of(of("refund", "charge"), &format!("/v1/charges/{id}/refunds"))),
        ("customer", "subscriptions") => Some(list_of(
            of("subscription", "customer")
                .into_iter()
                .filter(|found| found["status"] != "canceled")
                .collect(),
            &format!("/v1/customers/{id}/subscriptions"),
        )),
        ("invoice", "payments") => {
            Some(list_of(of("invoice_payment", "invoice"), &format!("/v1/invoices/{id}/payments")))
        }
        _ => None,
    }
}

/// An address of nobody.
pub(crate) fn no_address() -> Value {
    json!({ "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null })
}

/// What an object's fields were before they changed.
pub(crate) fn changed(before: &Value, after: &Value) -> Value {
    let fields = before.as_object().into_iter().flatten().filter(|(name, old)| after[*name] != **old);
    fields.map(|(name, old)| (name.clone(), old.clone())).collect()
}
