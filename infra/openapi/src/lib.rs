//! The API description (OpenAPI 3.1), made from the endpoints' table and the endpoints' own types.
//!
//! Paths, methods and who may call come from `ENDPOINTS`; what a request and an answer look like from the types
//! that the handlers really use. An endpoint without a row in [`operation`] is an error, so none is forgotten.

mod accounts_area;
mod library;
mod pages_area;
mod webhooks_area;

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
    [accounts::ENDPOINTS, clips::ENDPOINTS, pages::ENDPOINTS, webhooks::ENDPOINTS]
        .into_iter()
        .flatten()
        .filter(|endpoint| endpoint.route().is_some())
        .collect()
}

/// Endpoints that spend money, and so take an `Idempotency-Key`.
const SPENDING: &[&str] = &["clips.create", "clips.download", "clips.transcript", "clips.storage_purchase"];

/// What the table does not tell of an endpoint.
struct Operation {
    summary: &'static str,
    request: Option<Named>,
    answer: Option<Named>,
    /// Query parameters: name, type and description.
    query: &'static [(&'static str, &'static str, &'static str)],
    /// Statuses beside 200, 401, 403, 429 and 500, which follow from the table.
    problems: &'static [u16],
}

impl Operation {
    /// One without a body, parameters or problems of its own.
    const fn plain(summary: &'static str, answer: Option<Named>) -> Self {
        Self { summary, request: None, answer, query: &[], problems: &[] }
    }
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
    use clips::{
        accept::Accepted, balance::Balance, create, download, get::JobView, info, quote, transcript, upload,
    };
    Some(match handler {
        "clips.info" => Operation {
            summary: "Look at a source: title, length, tallest quality",
            request: named::<info::InfoRequest>(),
            answer: named::<info::Info>(),
            query: &[],
            problems: &[400, 401, 403, 404, 409, 413, 415, 422],
        },
        "clips.quote" => Operation {
            summary: "Ask what a clip or a whole video would cost",
            request: named::<quote::QuoteRequest>(),
            answer: named::<quote::QuoteView>(),
            query: &[],
            problems: &[400, 402, 404, 409, 413, 415, 422],
        },
        "clips.create" => Operation {
            summary: "Ask for a clip",
            request: named::<create::ClipRequest>(),
            answer: named::<Accepted>(),
            query: &[],
            problems: &[400, 402, 404, 409, 413, 415, 422, 503],
        },
        "clips.download" => Operation {
            summary: "Ask for a whole video",
            request: named::<download::DownloadRequest>(),
            answer: named::<Accepted>(),
            query: &[],
            problems: &[400, 402, 404, 409, 413, 415, 422, 503],
        },
        "clips.get" => Operation {
            summary: "Follow a job, and fetch the clip when it is done",
            request: None,
            answer: named::<JobView>(),
            query: &[(
                "wait",
                "integer",
                "1 to 25: answer when status or progress change, or after this many seconds",
            )],
            problems: &[400, 404],
        },
        "clips.cancel" => Operation {
            summary: "End a job that has not ended, and get its money back; answers the job, also the second time",
            request: None,
            answer: named::<JobView>(),
            query: &[],
            problems: &[404, 409, 503],
        },
        "clips.transcript" => Operation {
            summary: "Read what is said in a video, from its captions",
            request: named::<transcript::TranscriptRequest>(),
            answer: named::<transcript::Transcript>(),
            query: &[],
            problems: &[400, 402, 404, 413, 415, 422, 503],
        },
        "clips.upload_request" => Operation {
            summary: "Announce a file that is sent in one piece",
            request: named::<upload::UploadRequest>(),
            answer: named::<upload::request::Requested>(),
            query: &[],
            problems: &[400, 413, 415],
        },
        "clips.upload_initiate" => Operation {
            summary: "Announce a large file that is sent in parts",
            request: named::<upload::UploadRequest>(),
            answer: named::<upload::initiate::Initiated>(),
            query: &[],
            problems: &[400, 413, 415],
        },
        "clips.upload_complete" => Operation {
            summary: "Say that all parts have been sent",
            request: named::<upload::complete::CompleteRequest>(),
            answer: named::<upload::UploadView>(),
            query: &[],
            problems: &[400, 404, 413, 415],
        },
        "clips.upload_get" => Operation {
            summary: "Follow an upload until it is ready",
            request: None,
            answer: named::<upload::UploadView>(),
            query: &[],
            problems: &[404],
        },
        "clips.balance" => Operation {
            summary: "Read the balance",
            request: None,
            answer: named::<Balance>(),
            query: &[],
            problems: &[],
        },
        handler => {
            return library::operation(handler)
                .or_else(|| accounts_area::operation(handler))
                .or_else(|| pages_area::operation(handler))
                .or_else(|| webhooks_area::operation(handler));
        }
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
            "headers": headers(),
            "securitySchemes": {
                "key": { "type": "http", "scheme": "bearer", "bearerFormat": "sk_live_..." },
                "session": { "type": "apiKey", "in": "cookie", "name": runtime::SESSION_COOKIE },
            },
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
    let in_query = operation.query.iter().map(|(name, kind, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } })
    });
    let in_header = SPENDING.contains(&endpoint.handler).then(|| {
        json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Your name for what you mean to do. The same request with the same key is carried out once \
                within 24 hours, and answered alike each time (a repeat with `Idempotency-Replayed: true`); another \
                request with the key is a 422.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        })
    });
    let parameters: Vec<Value> = in_path.chain(in_query).chain(in_header).collect();
    if !parameters.is_empty() {
        item["parameters"] = json!(parameters);
    }
    if let Some(request) = &operation.request {
        item["requestBody"] = json!({ "required": true, "content": content(&request.name) });
    }
    if endpoint.needs_key() {
        item["security"] = json!([{ "key": [] }]);
    }
    if endpoint.needs_session() {
        item["security"] = json!([{ "session": [] }]);
    }
    item
}

fn responses(endpoint: &Endpoint, operation: &Operation) -> Value {
    let html = || json!({ "text/html": { "schema": { "type": "string" } } });
    let answer = match &operation.answer {
        Some(answer) => content(&answer.name),
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
    let authenticated = endpoint.needs_key() || endpoint.needs_session();
    let by_caller = authenticated.then_some(401);
    let by_scope = endpoint.needs_key().then_some(403);
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
            "How many requests pass in a window. Of several limits the strictest shows.",
        ),
        header("X-RateLimit-Remaining", "How many more pass in this window."),
        header("X-RateLimit-Reset", "When the window ends, in seconds since the epoch."),
        header("Retry-After", "Seconds to wait before a request passes again."),
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
