//! The API description (OpenAPI 3.1), made from the endpoints' table and the endpoints' own types.
//!
//! Paths, methods and who may call come from `ENDPOINTS`; what a request and an answer look like from the types
//! that the handlers really use. An endpoint without a row in [`operation`] is an error, so none is forgotten.

use std::collections::BTreeMap;

use runtime::Endpoint;
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// Every HTTP endpoint of the product.
#[must_use]
pub fn endpoints() -> Vec<&'static Endpoint> {
    [clips::ENDPOINTS, pages::ENDPOINTS]
        .into_iter()
        .flatten()
        .filter(|endpoint| endpoint.route().is_some())
        .collect()
}

/// What the table does not tell of an endpoint.
struct Operation {
    summary: &'static str,
    request: Option<Named>,
    answer: Option<Named>,
    /// Query parameters: name and description.
    query: &'static [(&'static str, &'static str)],
    /// Statuses beside 200, 401 and 500, which follow from the table.
    problems: &'static [u16],
}

/// A type's schema, and those it refers to.
struct Named {
    name: String,
    schemas: Vec<(String, RefOr<Schema>)>,
}

fn named<T: ToSchema + PartialSchema>() -> Option<Named> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    Some(Named { name: T::name().into_owned(), schemas })
}

fn operation(handler: &str) -> Option<Operation> {
    use clips::{balance::Balance, create, get::JobView, info};
    Some(match handler {
        "clips.info" => Operation {
            summary: "Look at a source: title, length, tallest quality",
            request: named::<info::InfoRequest>(),
            answer: named::<info::Info>(),
            query: &[],
            problems: &[400, 413, 415, 422],
        },
        "clips.create" => Operation {
            summary: "Ask for a clip",
            request: named::<create::ClipRequest>(),
            answer: named::<create::Accepted>(),
            query: &[],
            problems: &[400, 402, 413, 415, 422, 503],
        },
        "clips.get" => Operation {
            summary: "Follow a job, and fetch the clip when it is done",
            request: None,
            answer: named::<JobView>(),
            query: &[("wait", "1 to 25: answer when status or progress change, or after this many seconds")],
            problems: &[400, 404],
        },
        "clips.balance" => Operation {
            summary: "Read the balance",
            request: None,
            answer: named::<Balance>(),
            query: &[],
            problems: &[],
        },
        "pages.openapi" => {
            Operation { summary: "This description", request: None, answer: None, query: &[], problems: &[] }
        }
        _ => return None,
    })
}

/// The whole document.
///
/// # Errors
/// The handler of an endpoint that is not described yet.
pub fn document() -> Result<Value, String> {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut schemas = BTreeMap::from([("Problem".to_owned(), problem_schema())]);
    for endpoint in endpoints() {
        let Some(route) = endpoint.route() else { continue };
        let operation = operation(endpoint.handler)
            .ok_or_else(|| format!("{} is not described in infra/openapi/src/lib.rs", endpoint.handler))?;
        paths
            .entry(route.path)
            .or_default()
            .insert(route.method.to_lowercase(), path_item(endpoint, route.path, &operation));
        for (name, schema) in
            [operation.request, operation.answer].into_iter().flatten().flat_map(|named| named.schemas)
        {
            schemas.insert(name, serde_json::to_value(schema).map_err(|error| error.to_string())?);
        }
    }
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
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "bearerFormat": "sk_live_..." } },
        },
    }))
}

fn path_item(endpoint: &Endpoint, path: &str, operation: &Operation) -> Value {
    let mut item = json!({
        "operationId": endpoint.handler.replace('.', "_"),
        "summary": operation.summary,
        "tags": [endpoint.area()],
        "responses": responses(endpoint, operation),
    });
    let in_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let in_query = operation.query.iter().map(|(name, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": "integer" } })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    if !parameters.is_empty() {
        item["parameters"] = json!(parameters);
    }
    if let Some(request) = &operation.request {
        item["requestBody"] = json!({ "required": true, "content": content(&request.name) });
    }
    if endpoint.needs_key() {
        item["security"] = json!([{ "key": [] }]);
    }
    item
}

fn responses(endpoint: &Endpoint, operation: &Operation) -> Value {
    let answer = operation.answer.as_ref().map_or_else(
        || json!({ "application/json": { "schema": { "type": "object" } } }),
        |answer| content(&answer.name),
    );
    let mut responses = json!({ "200": { "description": "OK", "content": answer } });
    let by_key = endpoint.needs_key().then_some(401);
    for status in operation.problems.iter().copied().chain(by_key).chain([500]) {
        responses[status.to_string()] = json!({
            "description": runtime::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()),
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
    }
    responses
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
