//! `POST /v1/reload`: charges the saved card, asked for with an API key.
//!
//! Between a leaked key and somebody's card stand, as the owner has set them: the switch, which is off at first; the reload
//! password; the approval by mail. Ten reloads an hour pass.

use std::sync::Arc;

use domain::{
    account::Settings,
    ids::AccountId,
    mail::Mail,
    payment::{self, Decline, Payment, Purpose, State},
    rate::RELOADS,
    reload::{APPROVAL_LIFETIME_MS, ApprovalToken, ReloadPassword, TRIES_MAX},
};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation, StatusCode, Var};
use serde::{Deserialize, Serialize};
use store::{
    accounts::Account,
    idempotency::Earlier,
    payments::{Approval, Asked, Begun, PaymentKey, payment_of},
};
use tracing::{error, info, warn};
use utoipa::ToSchema;

use crate::{
    customer::saved_cards,
    deposit::{begun, open},
    page::{address, random},
    secret::keys,
    till::Till,
};

/// How much.
#[derive(Deserialize, ToSchema)]
pub struct ReloadRequest {
    /// Whole cents, 500 ($5) to 50000 ($500).
    #[schema(example = 2500)]
    pub amount: i64,
    /// The reload password, if the owner has set one.
    #[schema(value_type = Option<String>, example = "...")]
    pub reload_password: Option<ReloadPassword>,
}

/// What was charged, or what it waits for.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Reload {
    /// `true` once the card is charged.
    #[schema(example = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// `true` while it waits: for the owner's approval, or (202) for Stripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<bool>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Stripe's id of what was charged.
    #[schema(example = "pi_3T...")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_intent_id: Option<String>,
    /// Cents.
    #[schema(example = 2500)]
    pub amount: u64,
    /// Dollars, right after the charge.
    #[schema(example = 29.9)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<f64>,
    /// The payment's id, as `GET /v1/payments` has it, of one that waits for Stripe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<String>,
}

/// Answers `POST /v1/reload`.
///
/// # Errors
/// 400 for a bad amount, 401 without a key, 402 for a card that is not charged or not there, 403 where the owner does not
/// allow it, 422 for a reused `Idempotency-Key`, 423 after five wrong passwords, 429 after ten reloads, 503 if Stripe does not
/// answer or nothing can be paid here.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: ReloadRequest = request.json()?;
    let cents = payment::cents(ask.amount).map_err(ApiError::bad_request)?;
    let (stripe, table) = (&keys(&app).await?.stripe, app.table()?);
    let till = Till { app: &app, table, stripe };
    let intention = request.intention()?;
    let account = table.account(&caller.account).await?.ok_or_else(ApiError::invalid_key)?;
    allowed(&app, &account, ask.reload_password.as_ref()).await?;
    if let Some(intention) = &intention
        && let Some(earlier) = table.earlier(&account.id, intention, app.now()).await?
    {
        return again(till, &account.id, earlier, &request).await;
    }
    let customer = table.customer(&account.id).await?.ok_or_else(no_card)?;
    let asked = Asked { intention: intention.as_ref(), quota: RELOADS };
    if account.settings.api_reload_confirm_by_email {
        return ask_owner(till, &account, cents, asked, &request).await;
    }
    let card = saved_cards(stripe, &customer).await?.default.ok_or_else(no_card)?;
    let new = begun(&account.id, &customer, (Purpose::Reload, cents), app.now())?;
    let payment = Payment { card: Some(card), ..new };
    match table.begin_payment(&payment, Some(asked), app.now()).await? {
        Begun::New => finish(till, payment, &request).await,
        Begun::Earlier(earlier) => again(till, &account.id, earlier, &request).await,
        Begun::Limited(limit) => Err(ApiError::rate_limited("reloads", limit)),
    }
}

