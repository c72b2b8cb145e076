//! What is done and paid for within a request, without a job.
//!
//! The charge and the stored response for an `Idempotency-Key` are one transaction; a large response lies in `work/`.

use domain::{
    idempotency::Intention,
    ids::JobId,
    ledger::LedgerError,
    money::{Amount, WalletKind},
    transcript::ANSWER_BYTES_MAX,
};
use runtime::{ApiError, ApiResponse, App, Caller};
use store::{
    StoreError,
    idempotency::{Answer, Earlier},
    keys,
    purchase::{Purchase, Purchased},
};
use tracing::info;

/// An item of the table holds 400 KB. A larger answer that may be given again lies in the bucket.
const INLINE_BYTES_MAX: usize = 256 << 10;

/// The answer to the same request before, if there was one.
///
/// # Errors
/// 422 if its key was used for another request.
pub(crate) async fn earlier(
    app: &App,
    caller: &Caller,
    intention: Option<&Intention>,
) -> Result<Option<ApiResponse>, ApiError> {
    let Some(intention) = intention else { return Ok(None) };
    match app.table()?.earlier(&caller.account, intention, app.now()).await? {
        Some(earlier) => again(app, earlier).await.map(Some),
        None => Ok(None),
    }
}

/// Who cannot pay is told before any work is done.
///
/// # Errors
/// 402.
pub(crate) async fn must_have(app: &App, caller: &Caller, price: Amount) -> Result<(), ApiError> {
    if caller.cap.as_ref().is_some_and(|cap| cap.amount < price) {
        return Err(ApiError::daily_cap());
    }
    let wallet = app.table()?.wallet(&caller.account, WalletKind::Usd).await?;
    let charged = wallet.charge(price).map(drop);
    charged.map_err(|problem: LedgerError| StoreError::from(problem).into())
}

/// Charges `price` for the answer `response` to a request for `what`, and hands it on; or the answer that was given before.
///
/// # Errors
/// 402 without money, 422 for an answer that is too long to be sent. Nothing is spent then.
pub(crate) async fn charged(
    app: &App,
    caller: &Caller,
    intention: Option<&Intention>,
    (what, price): (&str, Amount),
    response: ApiResponse,
) -> Result<ApiResponse, ApiError> {
    let mut answer = response.to_answer();
    if answer.body.len() > ANSWER_BYTES_MAX {
        let detail = "the captions of this video are too long to be sent in one answer";
        return Err(ApiError::unprocessable("transcript_too_long", detail));
    }
    let reference = format!("{what}-{}", JobId::from_random(random()?));
    if intention.is_some() && answer.body.len() > INLINE_BYTES_MAX {
        let object = keys::answer_object(&reference);
        let body = std::mem::take(&mut answer.body).into_bytes();
        app.objects()?.put_bytes(&object, body, "application/json").await?;
        answer.object = Some(object);
    }
    let purchase = Purchase {
        reference: &reference,
        account: &caller.account,
        wallet: WalletKind::Usd,
        amount: price,
        storage_gb: 0,
        cap: caller.cap.as_ref(),
        intention: intention.map(|intention| (intention, &answer)),
        now: app.now(),
    };
    match app.table()?.purchase(&purchase).await? {
        Purchased::Paid => {
            info!(account = %caller.account, reference, charged = price.units(), "delivered at once");
            Ok(response)
        }
        Purchased::Earlier(earlier) => again(app, earlier).await,
        Purchased::Capped => Err(ApiError::daily_cap()),
    }
}

/// The answer to a request that was carried out before.
async fn again(app: &App, earlier: Earlier) -> Result<ApiResponse, ApiError> {
    let earlier = match earlier {
        Earlier::Same(Answer { status, object: Some(object), .. }) => {
            let body = app.objects()?.get_bytes(&object).await?;
            Earlier::Same(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), object: None })
        }
        earlier => earlier,
    };
    ApiResponse::replayed(earlier)
}

fn random() -> Result<[u8; 16], ApiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(bytes)
}
