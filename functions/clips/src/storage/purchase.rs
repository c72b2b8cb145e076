//! `POST /v1/storage/purchase`: more room for pinned clips, paid once from the balance.

use std::sync::Arc;

use domain::{ids::JobId, money::WalletKind, prices::PriceBook, storage};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::{Deserialize, Serialize};
use store::purchase::{Purchase, Purchased};
use tracing::info;
use utoipa::ToSchema;

/// How much.
#[derive(Debug, Deserialize, ToSchema)]
pub struct StorageRequest {
    /// Whole gigabytes (1,000,000,000 bytes), 1 to 10,000.
    #[schema(example = 5)]
    pub gb: u64,
}

/// What was bought.
#[derive(Debug, Serialize, ToSchema)]
pub struct BoughtStorage {
    /// `true`.
    pub success: bool,
    /// Gigabytes added to the quota.
    #[schema(example = 5)]
    pub gb: u64,
    /// What they cost, in dollars.
    #[schema(example = 5.0)]
    pub cost: f64,
    /// The version of the price list.
    #[schema(example = "fastclip-2026-11")]
    pub price_book: String,
}

/// Answers `POST /v1/storage/purchase`. The charge, the room and the answer to an `Idempotency-Key` are one transaction.
///
/// # Errors
/// 400 for a bad number, 401 without a key, 402 without money, 422 for a reused `Idempotency-Key`. Nothing is spent
/// then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let gb = storage::purchase(request.json::<StorageRequest>()?.gb)?;
    let (table, intention) = (app.table()?, request.intention()?);
    if let Some(intention) = &intention
        && let Some(earlier) = table.earlier(&caller.account, intention, app.now()).await?
    {
        return ApiResponse::replayed(earlier);
    }
    let book = PriceBook::current().ok_or_else(|| ApiError::internal("there is no price book"))?;
    let amount = book.storage(gb).ok_or_else(|| ApiError::internal("the price book sells no storage"))?;
    let price_book = book.version.clone();
    let response = ApiResponse::ok(&BoughtStorage { success: true, gb, cost: amount.dollars(), price_book });
    let answer = response.to_answer();
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|problem| ApiError::internal(problem.to_string()))?;
    let reference = format!("storage-{}", JobId::from_random(random));
    let purchase = Purchase {
        reference: &reference,
        account: &caller.account,
        wallet: WalletKind::Usd,
        amount,
        storage_gb: gb,
        cap: caller.cap.as_ref(),
        intention: intention.as_ref().map(|intention| (intention, &answer)),
        now: app.now(),
    };
    match table.purchase(&purchase).await? {
        Purchased::Paid => {
            info!(account = %caller.account, reference, gb, charged = amount.units(), "storage bought");
            Ok(response)
        }
        Purchased::Earlier(earlier) => ApiResponse::replayed(earlier),
        Purchased::Capped => Err(ApiError::daily_cap()),
    }
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Buy room for pinned clips")
        .takes::<StorageRequest>()
        .answers::<BoughtStorage>()
        .problems(&[400, 402, 413, 415, 422, 503])
        .spends()
}
