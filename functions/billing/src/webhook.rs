//! `POST /v1/stripe/webhook`: what Stripe tells of.
//!
//! An event is only a hint: what it is about is looked up. So it does not matter in which order events come, how late, or how
//! often, and an event that never comes is made up for by the sweeper. Nothing of an event is kept but its id.

use std::sync::Arc;

use domain::stripe::is_signed;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Metric, Operation};
use serde::Serialize;
use serde_json::Value;
use store::StoreError;
use tracing::{info, warn};
use utoipa::ToSchema;

use crate::{
    secret::keys,
    stripe::objects::{id_of, key_of},
    till::Till,
};

/// The longest event that is read, in bytes; Stripe's have a few thousand.
const EVENT_BYTES_MAX: usize = 512 * 1024;
/// The longest id of an event that is remembered.
const EVENT_ID_CHARS_MAX: usize = 128;

/// That an event was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    /// `true`.
    pub received: bool,
}

/// Answers `POST /v1/stripe/webhook`.
///
/// # Errors
/// 400 for what Stripe has not signed, or signed more than five minutes ago; 503 if the event is to come again.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let (keys, table, now) = (keys(&app).await?, app.table()?, app.now());
    let body = request.raw_body(EVENT_BYTES_MAX)?;
    let signature = request.headers().get("stripe-signature").and_then(|value| value.to_str().ok());
    if !signature.is_some_and(|header| is_signed(header, body, &keys.webhook_secret, now)) {
        app.metrics().add(Metric::EventsRefused, 1);
        return Err(ApiError::bad_request("the signature is not Stripe's, or is too old"));
    }
    let event: Value = serde_json::from_slice(body).map_err(|_| ApiError::bad_request("this is no event"))?;
    let id = event["id"].as_str().filter(|id| !id.is_empty() && id.len() <= EVENT_ID_CHARS_MAX);
    let id = id.ok_or_else(|| ApiError::bad_request("an event without an id"))?;
    let kind = event["type"].as_str().unwrap_or_default();
    if table.knows_event(id).await? {
        return Ok(ApiResponse::ok(&Taken { received: true }));
    }
    let till = Till { app: &app, table, stripe: &keys.stripe };
    if !take(till, kind, &event["data"]["object"]).await? {
        app.metrics().add(Metric::EventsRefused, 1);
        warn!(event = id, kind, "Stripe does not answer; the event is to come again");
        return Err(ApiError::unavailable(
            "stripe_unavailable",
            "what this is about cannot be looked up now",
        ));
    }
    // Behind what it means: if this dies in between, it comes again and changes nothing.
    table.remember_event(id, now).await?;
    info!(event = id, kind, "took an event");
    Ok(ApiResponse::ok(&Taken { received: true }))
}

/// Looks up what the event is about; `false` if that cannot be done now.
async fn take(till: Till<'_>, kind: &str, object: &Value) -> Result<bool, StoreError> {
    let subject = object["object"].as_str().unwrap_or_default();
    match (subject, kind) {
        ("checkout.session", _) => {
            let (Some(key), Some(page)) = (key_of(object), object["id"].as_str()) else { return Ok(true) };
            let Some(mut payment) = till.table.payment(&key).await? else { return Ok(true) };
            payment.checkout.get_or_insert_with(|| page.to_owned());
            till.looked(payment).await
        }
        ("payment_intent", _) => match object["id"].as_str() {
            Some(intent) => till.follow_intent(intent).await,
            None => Ok(true),
        },
        ("charge" | "dispute" | "refund", _) => match id_of(&object["payment_intent"]) {
            Some(intent) => till.follow_intent(intent).await,
            None => Ok(true),
        },
        ("customer", "customer.deleted") => {
            let account = object["metadata"]["account"].as_str().and_then(domain::ids::AccountId::parse);
            if let (Some(account), Some(customer)) = (account, object["id"].as_str()) {
                till.table.forget_customer(&account, customer).await?;
            }
            Ok(true)
        }
        // Cards are asked for when somebody wants to see them.
        _ => Ok(true),
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("What Stripe tells of, signed by it").answers::<Taken>().problems(&[400, 413, 503])
}
