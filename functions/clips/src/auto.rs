//! `POST /v1/clip/auto`: say what you want, get the clips.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Caller, Operation};

use crate::{
    accept::{Accepted, accept},
    moments::MomentsRequest,
};

/// Answers `POST /v1/clip/auto`.
///
/// # Errors
/// As `POST /v1/clip`. Nothing is spent or left behind then.
pub async fn handle(app: Arc<App>, caller: Caller, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let ask: MomentsRequest = request.json()?;
    accept(&app, caller, &request, ask.auto()?).await
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("Ask for clips of the moments that fit a description")
        .takes::<MomentsRequest>()
        .answers::<Accepted>()
        .problems(&[400, 402, 404, 409, 413, 415, 422, 503])
        .spends()
}
