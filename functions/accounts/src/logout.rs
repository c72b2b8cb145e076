//! `POST /v1/auth/logout`: end this browser's session.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, Session};
use serde::Serialize;
use utoipa::ToSchema;

/// The session has ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedOut {
    /// `signed_out`.
    #[schema(example = "signed_out")]
    pub status: &'static str,
}

/// Answers `POST /v1/auth/logout`.
///
/// # Errors
/// 401 without a session, 403 for a foreign page.
pub async fn handle(app: Arc<App>, session: Session, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    app.table()?.end_session(&session.token).await?;
    Ok(ApiResponse::ok(&SignedOut { status: "signed_out" }).without_session())
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("End this browser's session").answers::<SignedOut>().problems(&[403])
}
