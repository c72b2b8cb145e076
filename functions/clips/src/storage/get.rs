//! `GET /v1/storage`: how much room there is for pinned clips.

use std::sync::Arc;

use domain::{money::Amount, prices::PriceBook};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use utoipa::ToSchema;

/// The caller's storage. Only pinned clips count.
#[derive(Debug, Serialize, ToSchema)]
pub struct StorageView {
    /// Bytes of the pinned clips.
    #[schema(example = 40509)]
    pub used: u64,
    /// Bytes that pinned clips may use.
    #[schema(example = 1_000_000_000)]
    pub quota: u64,
    /// Bytes that are free.
    #[schema(example = 999_959_491)]
    pub available: u64,
    /// How many clips are pinned.
    #[schema(example = 1)]
    pub pinned_clips: u64,
    /// Gigabytes (1,000,000,000 bytes) of the quota that were bought.
    #[schema(example = 0)]
    pub purchased_gb: u64,
    /// What one more costs, in dollars, once; null if none are sold.
    #[schema(example = 1.0)]
    pub price_per_gb: Option<f64>,
}

/// Answers `GET /v1/storage`.
///
/// # Errors
/// 401 without a key.
pub async fn handle(app: Arc<App>, caller: Caller, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let storage = app.table()?.storage(&caller.account).await?;
    let price = PriceBook::current().and_then(|book| book.storage(1));
    Ok(ApiResponse::ok(&StorageView {
        used: storage.used,
        quota: storage.quota(),
        available: storage.free(),
        pinned_clips: storage.pinned,
        purchased_gb: storage.purchased_gb,
        price_per_gb: price.map(Amount::dollars),
    }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Read the room for pinned clips").answers::<StorageView>()
}
