//! `GET /assets/{version}/{file}`: what the Studio and the account's page are made of.
//!
//! The version is one for all files, so that a module finds the others beside it, and caches may keep all of them for good. A
//! page of an earlier release still finds the files, as they are now.

use std::{
    io::Write as _,
    sync::{Arc, LazyLock},
};

use flate2::{Compression, write::GzEncoder};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::openapi::takes_gzip;

struct Asset {
    name: &'static str,
    media_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($name:literal as $media_type:expr),+ $(,)?) => {
        &[$(Asset { name: $name, media_type: $media_type, text: include_str!(concat!("../assets/", $name)) }),+]
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const ASSETS: &[Asset] = assets! {
    "account.js" as SCRIPT,
    "api.js" as SCRIPT,
    "format.js" as SCRIPT,
    "jobs.js" as SCRIPT,
    "mark.svg" as "image/svg+xml",
    "player.js" as SCRIPT,
    "samples.js" as SCRIPT,
    "sign-in.js" as SCRIPT,
    "studio.css" as "text/css; charset=utf-8",
    "studio.js" as SCRIPT,
    "timeline.js" as SCRIPT,
    "upload.js" as SCRIPT,
};

/// Of all files together: the first 6 bytes of a SHA-256 in hexadecimal digits.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all = ASSETS.iter().fold(Sha256::new(), |hash, asset| hash.chain_update(asset.text));
    all.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// Where pages find the files, without a slash at the end.
pub(crate) fn base() -> String {
    format!("/assets/{}", *VERSION)
}

/// Answers `GET /assets/{version}/{file}`, compressed for those who take gzip.
///
/// # Errors
/// 404.
pub async fn handle(_: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let name = request.path("file");
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| ApiError::not_found("file"))?;
    let accepted = request.headers().get("accept-encoding").and_then(|value| value.to_str().ok());
    let plain = asset.text.as_bytes();
    let answer = if takes_gzip(accepted.unwrap_or_default()) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let zipped = gzip.write_all(plain).and_then(|()| gzip.finish());
        let zipped = zipped.map_err(|problem| ApiError::internal(problem.to_string()))?;
        ApiResponse::new(StatusCode::OK, asset.media_type, zipped).with_header("content-encoding", "gzip")
    } else {
        ApiResponse::new(StatusCode::OK, asset.media_type, plain.to_vec())
    };
    let is_current = request.path("version") == *VERSION;
    let kept = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(answer
        .with_header("cache-control", kept)
        .with_header("vary", "accept-encoding")
        .with_header("x-content-type-options", "nosniff"))
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("A file of the Studio").problems(&[404])
}
