//! One function asking another.

use aws_sdk_lambda::{Client, primitives::Blob};
use serde::{Serialize, de::DeserializeOwned};

use crate::AppError;

/// Calls another function of the stack and waits for its answer.
///
/// # Errors
/// [`AppError::Aws`], also where that function failed.
pub(crate) async fn invoke<T: DeserializeOwned>(
    client: &Client,
    function: &str,
    request: &impl Serialize,
) -> Result<T, AppError> {
    let fault = |message: String| AppError::Aws { operation: "Invoke", message };
    let request = serde_json::to_vec(request).map_err(|error| fault(error.to_string()))?;
    let answer = client.invoke().function_name(function).payload(Blob::new(request)).send().await;
    let answer = answer.map_err(|error| AppError::aws("Invoke", &error))?;
    let payload = answer.payload().map(Blob::as_ref).unwrap_or_default();
    if let Some(error) = answer.function_error() {
        return Err(fault(format!("{error}: {}", String::from_utf8_lossy(payload))));
    }
    serde_json::from_slice(payload).map_err(|error| fault(error.to_string()))
}
