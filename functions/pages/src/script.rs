//! `GET /share.js`: what makes the pages more pleasant. They work without it.

use std::sync::{Arc, LazyLock};

use domain::ids;
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};

const SCRIPT: &str = include_str!("../templates/share.js");

/// Where pages find the script. The version is in the address, so that caches may keep it for good.
pub(crate) static URL: LazyLock<String> =
    LazyLock::new(|| format!("/share.js?v={:.12}", ids::digest(SCRIPT)));

/// Answers `GET /share.js`.
///
/// # Errors
/// None.
pub async fn handle(_: Arc<App>, _: ApiRequest) -> Result<ApiResponse, ApiError> {
    let answer =
        ApiResponse::new(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT.as_bytes().to_vec());
    Ok(answer
        .with_header("cache-control", "public, max-age=31536000, immutable")
        .with_header("x-content-type-options", "nosniff"))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("The script of these pages")
}
