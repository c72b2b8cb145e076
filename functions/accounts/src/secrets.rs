//! Random bytes for secrets, from the operating system.

use runtime::ApiError;

/// 32 random bytes: more than anybody can guess.
///
/// # Errors
/// 500 if the operating system has none.
pub(crate) fn random() -> Result<[u8; 32], ApiError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|problem| ApiError::internal(problem.to_string()))?;
    Ok(bytes)
}

/// A random number.
///
/// # Errors
/// 500 if the operating system has none.
pub(crate) fn random_number() -> Result<u64, ApiError> {
    getrandom::u64().map_err(|problem| ApiError::internal(problem.to_string()))
}
