//! What no route takes: 404, 405 with what is allowed, and 308 to the same path without a slash at the end.
//!
//! API Gateway's own answer would be `{"message":"Not Found"}` for all of them. An HTTP API lets nobody change that, but
//! sends what no route takes to its default route. What browsers ask before they ask for something (OPTIONS) is among that:
//! API Gateway answers it itself only where no route takes it, and adds the headers of CORS to our answer.

use std::sync::{Arc, LazyLock};

use runtime::{ApiError, ApiRequest, ApiResponse, App, StatusCode};

use crate::openapi;

/// Every path of the API with its methods, upper-case, as it is described.
static ROUTES: LazyLock<Vec<(Vec<String>, Vec<String>)>> = LazyLock::new(|| {
    let paths = openapi::document()["paths"].as_object().cloned().unwrap_or_default();
    let routes = paths.into_iter().map(|(path, methods)| {
        let mut methods: Vec<_> =
            methods.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()).collect();
        if let Some(get) = methods.iter().position(|method| method == "GET") {
            methods.insert(get + 1, "HEAD".to_owned());
        }
        (path.split('/').map(str::to_owned).collect(), methods)
    });
    routes.collect()
});

/// Answers whatever no route takes.
///
/// # Errors
/// 404 for a path that leads nowhere, 405 for a method that its path does not know.
pub async fn handle(_: Arc<App>, request: ApiRequest) -> Result<ApiResponse, ApiError> {
    let path = request.raw_path();
    if request.method().as_str() == "OPTIONS" {
        return Ok(ApiResponse::new(StatusCode::NO_CONTENT, "text/plain; charset=utf-8", Vec::new()));
    }
    if let Some(methods) = methods(path) {
        return Err(ApiError::method_not_allowed(request.method().as_str(), methods));
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed != path && methods(trimmed).is_some() {
        let query = request.raw_query().map(|query| format!("?{query}")).unwrap_or_default();
        let answer =
            ApiResponse::new(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", Vec::new());
        return Ok(answer.with_header("location", &format!("{trimmed}{query}")));
    }
    Err(ApiError::no_such_path())
}

/// The methods that a path knows; `None` if it leads nowhere.
fn methods(path: &str) -> Option<&'static [String]> {
    let parts: Vec<&str> = path.split('/').collect();
    let leads = |route: &[String]| {
        route.len() == parts.len()
            && route.iter().zip(&parts).all(|(known, part)| match known.starts_with('{') {
                true => !part.is_empty(),
                false => known == part,
            })
    };
    // A path without parameters goes before one with them, as at API Gateway.
    let found = ROUTES.iter().filter(|(route, _)| leads(route));
    found
        .min_by_key(|(route, _)| route.iter().filter(|part| part.starts_with('{')).count())
        .map(|(_, methods)| methods.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_know_their_methods() {
        assert_eq!(methods("/v1/clip").unwrap(), ["POST"]);
        assert_eq!(methods("/v1/clip/info").unwrap(), ["POST"], "not a job's id");
        assert_eq!(methods("/v1/clip/abc").unwrap(), ["GET", "HEAD"]);
        assert_eq!(methods("/v1/clips/abc").unwrap(), ["DELETE", "PATCH"]);
        for nowhere in ["/v1", "/v1/", "/v1/clip/", "/v1/clips/abc/", "//v1/clip", "", "/v1/clip/a/b"] {
            assert_eq!(methods(nowhere), None, "{nowhere}");
        }
    }
}
