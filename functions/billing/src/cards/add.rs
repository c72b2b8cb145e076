//! `POST /v1/cards`: a page of Stripe on which the owner of the account saves a card, without paying anything.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    customer::{done, ensured},
    deposit::PAGES,
    page::address,
    secret::keys,
};

/// Where to save a card.
#[derive(Debug, Serialize, ToSchema)]
pub struct CardPage {
    /// Stripe's page.
    #[schema(example = "https://checkout.stripe.com/c/pay/cs_live_a1...")]
    pub url: String,
}

/// Answers `POST /v1/cards`.
///
/// # Errors
/// 401 without a session, 429 after 60 pages in an hour, 503 if Stripe does not answer or nothing can be paid here.
pub async fn handle(app: Arc<App>, session: Session, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let stripe = &keys(&app).await?.stripe;
    let account = app.table()?.account(&session.account).await?.ok_or_else(ApiError::no_session)?;
    let limit = app.table()?.count(session.account.as_str(), PAGES, app.now()).await?;
    if !limit.allowed {
        return Err(ApiError::rate_limited("pages to save a card on", limit));
    }
    let customer = ensured(&app, stripe, &account.id, account.email.as_deref()).await?;
    let base = address(&app, &request)?;
    let form = [
        ("mode", "setup".to_owned()),
        ("customer", customer),
        ("payment_method_types[]", "card".to_owned()),
        ("success_url", format!("{base}/paid?session_id={{CHECKOUT_SESSION_ID}}")),
        ("cancel_url", format!("{base}/paid")),
        ("metadata[account]", account.id.to_string()),
    ];
    let page = done(stripe.post("checkout/sessions", &form, None).await)?;
    let url = page["url"].as_str().ok_or_else(|| ApiError::internal("a page without an address"))?;
    Ok(ApiResponse::ok(&CardPage { url: url.to_owned() }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Save a card without paying: opens a page of Stripe")
        .answers::<CardPage>()
        .problems(&[403, 429, 503])
}
