//! `GET /paid`: where Stripe's pages lead back to. It looks the page up, so that whoever returns before Stripe's event has
//! come finds the money all the same. The page's id is a secret that only its visitor has.

use std::sync::Arc;

use domain::{money::Amount, payment::State};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};
use serde_json::Value;

use crate::{
    customer::found,
    page::said,
    secret::keys,
    stripe::{id, objects::key_of},
    till::Till,
};

/// Answers `GET /paid`.
///
/// # Errors
/// 404 for a page that is not ours, 503 if Stripe does not answer or nothing can be paid here.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let stripe = &keys(&app).await?.stripe;
    let Some(session) = request.query("session_id") else {
        return said(
            "Nothing was paid",
            "You have left the page before you paid. You can close this window.",
        );
    };
    let no_page = || ApiError::not_found("this payment");
    let session = id("cs_", &session).ok_or_else(no_page)?;
    let page = found(stripe.get(&format!("checkout/sessions/{session}"), &[]).await)?.ok_or_else(no_page)?;
    if page["mode"] == "setup" {
        return saved(&page);
    }
    let table = app.table()?;
    let key = key_of(&page).ok_or_else(no_page)?;
    let mut payment = table.payment(&key).await?.ok_or_else(no_page)?;
    payment.checkout.get_or_insert_with(|| session.to_owned());
    let till = Till { app: &app, table, stripe };
    let payment = till.follow(payment).await?;
    match payment.state {
        State::Paid => {
            let amount = Amount::cents(payment.credited_cents);
            said("Thank you", &format!("{amount} was added to your balance. You can close this window."))
        }
        State::Pending => said("Not paid yet", "Your balance follows as soon as the payment is through."),
        State::Declined { .. } | State::Expired => {
            said("Nothing was paid", "The page has expired. Nothing was charged.")
        }
    }
}

fn saved(page: &Value) -> Result<ApiResponse, ApiError> {
    match page["status"] == "complete" {
        true => said("Card saved", "The card is saved at Stripe. You can close this window."),
        false => said("No card saved", "You have left the page before the card was saved."),
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The page that Stripe's pages lead back to (HTML)")
        .query("session_id", "string", "Stripe's id of the page.")
        .problems(&[404, 503])
}
