//! Which function answers which call.

use serde_json::Value;

use crate::error::ApiError;
use crate::form::Params;
use crate::objects;
use crate::tx::Tx;

/// A call, once its endpoint is known.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) params: &'a Params,
    ids: Vec<&'a str>,
}

impl Ask<'_> {
    /// The id in the address.
    pub(crate) fn id(&self) -> &str {
        self.ids.first().copied().unwrap_or_default()
    }

    /// The second one.
    pub(crate) fn second(&self) -> &str {
        self.ids.get(1).copied().unwrap_or_default()
    }
}

/// What answers a call.
pub(crate) type Handler = fn(&mut Tx<'_>, &Ask<'_>) -> Result<Value, ApiError>;

/// A call that is answered.
#[derive(Debug)]
pub(crate) struct Endpoint {
    method: &'static str,
    /// With `{}` for an id.
    path: &'static str,
    /// The parameters that it takes, as [`Params::only`] reads them.
    params: &'static [&'static [&'static str]],
    handler: Handler,
}

pub(crate) const fn get(
    path: &'static str,
    params: &'static [&'static [&'static str]],
    handler: Handler,
) -> Endpoint {
    Endpoint { method: "GET", path, params, handler }
}

pub(crate) const fn post(
    path: &'static str,
    params: &'static [&'static [&'static str]],
    handler: Handler,
) -> Endpoint {
    Endpoint { method: "POST", path, params, handler }
}

pub(crate) const fn delete(
    path: &'static str,
    params: &'static [&'static [&'static str]],
    handler: Handler,
) -> Endpoint {
    Endpoint { method: "DELETE", path, params, handler }
}

/// What every call takes.
pub(crate) const EXPAND: &[&str] = &["expand[]"];

/// Carries a call out.
pub(crate) fn call(tx: &mut Tx<'_>, method: &str, path: &str, params: &Params) -> Result<Value, ApiError> {
    let endpoints = objects::ENDPOINTS.iter().flat_map(|endpoints| endpoints.iter());
    for endpoint in endpoints.filter(|endpoint| endpoint.method == method) {
        if let Some(ids) = matches(endpoint.path, path) {
            params.only(endpoint.params)?;
            return (endpoint.handler)(tx, &Ask { params, ids });
        }
    }
    Err(ApiError::no_route(method, path))
}

/// The ids in a path of this pattern.
fn matches<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (mut ids, mut path) = (Vec::new(), path.split('/'));
    for part in pattern.split('/') {
        let found = path.next()?;
        match part {
            "{}" if !found.is_empty() => ids.push(found),
            part if part == found => {}
            _ => return None,
        }
    }
    path.next().is_none().then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_whole() {
        assert_eq!(matches("/v1/a/{}/b", "/v1/a/x/b"), Some(vec!["x"]));
        for path in ["/v1/a/x", "/v1/a//b", "/v1/a/x/b/c", "/v1/a/x/c"] {
            assert_eq!(matches("/v1/a/{}/b", path), None, "{path}");
        }
    }

    #[test]
    fn no_endpoint_hides_another() {
        let all: Vec<&Endpoint> = objects::ENDPOINTS.iter().flat_map(|endpoints| endpoints.iter()).collect();
        for (index, endpoint) in all.iter().enumerate() {
            let hidden = all[..index].iter().find(|earlier| {
                earlier.method == endpoint.method && matches(earlier.path, endpoint.path).is_some()
            });
            assert!(hidden.is_none(), "{} {} behind {:?}", endpoint.method, endpoint.path, hidden);
        }
    }
}
