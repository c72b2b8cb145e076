//! The API description (OpenAPI 3.1), made from what the tables of endpoints tell.

use std::collections::BTreeMap;

use anyhow::Context as _;
use runtime::{CalledBy, Described, Operation};
use serde_json::{Map, Value, json};

use crate::{areas::Area, refine};

/// Where it lies in the checkout.
pub const FILE: &str = "infra/openapi.json";

/// The whole document.
///
/// # Errors
/// The handler of an endpoint that is not described yet.
pub fn document(areas: &[Area]) -> anyhow::Result<Value> {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut schemas = BTreeMap::from([("Problem".to_owned(), problem_schema())]);
    let rows = areas.iter().flat_map(|area| &area.rows);
    for endpoint in rows.filter(|endpoint| !endpoint.is_rest()) {
        let Some(route) = endpoint.routes.first() else { continue };
        let operation = endpoint.operation.as_ref().with_context(|| {
            format!("{} is not described: its row wants `.described(describe!(…))`", endpoint.handler)
        })?;
        paths
            .entry(&route.path)
            .or_default()
            .insert(route.method.to_lowercase(), path_item(endpoint, &route.path, operation));
        schemas.extend(operation.schemas.clone());
    }
    refine::refine(&mut schemas);
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Clipwright",
            "description": "Cut frame-exact clips out of any video URL with one call.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": headers(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "bearerFormat": "sk_live_..." },
                "session": { "type": "apiKey", "in": "cookie", "name": runtime::SESSION_COOKIE },
            },
        },
    }))
}

fn path_item(endpoint: &Described, path: &str, operation: &Operation) -> Value {
    let mut item = json!({
        "operationId": endpoint.handler.replace('.', "_"),
        "summary": operation.summary,
        "tags": [endpoint.area()],
        "responses": responses(endpoint, operation),
    });
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = operation.query.iter().map(|parameter| {
        let (name, kind, description) = (&parameter.name, &parameter.kind, &parameter.description);
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } })
    });
    let in_header = operation.spends.then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "A key that you choose. A repeat of the request with the same key within 24 hours is not \
                carried out again; it gets the same response, with `Idempotency-Replayed: true`. Another request with \
                the key is a 422.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).chain(in_header).collect();
    if !parameters.is_empty() {
        item["parameters"] = json!(parameters);
    }
    if let Some(request) = &operation.request {
        item["requestBody"] = json!({ "required": true, "content": content(request) });
    }
    let (key, session) = (json!({ "key": [] }), json!({ "session": [] }));
    match endpoint.caller {
        CalledBy::Key => item["security"] = json!([key, session]),
        CalledBy::Session => item["security"] = json!([session]),
        _ => {}
    }
    item
}

fn responses(endpoint: &Described, operation: &Operation) -> Value {
    let html = || json!({ "text/html": { "schema": { "type": "string" } } });
    let answer = match &operation.answer {
        Some(answer) => content(answer),
        None if endpoint.is_page() => html(),
        None => json!({ "application/json": { "schema": { "type": "object" } } }),
    };
    let problem = match endpoint.is_page() {
        true => html(),
        false => {
            json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } })
        }
    };
    let mut responses = json!({ "200": { "description": "OK", "content": answer } });
    let has_key = endpoint.caller == CalledBy::Key;
    let by_caller = (has_key || endpoint.caller == CalledBy::Session).then_some(401);
    let by_scope = has_key.then_some(403);
    let by_limit = endpoint.is_limited().then_some(429);
    let by_table = by_caller.into_iter().chain(by_scope).chain(by_limit);
    for status in operation.problems.iter().copied().chain(by_table).chain([500]) {
        responses[status.to_string()] = json!({
            "description": runtime::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()),
            "content": problem,
        });
    }
    if endpoint.is_limited() {
        for status in ["200", "429"] {
            let names = headers().into_iter().map(|(name, _)| name);
            let names = names.filter(|name| status == "429" || name != "Retry-After");
            let link = |name: String| {
                let link = json!({ "$ref": format!("#/components/headers/{name}") });
                (name, link)
            };
            responses[status]["headers"] = Value::Object(names.map(link).collect());
        }
    }
    responses
}

/// The headers of limited endpoints. Every answer has them, errors too, once the caller is known.
fn headers() -> Map<String, Value> {
    let header = |name: &str, description: &str| {
        (name.to_owned(), json!({ "description": description, "schema": { "type": "integer" } }))
    };
    Map::from_iter([
        header(
            "X-RateLimit-Limit",
            "How many requests are allowed in a window. Of several limits the strictest shows.",
        ),
        header("X-RateLimit-Remaining", "How many more are allowed in this window."),
        header("X-RateLimit-Reset", "When the window ends, in seconds since the epoch."),
        header("Retry-After", "Seconds to wait before the next request."),
    ])
}

fn content(schema: &str) -> Value {
    json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } })
}

/// RFC 9457, with our members.
fn problem_schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": text("`about:blank`: the status says it all."),
            "title": text("The status in words."),
            "status": { "type": "integer", "description": "The HTTP status." },
            "detail": text("What is wrong and what to do."),
            "code": text("A stable word for programs."),
            "request_id": text("Name this when you ask for help."),
        },
    })
}
