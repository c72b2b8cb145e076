//! `/v1/cards`: the cards that an account has saved at Stripe. Nothing of them is kept here.

use runtime::ApiError;

pub mod add;
pub mod default;
pub mod list;
pub mod remove;

/// The card's id in a path, as Stripe's have it.
fn no_such_card() -> ApiError {
    ApiError::not_found("card")
}
