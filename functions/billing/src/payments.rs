//! `GET /v1/payments`: what was paid in, with receipts, newest first.

use std::sync::Arc;

use domain::{
    ids::PaymentId,
    payment::{Payment, State},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation, paging};
use serde::Serialize;
use utoipa::ToSchema;

/// Payments of a page, unless asked otherwise.
const LIMIT: usize = 20;
/// Payments of the largest page.
const LIMIT_MAX: usize = 100;

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentView {
    /// Its id.
    #[schema(example = "pay_k3x9q2w1za1b2c3d4e5f6g7h8")]
    pub id: String,
    /// `deposit` or `reload`.
    #[schema(example = "deposit")]
    pub kind: &'static str,
    /// `pending`, `paid`, `declined` or `expired`.
    #[schema(example = "paid")]
    pub status: &'static str,
    /// Why the card was not charged, as a stable word; null if it was.
    #[schema(example = "card_declined")]
    pub decline: Option<&'static str>,
    /// Cents that were asked for.
    #[schema(example = 2500)]
    pub amount: u64,
    /// Cents that have gone back, by refunds and lost disputes.
    #[schema(example = 0)]
    pub taken_back: u64,
    /// When.
    #[schema(format = DateTime, example = "2026-03-30T12:00:00Z")]
    pub created: String,
    /// Stripe's id of what was charged.
    #[schema(example = "pi_3T...")]
    pub payment_intent_id: Option<String>,
    /// Stripe's page with the receipt.
    pub receipt_url: Option<String>,
}

/// Some payments, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Payments {
    /// The payments.
    pub payments: Vec<PaymentView>,
    /// Ask with `?cursor=` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let decline = match payment.state {
            State::Declined { why } => Some(why.code()),
            _ => None,
        };
        Self {
            id: payment.id.to_string(),
            kind: payment.purpose.word(),
            status: payment.state.word(),
            decline,
            amount: payment.cents,
            taken_back: payment.credited_cents - payment.kept_cents(),
            created: payment.created_at.rfc3339(),
            payment_intent_id: payment.intent,
            receipt_url: payment.receipt_url,
        }
    }
}

/// Answers `GET /v1/payments`.
///
/// # Errors
/// 400 for a bad cursor or limit, 401 without a key or a session.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let limit = paging::count("limit", request.query("limit").as_deref(), LIMIT, LIMIT_MAX)?;
    let cursor = paging::cursor(request.query("cursor").as_deref(), PaymentId::parse)?;
    let page = app.table()?.payment_page(&caller.account, cursor.as_ref(), limit).await?;
    let payments = page.payments.into_iter().map(PaymentView::from).collect();
    let next_cursor = page.next.map(|payment| payment.to_string());
    Ok(ApiResponse::ok(&Payments { payments, next_cursor }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("List payments, newest first")
        .query("cursor", "string", "The `next_cursor` of an earlier page.")
        .query("limit", "integer", "How many, 1 to 100.")
        .answers::<Payments>()
        .problems(&[400])
}
