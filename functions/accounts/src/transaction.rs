//! `GET /v1/transactions/{id}`: one row of the ledger.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};

use crate::transactions::{Transaction, TransactionId};

/// Answers `GET /v1/transactions/{id}`.
///
/// # Errors
/// 401 without a key, 404 for a transaction that is not the caller's.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let none = || ApiError::not_found("transaction");
    let TransactionId { account, wallet, seq } =
        TransactionId::parse(&request.path("id")).ok_or_else(none)?;
    // Somebody else's is answered like none.
    if account != caller.account {
        return Err(none());
    }
    let row = app.table()?.entry(&caller.account, wallet, seq).await?.ok_or_else(none)?;
    Ok(ApiResponse::ok(&Transaction::of(&caller.account, wallet, &row)))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("One transaction").answers::<crate::transactions::Transaction>().problems(&[404])
}
