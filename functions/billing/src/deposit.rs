//! `POST /v1/deposits`: a page of Stripe on which the owner of the account pays.

use std::sync::Arc;

use domain::{
    ids::{AccountId, PaymentId},
    money::Amount,
    payment::{self, Payment, Purpose, State},
    rate::{Quota, Window},
    time::Timestamp,
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::{Deserialize, Serialize};
use store::payments::{Asked, Begun, PaymentKey};
use tracing::info;
use utoipa::ToSchema;

use crate::{
    customer::{done, ensured},
    page::{address, random},
    secret::keys,
    stripe::{Reply, Stripe},
    till::Till,
};

/// Pages that an account may open: more than anybody pays on.
pub(crate) const PAGES: Quota = Quota::new("payment_pages", Window::Hour, 60);

/// How much.
#[derive(Debug, Deserialize, ToSchema)]
pub struct DepositRequest {
    /// Whole cents, 500 ($5) to 50000 ($500).
    #[schema(example = 2500)]
    pub amount: i64,
    /// Whether the card is kept at Stripe, to be charged later.
    #[serde(default)]
    pub save_card: bool,
}

/// Where to pay.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deposit {
    /// Stripe's page. It is open for an hour.
    #[schema(example = "https://checkout.stripe.com/c/pay/cs_live_a1...")]
    pub url: String,
    /// The payment's id, as `GET /v1/payments` has it.
    #[schema(example = "pay_k3x9q2w1za1b2c3d4e5f6g7h8")]
    pub payment_id: String,
}

/// Answers `POST /v1/deposits`.
///
/// # Errors
/// 400 for a bad amount, 401 without a session, 429 after 60 pages in an hour, 503 if Stripe does not answer or nothing can be paid here.
pub async fn handle(app: Arc<App>, session: Session, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: DepositRequest = request.json()?;
    let cents = payment::cents(ask.amount).map_err(ApiError::bad_request)?;
    let (stripe, table) = (&keys(&app).await?.stripe, app.table()?);
    let account = table.account(&session.account).await?.ok_or_else(ApiError::no_session)?;
    let customer = ensured(&app, stripe, &account.id, account.email.as_deref()).await?;
    let payment = Payment {
        save_card: ask.save_card,
        ..begun(&account.id, &customer, (Purpose::Deposit, cents), app.now())?
    };
    let asked = Asked { intention: None, quota: PAGES };
    if let Begun::Limited(limit) = table.begin_payment(&payment, Some(asked), app.now()).await? {
        return Err(ApiError::rate_limited("pages to pay on", limit));
    }
    let till = Till { app: &app, table, stripe };
    let url = open(till, &payment, &address(&app, &request)?).await?;
    info!(account = %account.id, payment = %payment.id, cents, "a page to pay on");
    Ok(ApiResponse::ok(&Deposit { url, payment_id: payment.id.to_string() }))
}

/// A new payment.
pub(crate) fn begun(
    account: &AccountId,
    customer: &str,
    (purpose, cents): (Purpose, u64),
    now: Timestamp,
) -> Result<Payment, ApiError> {
    Ok(Payment {
        id: PaymentId::new(now, random()?),
        account: account.clone(),
        purpose,
        cents,
        created_at: now,
        customer: customer.to_owned(),
        card: None,
        save_card: false,
        state: State::Pending,
        intent: None,
        checkout: None,
        receipt_url: None,
        credited_cents: 0,
        balance_after: Amount::ZERO,
        refunded_cents: 0,
        lost_cents: 0,
        disputed: false,
        looks: 0,
        version: 0,
    })
}

/// Opens Stripe's page for a payment that is written down; answers its address. Nobody is told the address before the payment
/// knows the page: what is paid on it is found.
///
/// # Errors
/// 503 if Stripe does not answer.
pub(crate) async fn open(till: Till<'_>, payment: &Payment, base: &str) -> Result<String, ApiError> {
    let page = done(ask(till.stripe, payment, base).await)?;
    let text = |name: &str| page[name].as_str().map(str::to_owned);
    let (Some(id), Some(url)) = (text("id"), text("url")) else {
        return Err(ApiError::internal("a page without an address"));
    };
    let report = payment::Report { checkout: Some(id), ..payment::Report::default() };
    let known = till.table.learn(&PaymentKey::of(payment), &report, till.app.now()).await?;
    known.map(|_| url).ok_or_else(|| ApiError::internal("the payment is gone"))
}

async fn ask(stripe: &Stripe, payment: &Payment, base: &str) -> Reply {
    let mut form = vec![
        ("mode", "payment".to_owned()),
        ("customer", payment.customer.clone()),
        ("client_reference_id", payment.id.to_string()),
        ("payment_method_types[]", "card".to_owned()),
        ("line_items[0][quantity]", "1".to_owned()),
        ("line_items[0][price_data][currency]", "usd".to_owned()),
        ("line_items[0][price_data][unit_amount]", payment.cents.to_string()),
        ("line_items[0][price_data][product_data][name]", "Balance".to_owned()),
        ("expires_at", payment.checkout_ends().epoch_seconds().to_string()),
        ("success_url", format!("{base}/paid?session_id={{CHECKOUT_SESSION_ID}}")),
        ("cancel_url", format!("{base}/paid")),
        ("metadata[account]", payment.account.to_string()),
        ("metadata[payment]", payment.id.to_string()),
        ("payment_intent_data[metadata][account]", payment.account.to_string()),
        ("payment_intent_data[metadata][payment]", payment.id.to_string()),
    ];
    if payment.save_card {
        form.push(("payment_intent_data[setup_future_usage]", "off_session".to_owned()));
    }
    stripe.post("checkout/sessions", &form, Some(payment.id.as_str())).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Pay money in: opens a page of Stripe")
        .takes::<DepositRequest>()
        .answers::<Deposit>()
        .problems(&[400, 403, 413, 415, 429, 503])
}
