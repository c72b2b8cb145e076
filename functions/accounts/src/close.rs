//! `DELETE /v1/account`: keys and sessions end at once, clips and personal data are erased in the background.
//!
//! The erasure is ordered before anything ends: after a crash in between, the background job closes the account
//! itself. The other way round, the owner would be locked out of an account that nobody erases.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session, Var};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;

use crate::erase::Erasure;

/// The account is closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Closed {
    /// `true`.
    pub deleted: bool,
    /// A sentence for people.
    pub message: &'static str,
}

/// Answers `DELETE /v1/account`.
///
/// # Errors
/// 401 without a session, 403 for a foreign page.
pub async fn handle(app: Arc<App>, session: Session, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    app.enqueue(Var::EraseQueueUrl, &Erasure { account: session.account.to_string() }).await?;
    app.table()?.close_account(&session.account, app.now()).await?;
    info!(account = %session.account, "closed");
    let message = "Your keys and sessions have ended. Your clips and your personal data are being erased.";
    Ok(ApiResponse::ok(&Closed { deleted: true, message }).without_session())
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Delete the account, with its keys, clips and personal data")
        .answers::<Closed>()
        .problems(&[403])
}