/// Whether the owner allows a reload, and the password is right where there is one.
async fn allowed(app: &App, account: &Account, given: Option<&ReloadPassword>) -> Result<(), ApiError> {
    let Settings { api_reload_enabled, .. } = account.settings;
    if !api_reload_enabled {
        let detail = "API reload is off. The owner of the account can switch it on, signed in, with `POST /v1/account/reload`.";
        return Err(ApiError::forbidden("reload_disabled", detail));
    }
    let (table, now) = (app.table()?, app.now());
    if table.reload_lock(&account.id).await?.password.is_none() {
        return Ok(());
    }
    let Some(given) = given else {
        let detail = "This account has a reload password. Send it as `reload_password`.";
        return Err(ApiError::forbidden("reload_password_required", detail));
    };
    let Some(lock) = table.count_reload_try(&account.id, now).await? else {
        let lock = table.reload_lock(&account.id).await?;
        let until = lock.tries.locked_until(now).unwrap_or(now);
        let detail = "Too many wrong reload passwords. Nothing is tried for an hour; the owner was told.";
        let seconds = u16::try_from((until.0 - now.0 + 999) / 1000).unwrap_or(u16::MAX);
        return Err(ApiError::locked(detail, seconds));
    };
    if lock.password.as_deref().is_none_or(|hash| given.is(hash)) {
        table.take_reload_try_back(&account.id).await?;
        return Ok(());
    }
    warn!(account = %account.id, wrong = lock.tries.wrong, "wrong reload password");
    if lock.tries.wrong == TRIES_MAX
        && let Some(to) = account.email.clone()
    {
        app.enqueue(Var::MailQueueUrl, &Mail::ReloadLocked { to, until: lock.tries.until }).await?;
    }
    Err(ApiError::forbidden("wrong_reload_password", "The reload password is wrong. Nothing was charged."))
}

/// Mails the owner a link to approve with. Nothing is charged before.
async fn ask_owner(
    till: Till<'_>,
    account: &Account,
    cents: u64,
    asked: Asked<'_>,
    request: &ApiRequest,
) -> Result<ApiResponse, ApiError> {
    let Some(to) = account.email.clone() else {
        let detail = "This account has no e-mail address to ask. Switch the confirmation by mail off.";
        return Err(ApiError::forbidden("no_email", detail));
    };
    let (app, now) = (till.app, till.app.now());
    let token = ApprovalToken::from_random(random()?);
    let expires_at = now.plus_ms(APPROVAL_LIFETIME_MS);
    let approval = Approval { account: account.id.clone(), cents, expires_at, payment: None };
    let message = "We have mailed the owner of the account a link. The card is charged once the reload is approved there.";
    let response = ApiResponse::ok(&Reload {
        pending: Some(true),
        message: Some(message.to_owned()),
        amount: cents,
        ..Reload::default()
    });
    match till.table.issue_approval(&token, &approval, asked, &response.to_answer(), now).await? {
        Begun::New => {}
        Begun::Earlier(earlier) => return again(till, &account.id, earlier, request).await,
        Begun::Limited(limit) => return Err(ApiError::rate_limited("reloads", limit)),
    }
    let mail = Mail::ApproveReload { to, token: token.reveal().to_owned(), cents, expires_at };
    app.enqueue(Var::MailQueueUrl, &mail).await?;
    info!(account = %account.id, cents, "a reload waits for approval");
    Ok(response)
}

/// The answer to a request that was made before: of the payment that it began, as that stands now.
async fn again(
    till: Till<'_>,
    account: &AccountId,
    earlier: Earlier,
    request: &ApiRequest,
) -> Result<ApiResponse, ApiError> {
    let began = match &earlier {
        Earlier::Same(answer) => payment_of(answer),
        Earlier::Other => None,
    };
    let Some(payment) = began else { return ApiResponse::replayed(earlier) };
    let key = PaymentKey { account: account.clone(), payment };
    let payment = till.table.payment(&key).await?.ok_or_else(|| ApiError::internal("the payment is gone"))?;
    let answer = finish(till, payment, request).await?;
    Ok(answer.with_header("idempotency-replayed", "true"))
}

