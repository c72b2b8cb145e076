//! Who is calling: the owner of an API key.

use domain::ids::{AccountId, ApiKey};
use lambda_http::http::{HeaderMap, header};
use store::Table;

use crate::errors::ApiError;

/// The authenticated caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The account that the key belongs to.
    pub account: AccountId,
}

/// Finds the caller of a request. The key is looked up by its digest, so nothing is compared byte by byte.
pub(crate) async fn authenticate(headers: &HeaderMap, table: &Table) -> Result<Caller, ApiError> {
    let key = bearer(headers).and_then(ApiKey::parse).ok_or_else(ApiError::invalid_key)?;
    let record = table.key_owner(&key).await?.ok_or_else(ApiError::invalid_key)?;
    Ok(Caller { account: record.account })
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1); the scheme's name has no case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
