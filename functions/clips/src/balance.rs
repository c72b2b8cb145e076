//! `GET /v1/balance`: what the caller can spend.

use std::sync::Arc;

use domain::money::WalletKind;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};
use serde::Serialize;
use utoipa::ToSchema;

/// What the caller can spend.
#[derive(Debug, Serialize, ToSchema)]
pub struct Balance {
    /// Dollars, without what is reserved for jobs under way. Below zero after a refund of money that was spent already.
    #[schema(example = 4.9)]
    pub balance: f64,
}

/// Answers `GET /v1/balance`.
///
/// # Errors
/// 401 without a key.
pub async fn handle(app: Arc<App>, caller: Caller, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let wallet = app.table()?.wallet(&caller.account, WalletKind::Usd).await?;
    Ok(ApiResponse::ok(&Balance { balance: wallet.net_dollars() }))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Read the balance").answers::<Balance>()
}