/// Brings a reload to its end, and answers what that is.
///
/// # Errors
/// 402 if the card was not charged.
pub(crate) async fn finish(
    till: Till<'_>,
    payment: Payment,
    request: &ApiRequest,
) -> Result<ApiResponse, ApiError> {
    let was = payment.state;
    let payment = till.settle(payment).await?;
    match payment.state {
        State::Paid => Ok(ApiResponse::ok(&Reload {
            success: Some(true),
            payment_intent_id: payment.intent,
            amount: payment.credited_cents,
            balance: Some(payment.balance_after.dollars()),
            ..Reload::default()
        })),
        State::Declined { why } => {
            if why == Decline::AuthenticationRequired && was == State::Pending {
                // The answer is certain, whether the mail is on its way or not.
                if let Err(problem) = invite(till, &payment, request).await {
                    error!(account = %payment.account, %problem, "the owner is not told");
                }
            }
            Err(ApiError::declined(why.code(), why.sentence()))
        }
        State::Expired => {
            let detail = "The payment did not go through in time. Nothing was charged. Ask for it again.";
            Err(ApiError::declined("payment_expired", detail))
        }
        State::Pending => {
            let message = "Our payment service has not told yet what became of this. The balance follows; nothing is charged twice.";
            let pending = Reload {
                pending: Some(true),
                message: Some(message.to_owned()),
                amount: payment.cents,
                payment_id: Some(payment.id.to_string()),
                ..Reload::default()
            };
            Ok(ApiResponse::json(StatusCode::ACCEPTED, &pending))
        }
    }
}

/// Mails the owner a page of Stripe on which the same amount can be paid, with the bank's own questions.
async fn invite(till: Till<'_>, declined: &Payment, request: &ApiRequest) -> Result<(), ApiError> {
    let account = till.table.account(&declined.account).await?;
    let Some(to) = account.and_then(|account| account.email) else { return Ok(()) };
    let (app, what) = (till.app, (Purpose::Deposit, declined.cents));
    let payment = begun(&declined.account, &declined.customer, what, app.now())?;
    till.table.begin_payment(&payment, None, app.now()).await?;
    let url = open(till, &payment, &address(app, request)?).await?;
    let mail = Mail::FinishPayment { to, url, cents: payment.cents, expires_at: payment.checkout_ends() };
    Ok(app.enqueue(Var::MailQueueUrl, &mail).await?)
}

/// 402: there is nothing to charge.
pub(crate) fn no_card() -> ApiError {
    let detail =
        "There is no saved card. The owner of the account can save one, signed in, with `POST /v1/cards`.";
    ApiError::declined("no_card", detail)
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Charge the saved card and add the amount to the balance")
        .takes::<ReloadRequest>()
        .answers::<Reload>()
        .problems(&[400, 402, 413, 415, 422, 423, 503])
        .spends()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_numbers() {
        let read = |text: &str| serde_json::from_str::<ReloadRequest>(text).map(|ask| ask.amount).ok();
        assert_eq!(read(r#"{"amount": 2500}"#), Some(2500));
        for bad in ["25.5", "\"2500\"", "1e9", "null", "[]", "2500.0"] {
            assert_eq!(read(&format!(r#"{{"amount": {bad}}}"#)), None, "{bad}");
        }
    }

    #[test]
    fn answers_are_to_the_letter() {
        let told = |reload: Reload| serde_json::to_string(&reload).unwrap();
        let done = Reload {
            success: Some(true),
            payment_intent_id: Some("pi_3T".to_owned()),
            amount: 2500,
            balance: Some(29.9),
            ..Reload::default()
        };
        assert_eq!(
            told(done),
            r#"{"success":true,"payment_intent_id":"pi_3T","amount":2500,"balance":29.9}"#
        );
        let waits =
            Reload { pending: Some(true), message: Some("m".to_owned()), amount: 2500, ..Reload::default() };
        assert_eq!(told(waits), r#"{"pending":true,"message":"m","amount":2500}"#);
    }
}
