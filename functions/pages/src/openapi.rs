//! `GET /openapi.json`: the API description, generated from the endpoints' own types by `cargo xtask generate`, with the
//! address that it is asked for at.

use std::{
    io::Write as _,
    sync::{Arc, LazyLock, OnceLock},
};

use flate2::{Compression, write::GzEncoder};
use runtime::{ApiError, ApiRequest, ApiResponse, App, Operation, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::shown;

/// The generated document; a contract test fails when it is stale.
const DOCUMENT: &str = include_str!("../../../infra/openapi.json");

/// Read once; a document that is no JSON does not pass its contract test.
static PARSED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DOCUMENT).unwrap_or_default());

/// The document as it is generated, without servers.
pub(crate) fn document() -> &'static Value {
    &PARSED
}

/// The document for one address.
#[derive(Debug)]
struct Served {
    base: String,
    plain: Vec<u8>,
    gzipped: Vec<u8>,
    /// Of the document: the first 16 bytes of its SHA-256 in hexadecimal digits.
    digest: String,
}

impl Served {
    fn new(base: String) -> std::io::Result<Self> {
        let mut document = document().clone();
        document["servers"] = json!([{ "url": base }]);
        let plain = serde_json::to_vec(&document)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&plain)?;
        let gzipped = gzip.finish()?;
        let digest = Sha256::digest(&plain).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { base, plain, gzipped, digest })
    }
}

/// Answers `GET /openapi.json`: compressed for those who take gzip, and 304 for those who have it already.
///
/// # Errors
/// None but internal ones.
pub async fn handle(app: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    static SERVED: OnceLock<Served> = OnceLock::new();
    let base = shown::base(&app, &request)?;
    let made = |base| Served::new(base).map_err(|problem| ApiError::internal(problem.to_string()));
    // An API answers to its own name and, with a domain, to a second one: only one of them is kept.
    let other;
    let served = match SERVED.get() {
        Some(kept) if kept.base == base => kept,
        None => {
            let new = made(base)?;
            SERVED.get_or_init(|| new)
        }
        Some(_) => {
            other = made(base)?;
            &other
        }
    };
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let gzip = takes_gzip(header("accept-encoding"));
    // Of each form: a strong tag says that the bytes are the same (RFC 9110, section 8.8.3).
    let tag = format!("\"{}{}\"", served.digest, if gzip { "-gzip" } else { "" });
    let is_known = header("if-none-match")
        .split(',')
        .any(|known| matches!(known.trim(), "*") || known.trim().trim_start_matches("W/") == tag);
    let answer = match (is_known, gzip) {
        (true, _) => ApiResponse::new(StatusCode::NOT_MODIFIED, "application/json", Vec::new()),
        (false, false) => ApiResponse::new(StatusCode::OK, "application/json", served.plain.clone()),
        (false, true) => ApiResponse::new(StatusCode::OK, "application/json", served.gzipped.clone())
            .with_header("content-encoding", "gzip"),
    };
    Ok(answer
        .with_header("etag", &tag)
        .with_header("vary", "accept-encoding")
        .with_header("cache-control", "public, max-age=300"))
}

/// Whether an `Accept-Encoding` takes gzip (RFC 9110, section 12.5.3).
pub(crate) fn takes_gzip(accepted: &str) -> bool {
    let quality = |coding: &str| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f64>().ok());
        (name.trim().to_ascii_lowercase(), quality.unwrap_or(1.0))
    };
    let codings: Vec<_> = accepted.split(',').map(quality).collect();
    let of =
        |wanted: &str| codings.iter().find(|(name, _)| name == wanted).map(|(_, quality)| *quality > 0.0);
    of("gzip").or_else(|| of("*")).unwrap_or(false)
}

/// The endpoint in the API's description.
#[must_use]
pub fn operation() -> Operation {
    Operation::new("This description")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_description_names_its_server_and_reads_the_same_when_it_is_compressed() {
        let served = Served::new("https://api.example".to_owned()).unwrap();
        let document: Value = serde_json::from_slice(&served.plain).unwrap();
        assert_eq!(document["servers"][0]["url"], "https://api.example");
        assert_eq!(document["paths"], super::document()["paths"]);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(served.gzipped.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, served.plain);
        assert!(served.gzipped.len() * 3 < served.plain.len());
    }

    #[test]
    fn who_takes_gzip_says_so() {
        for yes in ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.5", "*", "deflate, *;q=0.1"] {
            assert!(takes_gzip(yes), "{yes}");
        }
        for no in ["", "br", "identity", "gzip;q=0", "*, gzip; q=0", "*;q=0"] {
            assert!(!takes_gzip(no), "{no}");
        }
    }
}
