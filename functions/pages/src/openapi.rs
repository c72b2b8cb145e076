//! `GET /openapi.json`: the API description, generated from the endpoints' own types by `cargo xtask generate`.

use std::sync::Arc;

use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};

/// The generated document; a contract test fails when it is stale.
const DOCUMENT: &str = include_str!("../../../infra/openapi.json");

/// Answers `GET /openapi.json`.
///
/// # Errors
/// None.
pub async fn handle(_: Arc<App>, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let answer = ApiResponse::new(StatusCode::OK, "application/json", DOCUMENT.as_bytes().to_vec());
    Ok(answer
        .with_header("cache-control", "public, max-age=300")
        .with_header("access-control-allow-origin", "*"))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("This description")
}
