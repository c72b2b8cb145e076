//! The customer of Stripe that an account is, and the cards that it has saved there. No card is kept here.

use domain::ids::AccountId;
use runtime::{ApiError, App};
use serde_json::Value;
use tracing::error;

use crate::stripe::{
    Reply, Stripe,
    objects::{Card, id_of},
};

/// The cards that are shown: more than anybody saves.
const CARDS_MAX: usize = 100;

/// The customer that an account is; makes one, if it has not paid anything yet.
///
/// # Errors
/// 503 if Stripe does not answer.
pub(crate) async fn ensured(
    app: &App,
    stripe: &Stripe,
    account: &AccountId,
    email: Option<&str>,
) -> Result<String, ApiError> {
    let table = app.table()?;
    if let Some(customer) = table.customer(account).await? {
        return Ok(customer);
    }
    let mut form = vec![("metadata[account]", account.to_string())];
    form.extend(email.map(|email| ("email", email.to_owned())));
    // Two requests at once, and one that died here, make one customer.
    let made = done(stripe.post("customers", &form, Some(&format!("customer-{account}"))).await)?;
    let id = made["id"].as_str().ok_or_else(|| ApiError::internal("a customer without an id"))?;
    Ok(table.keep_customer(account, id).await?)
}

/// The saved cards of a customer, and which of them is charged if none is named.
#[derive(Debug, Default)]
pub(crate) struct SavedCards {
    pub(crate) cards: Vec<Card>,
    pub(crate) default: Option<String>,
}

/// Reads a customer's cards. The newest is the default, unless the owner has chosen one.
///
/// # Errors
/// 503 if Stripe does not answer.
pub(crate) async fn saved_cards(stripe: &Stripe, customer: &str) -> Result<SavedCards, ApiError> {
    let query =
        [("customer", customer.to_owned()), ("type", "card".to_owned()), ("limit", CARDS_MAX.to_string())];
    let path = format!("customers/{customer}");
    let (methods, owner) = tokio::join!(stripe.get("payment_methods", &query), stripe.get(&path, &[]));
    let (Some(methods), Some(owner)) = (found(methods)?, found(owner)?) else {
        return Ok(SavedCards::default());
    };
    let cards: Vec<Card> = methods["data"].as_array().into_iter().flatten().filter_map(Card::of).collect();
    let chosen = id_of(&owner["invoice_settings"]["default_payment_method"]);
    let chosen = chosen.filter(|id| cards.iter().any(|card| card.id == *id)).map(str::to_owned);
    let default = chosen.or_else(|| cards.first().map(|card| card.id.clone()));
    Ok(SavedCards { cards, default })
}

/// The account of a request's caller that owns the card `id`: its customer.
///
/// # Errors
/// 404 for a card that is not the caller's.
pub(crate) async fn owner_of(
    app: &App,
    stripe: &Stripe,
    account: &AccountId,
    id: &str,
) -> Result<String, ApiError> {
    let no_card = || ApiError::not_found("card");
    let id = crate::stripe::id("pm_", id).ok_or_else(no_card)?;
    let customer = app.table()?.customer(account).await?.ok_or_else(no_card)?;
    let method = found(stripe.get(&format!("payment_methods/{id}"), &[]).await)?.ok_or_else(no_card)?;
    let is_own = id_of(&method["customer"]) == Some(&customer);
    if is_own { Ok(customer) } else { Err(no_card()) }
}

/// The answer of a call that only reads, or may be made again.
///
/// # Errors
/// 503 if it did not come, 500 if Stripe refuses what we say.
pub(crate) fn done(reply: Reply) -> Result<Value, ApiError> {
    match reply {
        Reply::Done(value) => Ok(value),
        Reply::Unknown(why) => {
            error!(why, "Stripe does not answer");
            Err(ApiError::unavailable(
                "stripe_unavailable",
                "our payment service does not answer; try again in a minute",
            ))
        }
        Reply::Missing => Err(ApiError::internal("Stripe does not know what we ask for")),
        Reply::Refused(why) => Err(ApiError::internal(format!("Stripe refuses: {why}"))),
        Reply::Declined { why, .. } => Err(ApiError::declined(why.code(), why.sentence())),
    }
}

/// The same; `None` if there is no such thing.
///
/// # Errors
/// As [`done`].
pub(crate) fn found(reply: Reply) -> Result<Option<Value>, ApiError> {
    if matches!(reply, Reply::Missing) { Ok(None) } else { done(reply).map(Some) }
}
