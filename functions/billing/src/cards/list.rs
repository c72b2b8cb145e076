//! `GET /v1/cards`: the saved cards, newest first.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    customer::{SavedCards, saved_cards},
    secret::keys,
    stripe::objects::Card,
};

/// A saved card.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardView {
    /// Stripe's id of it.
    #[schema(example = "pm_1abc123")]
    pub id: String,
    /// Whose network it is of.
    #[schema(example = "visa")]
    pub brand: String,
    /// The last four digits of its number.
    #[schema(example = "4242")]
    pub last4: String,
    /// The month in which it expires, 1 to 12.
    #[schema(example = 12)]
    pub exp_month: u32,
    /// And the year.
    #[schema(example = 2027)]
    pub exp_year: u32,
    /// Whether a reload charges it.
    #[schema(example = true)]
    pub is_default: bool,
}

/// The saved cards.
#[derive(Debug, Serialize, ToSchema)]
pub struct Cards {
    /// The cards, newest first.
    pub cards: Vec<CardView>,
}

/// Answers `GET /v1/cards`.
///
/// # Errors
/// 401 without a key or a session, 503 if Stripe does not answer or nothing can be paid here.
pub async fn handle(app: Arc<App>, caller: Caller, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let stripe = &keys(&app).await?.stripe;
    let SavedCards { cards, default } = match app.table()?.customer(&caller.account).await? {
        Some(customer) => saved_cards(stripe, &customer).await?,
        None => SavedCards::default(),
    };
    let shown = |card: Card| {
        let is_default = default.as_ref() == Some(&card.id);
        let Card { id, brand, last4, exp_month, exp_year } = card;
        CardView { id, brand, last4, exp_month, exp_year, is_default }
    };
    Ok(ApiResponse::ok(&Cards { cards: cards.into_iter().map(shown).collect() }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("List the saved cards").answers::<Cards>().problems(&[503])
}
