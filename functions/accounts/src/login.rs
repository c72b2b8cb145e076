//! `POST /v1/auth/login`: sign in, by a link and a code that are sent by mail. An address that has no account yet gets one: the
//! answer is the same, so that nobody learns who has an account here.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation};

use crate::begin::begin;

/// Answers `POST /v1/auth/login`.
///
/// # Errors
/// 400 for an invalid address, 403 for a foreign page, 429 for too many mails to this address or from this client.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    begin(app, request).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Sign in: sends a link and a code by mail")
        .takes::<crate::begin::SignInRequest>()
        .answers::<crate::begin::Sent>()
        .problems(&[400, 403, 413, 415])
}
